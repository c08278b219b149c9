"""Filters of lists that a person keeps under a name. `page` is the list, such as `/queue`."""

from collections.abc import Sequence
from typing import Final

from sqlalchemy import ColumnElement, delete, func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput
from store.models import SavedFilter

MOST: Final = 20  # of a list
LONGEST: Final = 400  # characters of a query


async def of(session: AsyncSession, actor: Actor, page: str) -> Sequence[SavedFilter]:
    """By name."""
    rows = await session.scalars(select(SavedFilter).where(*_own(actor, page)).order_by(SavedFilter.name))
    return rows.all()


async def save(session: AsyncSession, actor: Actor, page: str, name: str, query: str) -> None:
    """Keeps a filter; one of the same name is replaced. Raises BadInput for too many."""
    others = await session.scalar(select(func.count()).where(*_own(actor, page), SavedFilter.name != name))
    if (others or 0) >= MOST:
        raise BadInput(
            f"You can keep {MOST} views of a list.", field="name", remedy="Delete one that you no longer need."
        )
    row = insert(SavedFilter).values(user_id=actor.user_id, page=page, name=name, query=query)
    key = ["user_id", "page", "name"]
    await session.execute(row.on_conflict_do_update(index_elements=key, set_={"query": query}))


async def forget(session: AsyncSession, actor: Actor, page: str, name: str) -> str | None:
    """Returns the query that was kept; None when there was none."""
    gone = delete(SavedFilter).where(*_own(actor, page), SavedFilter.name == name).returning(SavedFilter.query)
    query: str | None = await session.scalar(gone)
    return query


def _own(actor: Actor, page: str) -> tuple[ColumnElement[bool], ...]:
    return SavedFilter.user_id == actor.user_id, SavedFilter.page == page
