"""Filters of the work queue that a person keeps under a name."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput
from store.models import SavedFilter

MOST: Final = 20


async def of(session: AsyncSession, actor: Actor) -> Sequence[SavedFilter]:
    """By name."""
    rows = await session.scalars(
        select(SavedFilter).where(SavedFilter.user_id == actor.user_id).order_by(SavedFilter.name)
    )
    return rows.all()


async def save(session: AsyncSession, actor: Actor, name: str, query: str) -> None:
    """Keeps a filter; one of the same name is replaced. Raises BadInput for too many."""
    own = SavedFilter.user_id == actor.user_id
    others = await session.scalar(select(func.count()).where(own, SavedFilter.name != name))
    if (others or 0) >= MOST:
        raise BadInput(f"You can keep {MOST} filters.", field="name", remedy="Delete one that you no longer need.")
    row = insert(SavedFilter).values(user_id=actor.user_id, name=name, query=query)
    await session.execute(row.on_conflict_do_update(index_elements=["user_id", "name"], set_={"query": query}))


async def forget(session: AsyncSession, actor: Actor, name: str) -> None:
    await session.execute(delete(SavedFilter).where(SavedFilter.user_id == actor.user_id, SavedFilter.name == name))
