"""What leaves an account with a payout, on the record: which amounts, whether it may still leave, and the books."""

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.exchange import convert
from domain.ledger import forfeit_returned, payout_forfeited, payout_released, payout_reserved
from domain.money import Money
from domain.payouts import trader_messages
from domain.payouts.checks import amounts_changed
from domain.payouts.tainted import total_minor
from domain.rules.base import VenueCalendar
from firm.payouts import account as payout_account
from firm.payouts import conversions, paid, refusals, row
from firm.payouts.situation import Holdings, Situation, situation
from store import audit, ledger, outbox
from store.clock import market_now
from store.models import Intent, Payout


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
        await _set_amounts(session, payout, current)
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


async def _set_amounts(session: AsyncSession, payout: Payout, current: Situation) -> None:
    """Divide the money as the terms say when it is held: an offence since the request may have lowered the share, and
    what lies beyond the cap is forfeited. No approval has been given yet."""
    asked = _amounts(payout)
    amount = current.amount(row.gross_of(payout))
    payout.trader_minor, payout.firm_minor = amount.trader, amount.firm
    payout.refund_minor, payout.forfeited_minor = amount.refund, amount.forfeited
    payout.base_minor, payout.tainted_minor = amount.base, total_minor(current.facts.tainted)
    held = conversions.of(payout)
    if held is not None:  # the rate stays that of the request
        payout.conversion = conversions.stored(convert(row.sent_of(payout), held.rate))
    payout.terms_digest = row.digest(payout, current.product)
    if (now := _amounts(payout)) == asked:
        return
    words = amounts_changed(row.share_of(payout), Money(minor=asked["trader_minor"], currency=payout.currency))
    if words:
        payout.checks = {**payout.checks, "amount": {"ok": True, "words": words, "warns": True}}
    await audit.record(
        session,
        action="payout.amounts_changed",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=current.facts.now,
        reason="the money was divided again when it was held",
        evidence={"requested": asked, "held": now},
    )


def _amounts(payout: Payout) -> dict[str, int]:
    return {
        "trader_minor": payout.trader_minor,
        "firm_minor": payout.firm_minor,
        "refund_minor": payout.refund_minor,
        "forfeited_minor": payout.forfeited_minor,
    }


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


async def is_lost(session: AsyncSession, payout: Payout) -> bool:
    """Returns whether an offence has brought the balance back to the initial one since this money was held. It was
    profit of before, so it does not go back to the account. A payout that has arrived once was the trader's by then."""
    hold = await session.get(Intent, keys.payout_hold(payout.id))
    if payout.reopened_at is not None or hold is None or "resets" not in hold.payload:
        return False
    before = int(hold.payload["resets"])
    return await payout_account.resets(session, payout.account_id) > before


async def record_released(session: AsyncSession, payout: Payout, now: datetime, *, lost: bool = False) -> None:
    """Books the release of a hold: nothing is owed, and nothing is forfeited unless all of it is `lost`."""
    entry = payout_released(payout.id, row.share_of(payout), row.refund_of(payout))
    await ledger.post(session, entry, occurred_at=now)
    if payout.forfeited_minor and not lost:
        await ledger.post(session, forfeit_returned(payout.id, forfeit_of(payout)), occurred_at=now)
