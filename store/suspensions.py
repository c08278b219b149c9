"""Times in which accounts may not trade, because a payment is charged back and the bank has not decided.

A suspension belongs to the challenge of the payment. It also binds every challenge that goes on from that one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store import chains
from store.models import Account, Suspension

_OF_CHALLENGE: Final = select(Suspension.began_at, Suspension.ended_at).where(
    Suspension.challenge_id.in_(chains.back_query(bindparam("challenge")))
)


async def begin(session: AsyncSession, *, challenge_id: str, chargeback_id: str, at: datetime) -> None:
    """Begins a suspension, unless one for this chargeback lasts."""
    if await session.scalar(select(Suspension.id).where(*_lasting(chargeback_id))) is None:
        session.add(Suspension(challenge_id=challenge_id, chargeback_id=chargeback_id, began_at=at))
        await session.flush()


async def end(session: AsyncSession, *, chargeback_id: str, at: datetime) -> None:
    await session.execute(update(Suspension).where(*_lasting(chargeback_id)).values(ended_at=at))


def _lasting(chargeback_id: str) -> tuple[ColumnElement[bool], ...]:
    return Suspension.chargeback_id == chargeback_id, Suspension.ended_at.is_(None)


async def binds(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether the accounts of this challenge may not trade now."""
    return any(ended is None for _, ended in await of_challenge(session, challenge_id))


async def binds_account(session: AsyncSession, account_id: str) -> bool:
    challenge_id = await session.scalar(select(Account.challenge_id).where(Account.id == account_id))
    return challenge_id is not None and await binds(session, challenge_id)


async def count(session: AsyncSession, challenge_id: str) -> int:
    """Returns how many suspensions have bound this challenge, also those that ended."""
    return len(await of_challenge(session, challenge_id))


async def of_challenge(session: AsyncSession, challenge_id: str) -> list[tuple[datetime, datetime | None]]:
    """Returns when each suspension that has bound this challenge began and ended; None: it lasts."""
    return [(began, ended) for began, ended in await session.execute(_OF_CHALLENGE, {"challenge": challenge_id})]


def spans(known: Iterable[tuple[datetime, datetime | None]], since: datetime) -> list[tuple[datetime, datetime]]:
    """Returns the times after `since` that those of these suspensions took that ended."""
    return [(max(began, since), ended) for began, ended in known if ended is not None and ended > since]
