"""The fee of a challenge in the books: what came in. The callers hold the challenge's row lock."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain import ledger as entries
from domain.lifecycle import Paid, payment_difference
from domain.money import Money
from firm import chargebacks, payment_reviews, refunds, vouchers
from firm.selling import receipts, sales
from store import ledger
from store.clock import market_now
from store.models import Challenge


async def receive(
    session: AsyncSession, challenge: Challenge, *, paid: Paid, reference: str, provider: str, in_vain: str = ""
) -> str:
    """Books a payment: as the fee, or in suspense if it is not what was due; not at all in a currency that the books do
    not know. `in_vain`: why what was paid for is not possible any more. Returns how the payment differs from what was
    due, or nothing."""
    due = Money(minor=challenge.fee_minor, currency=challenge.currency)
    difference = payment_difference(due, challenge.id, paid, reference) or in_vain
    if paid.in_books:
        make = entries.payment_suspended if difference else entries.fee_paid
        entry = make(challenge.id, paid.money, provider)
        entry = await sales.in_books(session, challenge, entry, since=0, until=paid.minor)
        await ledger.post(session, entry, occurred_at=await market_now(session))
        if not difference:
            await vouchers.use(session, challenge)
            await receipts.issue(session, challenge, provider)
    return difference


async def ask_about_difference(
    session: AsyncSession, challenge: Challenge, *, paid: Paid, reference: str, difference: str
) -> None:
    """Open the review of a payment that is not what was due: what was paid, what was due."""
    detail = {
        "difference": difference,
        "due_minor": challenge.fee_minor,
        "due_currency": challenge.currency,
        "paid_minor": paid.minor,
        "paid_currency": paid.currency,
        "paid_reference": reference,
        "remedy": "Refund the challenge.",
    }
    await payment_reviews.open_review(session, payment_reviews.PAYMENT_DIFFERS, challenge, detail=detail)


async def went_back(session: AsyncSession, challenge: Challenge) -> bool:
    """Returns whether the payment of this challenge was refunded, or charged back and not won."""
    kinds = await refunds.kinds_of(session, challenge.id)
    if kinds & {"fee_charged_back", "suspense_charged_back"} or await chargebacks.against(session, challenge.id):
        return True
    return bool(kinds & refunds.RECEIVED) and await refunds.left_minor(session, challenge) <= 0
