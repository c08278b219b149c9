"""What leaves an account with a payout, on the record: which amounts, whether it may still leave, and the books."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.ledger import forfeit_returned, payout_forfeited, payout_released, payout_reserved
from domain.money import Money
from domain.payouts import trader_messages
from domain.rules.base import VenueCalendar
from firm.payouts import account as payout_account
from firm.payouts import paid, refusals, row
from firm.payouts.situation import Holdings, Situation, situation
from store import ledger, outbox
from store.clock import market_now
from store.models import Payout


def forfeit_of(payout: Payout) -> Money:
    """Returns the profit beyond the cap, which leaves the account and is not paid out."""
    return Money(minor=payout.forfeited_minor, currency=payout.currency)


async def refuse(
    session: AsyncSession,
    payout: Payout,
    holdings: Holdings,
    calendars: Mapping[str, VenueCalendar] | None = None,
) -> bool:
    """Judge a locked request again under the account's lock, by the money and positions that the platform reports.
    Returns True when it is refused, with proof."""
    await payout_account.lock(session, payout.challenge_id, payout.account_id)
    await paid.lock_totals(session, (await row.product_of(session, payout)).payout, payout.trader_id)
    gross = row.gross_of(payout)
    current = await situation(
        session,
        payout.account_id,
        cycle=payout.cycle,
        holdings=holdings,
        judged=payout,
        requested=gross,
        calendars=calendars,
    )
    parts = refusals.refusals(current, gross)
    if not parts:
        _set_forfeit(payout, current)
        return False
    payout.proof_id = await refusals.keep(session, refusals.refused(current, gross, parts))
    reasons = [part.sentence for part in parts]
    await row.advance(
        session,
        payout,
        "request_refused",
        reason="; ".join(reasons),
        trader_message=trader_messages.not_possible(reasons),
        detail={"proof_id": payout.proof_id},
    )
    return True


def _set_forfeit(payout: Payout, current: Situation) -> None:
    """Forfeit what lies beyond the cap when the money is held. No approval has been given yet."""
    payout.forfeited_minor = current.amount(row.gross_of(payout)).forfeited
    payout.terms_digest = row.digest(payout, current.product)


async def record_held(session: AsyncSession, payout: Payout) -> None:
    """Books a hold: the amount owed to the trader and the forfeited amount."""
    now = await market_now(session)
    await outbox.fulfil_intent(session, key=keys.payout_hold(payout.id), result={"held_minor": payout.gross_minor})
    if payout.forfeited_minor:
        key, result = keys.payout_forfeit(payout.id), {"held_minor": payout.forfeited_minor}
        await outbox.fulfil_intent(session, key=key, result=result)
    entry = payout_reserved(payout.id, row.share_of(payout), row.refund_of(payout))
    await ledger.post(session, entry, occurred_at=now)
    if payout.forfeited_minor:
        await ledger.post(session, payout_forfeited(payout.id, forfeit_of(payout)), occurred_at=now)
    await row.advance(session, payout, "hold_placed")


async def record_released(session: AsyncSession, payout: Payout, now: datetime) -> None:
    """Books the release of a hold: nothing is owed and nothing is forfeited."""
    entry = payout_released(payout.id, row.share_of(payout), row.refund_of(payout))
    await ledger.post(session, entry, occurred_at=now)
    if payout.forfeited_minor:
        await ledger.post(session, forfeit_returned(payout.id, forfeit_of(payout)), occurred_at=now)
