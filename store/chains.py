"""Chains of challenges: each goes on from the one that it replaces, as a reset, a buyback or an activation."""

from collections.abc import Collection

from sqlalchemy import CTE, ScalarSelect, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Challenge
from store.together import Param


async def back_from(session: AsyncSession, challenge_id: str) -> list[str]:
    """Returns the ids of a challenge and of all that it goes on from, the newest first."""
    chain: list[str] = []
    found: str | None = challenge_id
    while found is not None:
        chain.append(found)
        found = await session.scalar(select(Challenge.replaces).where(Challenge.id == found))
    return chain


async def onward_from(session: AsyncSession, challenge_ids: Collection[str]) -> set[str]:
    """Returns the ids of these challenges and of all that go on from them."""
    chain, newest = set(challenge_ids), set(challenge_ids)
    while newest:
        newest = set(await session.scalars(select(Challenge.id).where(Challenge.replaces.in_(newest)))) - chain
        chain |= newest
    return chain


def back_query(challenge_id: Param[str] | ScalarSelect[str], name: str = "challenges_back") -> Select[tuple[str]]:
    """The ids that `back_from` returns, in no order, as a part of another query. `name`: of that part, unlike all
    others of the statement."""
    first = select(Challenge.id, Challenge.replaces).where(Challenge.id == challenge_id)
    chain = first.cte(name, recursive=True)
    older = select(Challenge.id, Challenge.replaces).where(Challenge.id == chain.c.replaces)
    return select(chain.union(older).c.id)


def onward_query(challenge_ids: Select[tuple[str]]) -> CTE:
    """The ids that `onward_from` returns, as columns `first` and `id`: each of these challenges with itself and with
    all that go on from it."""
    starts = select(Challenge.id.label("first"), Challenge.id.label("id")).where(Challenge.id.in_(challenge_ids))
    chain = starts.cte("challenges_onward", recursive=True)
    return chain.union(select(chain.c.first, Challenge.id).where(Challenge.replaces == chain.c.id))
