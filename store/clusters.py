"""Traders whom identity facts tie together: made anew by surveillance, read by the monitor."""

from collections.abc import Mapping
from typing import Any

from psycopg import Connection
from sqlalchemy import delete, insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import TraderCluster


async def replace(session: AsyncSession, clusters: Mapping[str, str]) -> None:
    """Keeps these clusters (trader -> cluster) in place of those before."""
    await session.execute(delete(TraderCluster))
    if clusters:
        rows = [{"trader_id": trader, "cluster": cluster} for trader, cluster in sorted(clusters.items())]
        await session.execute(insert(TraderCluster), rows)


def read(connection: Connection[Any]) -> dict[str, str]:
    """Returns the cluster of each trader who is in one."""
    rows = connection.execute("SELECT trader_id, cluster FROM trader_clusters").fetchall()
    return {str(row[0]): str(row[1]) for row in rows}
