"""The attempts to send a payout, as rows. Everybody who writes one holds the lock of its payout."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.transfer import MONEY_IS_OUT, OVER
from firm.payouts import row
from store import crypto
from store.clock import market_now
from store.models import Payout, PayoutTransfer
from store.together import Param


async def last(session: AsyncSession, payout_id: str) -> PayoutTransfer | None:
    """Returns the newest attempt of a payout, None before the first."""
    found: PayoutTransfer | None = await session.scalar(
        select(PayoutTransfer)
        .where(PayoutTransfer.payout_id == payout_id)
        .order_by(PayoutTransfer.number.desc())
        .limit(1)
        .execution_options(populate_existing=True)
    )
    return found


def states_query(payout_id: Param[str]) -> Select[tuple[str, str, int]]:
    """(id, state, tries) of each attempt of a payout, oldest first."""
    mine = select(PayoutTransfer.id, PayoutTransfer.state, PayoutTransfer.tries)
    return mine.where(PayoutTransfer.payout_id == payout_id).order_by(PayoutTransfer.number)


async def current(session: AsyncSession, payout_id: str) -> PayoutTransfer | None:
    """Returns the attempt that the payout waits for: the newest one that is not over, else the newest."""
    found = await _where(session, payout_id, PayoutTransfer.state.not_in(OVER))
    return found[-1] if found else await last(session, payout_id)


async def out(session: AsyncSession, payout_id: str) -> list[PayoutTransfer]:
    """Returns the attempts with money that has left and is not back."""
    return await _where(session, payout_id, PayoutTransfer.state.in_(MONEY_IS_OUT))


async def others_are_over(session: AsyncSession, attempt: PayoutTransfer) -> bool:
    """Returns whether no other attempt of its payout can still arrive."""
    mine = PayoutTransfer.id != attempt.id, PayoutTransfer.state.not_in(OVER)
    return not await _where(session, attempt.payout_id, *mine)


async def _where(session: AsyncSession, payout_id: str, *which: ColumnElement[bool]) -> list[PayoutTransfer]:
    """Returns such attempts of a payout, oldest first."""
    found = await session.scalars(
        select(PayoutTransfer)
        .where(PayoutTransfer.payout_id == payout_id, *which)
        .order_by(PayoutTransfer.number)
        .execution_options(populate_existing=True)
    )
    return list(found)


async def unanswered(session: AsyncSession, payout_id: str) -> list[PayoutTransfer]:
    """Returns the attempts of a payout that its rail may have made although the record does not say so."""
    return await _where(
        session,
        payout_id,
        PayoutTransfer.provider_id.is_(None),
        PayoutTransfer.state.in_(("declared", "refused", "never_sent")),
        PayoutTransfer.tries > 0,
    )


async def of_rail(session: AsyncSession, rail: str, *, transfer_id: str, key: str = "") -> PayoutTransfer | None:
    """Returns the attempt that a rail knows under `transfer_id`, or under our `key`."""
    mine = PayoutTransfer.rail == rail
    found: PayoutTransfer | None = await session.scalar(
        select(PayoutTransfer).where(mine, PayoutTransfer.provider_id == transfer_id)
    )
    if found is None and key:
        found = await session.scalar(select(PayoutTransfer).where(mine, PayoutTransfer.id == key))
    return found


def is_unanswered(attempt: PayoutTransfer | None) -> bool:
    """Returns whether the rail was asked to make this attempt, and has not said what became of it."""
    return attempt is not None and waits(attempt.state, attempt.tries)


def waits(state: str, tries: int) -> bool:
    return state == "declared" and tries > 0


def is_busy(attempt: PayoutTransfer | None) -> bool:
    """Returns whether a call of ours that makes this attempt may be under way."""
    return attempt is not None and attempt.busy_until is not None and attempt.busy_until > datetime.now(UTC)


def is_for(attempt: PayoutTransfer, payout: Payout, digest: str) -> bool:
    """Returns whether the attempt sends what the payout asks for now. `digest`: of its terms as they are."""
    asked = (attempt.rail, attempt.amount_minor, attempt.currency, attempt.terms_digest)
    sends = row.transfer_of(payout)
    return asked == (payout.rail, sends.minor, sends.currency, digest)


async def begin(
    session: AsyncSession, payout: Payout, attempt: PayoutTransfer | None, digest: str, *, seconds: float
) -> PayoutTransfer:
    """Returns the attempt that is sent now, and counts the try: the call may be under way for so many `seconds`. It is
    the last `attempt` if that has no answer yet, else a new one."""
    if attempt is None or attempt.state != "declared":
        attempt = await _declare(session, payout, digest, 1 if attempt is None else attempt.number + 1)
    attempt.tries += 1
    attempt.busy_until = datetime.now(UTC) + timedelta(seconds=seconds)
    return attempt


async def _declare(session: AsyncSession, payout: Payout, digest: str, number: int) -> PayoutTransfer:
    now, sends = await market_now(session), row.transfer_of(payout)
    attempt = PayoutTransfer(
        id=keys.transfer(payout.id, number),
        payout_id=payout.id,
        number=number,
        rail=payout.rail,
        state="declared",
        amount_minor=sends.minor,
        currency=sends.currency,
        conversion=payout.conversion,
        terms_digest=digest,
        beneficiary_digest=crypto.keys().digest(payout.beneficiary),
        tries=0,
        failures=0,
        declared_at=now,
        changed_at=now,
    )
    session.add(attempt)
    return attempt


async def give_up(session: AsyncSession, payout: Payout, why: str) -> None:
    """Ends an attempt without an answer: it is never sent again. Its rail has nothing under its key."""
    attempt = await last(session, payout.id)
    if attempt is not None and attempt.state == "declared":
        attempt.state, attempt.why = "never_sent", why
        attempt.changed_at = await market_now(session)
