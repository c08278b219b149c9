"""Times in which accounts may not trade: a payment is charged back and the bank has not decided, or a person has frozen
the account.

A suspension belongs to the challenge of the payment, or of the frozen account. It also binds every challenge that goes
on from that one.
"""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, Select, bindparam, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from store import chains
from store.models import Account, Suspension
from store.reading import read_once
from store.together import Param

_OF_CHALLENGE: Final = (
    select(Suspension.began_at, Suspension.ended_at, Suspension.freeze_id)
    .where(Suspension.challenge_id.in_(chains.back_query(bindparam("challenge"))))
    .order_by(Suspension.id)
)


async def begin(session: AsyncSession, *, challenge_id: str, chargeback_id: str, at: datetime) -> None:
    """Begins a suspension, unless one for this chargeback lasts."""
    if await session.scalar(select(Suspension.id).where(*_lasting(chargeback_id))) is None:
        session.add(Suspension(challenge_id=challenge_id, chargeback_id=chargeback_id, began_at=at))
        await session.flush()


async def freeze(session: AsyncSession, *, challenge_id: str, freeze_id: str, at: datetime) -> None:
    """Begins the suspension of a freeze."""
    session.add(Suspension(challenge_id=challenge_id, freeze_id=freeze_id, began_at=at))
    await session.flush()


async def thaw(session: AsyncSession, *, freeze_id: str, at: datetime) -> None:
    """Ends the suspension of a freeze."""
    of_freeze = update(Suspension).where(Suspension.freeze_id == freeze_id, Suspension.ended_at.is_(None))
    await session.execute(of_freeze.values(ended_at=at))


async def end(session: AsyncSession, *, chargeback_id: str, at: datetime) -> None:
    await session.execute(update(Suspension).where(*_lasting(chargeback_id)).values(ended_at=at))


def _lasting(chargeback_id: str) -> tuple[ColumnElement[bool], ...]:
    return Suspension.chargeback_id == chargeback_id, Suspension.ended_at.is_(None)


async def binds(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether the accounts of this challenge may not trade now."""
    return any(ended is None for _, ended in await of_challenge(session, challenge_id))


def freeze_query(challenge_id: Param[str]) -> Select[tuple[str | None, datetime]]:
    """The freezes that bind the accounts of this challenge now, oldest first: (id, when it began)."""
    frozen = (Suspension.freeze_id.is_not(None), Suspension.ended_at.is_(None))
    back = Suspension.challenge_id.in_(chains.back_query(challenge_id, "frozen_back"))
    return select(Suspension.freeze_id.label("id"), Suspension.began_at).where(back, *frozen).order_by(Suspension.id)


async def frozen_since(session: AsyncSession, challenge_id: str) -> datetime | None:
    """Returns since when a person has frozen the accounts of this challenge; None: nobody has."""
    freezes = (began for began, ended, freeze in await _every(session, challenge_id) if freeze and ended is None)
    return next(freezes, None)


async def only_frozen(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether a freeze binds the accounts of this challenge, and nothing else: their positions stay open."""
    back = Suspension.challenge_id.in_(chains.back_query(challenge_id))
    causes = list(await session.scalars(select(Suspension.freeze_id).where(back, Suspension.ended_at.is_(None))))
    return bool(causes) and all(causes)


async def binds_account(session: AsyncSession, account_id: str) -> bool:
    challenge_id = await session.scalar(select(Account.challenge_id).where(Account.id == account_id))
    return challenge_id is not None and await binds(session, challenge_id)


async def of_chargebacks(session: AsyncSession, challenge_id: str) -> tuple[int, bool]:
    """Returns how many suspensions by chargebacks have bound this challenge, also those that ended, and whether one
    binds it now."""
    back = Suspension.challenge_id.in_(chains.back_query(challenge_id))
    charged = select(Suspension.ended_at).where(back, Suspension.chargeback_id.is_not(None))
    ends = list(await session.scalars(charged))
    return len(ends), None in ends


async def of_challenge(session: AsyncSession, challenge_id: str) -> list[tuple[datetime, datetime | None]]:
    """Returns when each suspension that has bound this challenge began and ended; None: it lasts."""
    return [(began, ended) for began, ended, _ in await _every(session, challenge_id)]


@read_once
async def _every(session: AsyncSession, challenge_id: str) -> list[tuple[datetime, datetime | None, str | None]]:
    """(began, ended, freeze), the oldest first."""
    found = await session.execute(_OF_CHALLENGE, {"challenge": challenge_id})
    return [(began, ended, freeze) for began, ended, freeze in found]


def spans(known: Iterable[tuple[datetime, datetime | None]], since: datetime) -> list[tuple[datetime, datetime]]:
    """Returns the times after `since` that those of these suspensions took that ended."""
    return [(max(began, since), ended) for began, ended in known if ended is not None and ended > since]
