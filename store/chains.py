"""Chains of challenges: each goes on from the one that it replaces, as a reset, a buyback or an activation."""

from collections.abc import Collection

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Challenge


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
