"""The transfer of a payout, on the record: what is sent, and what the provider answered."""

from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.ledger import payout_returned, payout_sent
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts import trader_messages
from domain.payouts.checks import risk_checks
from firm.payouts import row
from firm.payouts.risk import risk_facts
from store import ledger, outbox
from store.clock import market_now
from store.models import Intent, Payout


async def order_of(session: AsyncSession, payout: Payout) -> dict[str, Any]:
    """Returns what is to be sent, without personal data: the digest covers the beneficiary."""
    digest = row.digest(payout, await row.product_of(session, payout))
    return {"amount_minor": row.sent_of(payout).minor, "currency": payout.currency, "digest": digest}


def record_waiting(payout: Payout, why: str) -> None:
    """Say in the checks of an approved payout why its transfer is not confirmed yet."""
    words = f"The transfer is not confirmed yet: {why} It is tried again with the same key."
    if payout.state == "approved":
        payout.checks = {**payout.checks, "transfer": {"ok": False, "words": words}}


async def is_unbooked(session: AsyncSession, payout: Payout) -> bool:
    """Whether a transfer of the locked payout was declared and is not booked as sent, while it still can be: until the
    release of the hold is declared."""
    if payout.state not in ("approved", *row.OPEN_TO_PEOPLE, "releasing"):
        return False
    transfer = await session.get(Intent, keys.payout_transfer(payout.id), populate_existing=True)
    if transfer is None or "transfer_id" in (transfer.result or {}):
        return False
    return await session.get(Intent, keys.payout_release(payout.id)) is None


async def record_sent(session: AsyncSession, payout: Payout, *, transfer_id: str, moved: Money) -> None:
    """Book a transfer that the provider made. `moved`: what the provider says it took. A payout that is not approved
    any more is sent all the same, and a refusal on the record is replaced."""
    now, result = await market_now(session), {"transfer_id": transfer_id}
    key = keys.payout_transfer(payout.id)
    await outbox.fulfil_intent(session, key=key, result=result)
    intent = await session.get_one(Intent, key, populate_existing=True)
    intent.result = result
    await ledger.post(session, payout_sent(payout.id, moved, payout.rail), occurred_at=now)
    payout.transfer_id = transfer_id
    payout.checks = {name: check for name, check in payout.checks.items() if name != "transfer"}
    if payout.state == "approved":
        await row.advance(session, payout, "transfer_accepted", detail=dict(result))
        return
    why, told = "the provider made the transfer after all", trader_messages.sent_after_all(row.sent_of(payout))
    await row.advance(session, payout, "transfer_found", reason=why, trader_message=told, detail=dict(result))


async def record_never_sent(session: AsyncSession, payout: Payout) -> None:
    """Close a transfer that was begun and not found, together with the release of its hold."""
    result = {"released": "The provider had no transfer under this key."}
    await outbox.fulfil_intent(session, key=keys.payout_transfer(payout.id), result=result)


async def record_refused(session: AsyncSession, payout: Payout, why: str) -> None:
    """End the intent as refused, which holds the payout until it is rejected, cancelled or out of time."""
    await outbox.fulfil_intent(session, key=keys.payout_transfer(payout.id), result={"refused": why})
    payout.checks = {**payout.checks, **risk_checks(await risk_facts(session, payout))}
    reason = f"the provider refused the transfer: {why}"
    await row.advance(session, payout, "transfer_refused", reason=reason, trader_message=trader_messages.NOT_ACCEPTED)


async def record_changed(session: AsyncSession, payout: Payout) -> None:
    """Return an approved payout to review: it is not the one whose transfer was declared."""
    why = "the payout was changed after its approval"
    await row.advance(session, payout, "risk_found", reason=why, trader_message=trader_messages.UNDER_REVIEW)


async def record_returned(session: AsyncSession, payout: Payout, *, why: str, moved: Money) -> None:
    """Book money that the provider returned. `why`: in the provider's words."""
    entry = payout_returned(payout.id, moved, payout.rail)
    await ledger.post(session, entry, occurred_at=await market_now(session))
    reason = f"the provider returned the money: {policy.without_beneficiary(why, payout.beneficiary)}"
    words = trader_messages.sent_back(row.gross_of(payout))
    await row.advance(session, payout, "transfer_returned", reason=reason, trader_message=words)
