"""The fee of a challenge in the books: what came in, what went back, what was lost. Each entry is made once.

The callers hold the challenge's row lock.
"""

from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain import ledger as entries
from domain.lifecycle import Paid, payment_difference
from domain.money import Money, is_known
from firm import payment_reviews
from firm.payouts import signals
from store import audit, ledger
from store.clock import market_now
from store.models import Challenge, Intent, LedgerTransaction, Posting, ProviderEntryRow

_RECEIVED: Final = frozenset({"fee_paid", "payment_suspended"})
_REFUNDED: Final = frozenset({"fee_refunded", "suspense_refunded"})
_CHARGED_BACK: Final = frozenset({"fee_charged_back", "suspense_charged_back"})
_REFUNDED_TO_PAYER: Final = "The payment was refunded to the payer."
_TAKEN_BACK: Final = "The payer took the payment back through the bank."


async def receive(
    session: AsyncSession, challenge: Challenge, *, paid: Paid, reference: str, provider: str, in_vain: str = ""
) -> str:
    """Books a payment: as the fee, or in suspense if it is not what was due; not at all in a currency that the books do
    not know. `in_vain`: why what was paid for is not possible any more. Returns how the payment differs from what was
    due, or nothing."""
    due = Money(minor=challenge.fee_minor, currency=challenge.currency)
    difference = payment_difference(due, challenge.id, paid, reference) or in_vain
    if paid.in_books:
        entry = entries.payment_suspended if difference else entries.fee_paid
        await ledger.post(session, entry(challenge.id, paid.money, provider), occurred_at=await market_now(session))
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


async def refund(session: AsyncSession, challenge: Challenge, *, currency: str, provider: str) -> bool:
    """Books that all that was left of the payment went back. Returns False when there is nothing that could have:
    it was never booked as paid, or it was charged back before."""
    kinds = await _booked(session, challenge.id)
    if kinds & _REFUNDED:
        return True
    if not kinds & _RECEIVED and not is_known(currency):
        await _settle_difference(session, challenge, _REFUNDED_TO_PAYER)
        return True
    left = await _left(session, challenge.id, currency, provider)
    if not kinds & _RECEIVED or left.minor <= 0:
        return False
    entry = entries.suspense_refunded if "payment_suspended" in kinds else entries.fee_refunded
    await ledger.post(session, entry(challenge.id, left, provider), occurred_at=await market_now(session))
    await _settle_difference(session, challenge, _REFUNDED_TO_PAYER)
    return True


async def charge_back(session: AsyncSession, challenge: Challenge, *, paid: Paid, provider: str) -> bool:
    """Books that the payer took the payment back through the bank, once. Returns False when it was never booked as
    paid. A payment that was refunded before has gone out twice: that is a loss of the whole."""
    kinds = await _booked(session, challenge.id)
    if kinds & _CHARGED_BACK:
        return True
    if not kinds & _RECEIVED and not paid.in_books:
        await _settle_difference(session, challenge, _TAKEN_BACK)
        return True
    if not kinds & _RECEIVED:
        return False
    left = await _left(session, challenge.id, paid.currency, provider)
    suspended = "payment_suspended" in kinds and left.minor > 0
    entry = entries.suspense_charged_back if suspended else entries.fee_charged_back
    amount = left if left.minor > 0 else paid.money
    await ledger.post(session, entry(challenge.id, amount, provider), occurred_at=await market_now(session))
    await _settle_difference(session, challenge, _TAKEN_BACK)
    return True


async def _settle_difference(session: AsyncSession, challenge: Challenge, reason: str) -> None:
    await payment_reviews.settle(session, payment_reviews.PAYMENT_DIFFERS, challenge.id, reason)


async def hold_for_chargeback(session: AsyncSession, challenge: Challenge, paid: Paid) -> None:
    """Hold every payout of the trader until a person closes the review of the chargeback."""
    detail = {"amount_minor": paid.minor, "currency": paid.currency, "holds": "all payouts of this trader"}
    if await payment_reviews.open_review(session, payment_reviews.CHARGEBACK, challenge, detail=detail):
        await signals.send_risk_changed(session, cause=keys.chargeback(challenge.id), trader_ids=[challenge.trader_id])


async def book_late_chargeback(session: AsyncSession, challenge: Challenge, *, paid: Paid, provider: str) -> bool:
    """Books the chargeback of a challenge that has already ended; its state stays. Returns False when its fee was never
    booked. A second call changes nothing."""
    await hold_for_chargeback(session, challenge, paid)
    known = bool(await _booked(session, challenge.id) & _CHARGED_BACK)
    if not await charge_back(session, challenge, paid=paid, provider=provider):
        return False
    if not known and paid.in_books:
        await _note_late(session, challenge, "challenge.charged_back_late", paid)
    return True


async def book_late_refund(session: AsyncSession, challenge: Challenge, *, paid: Paid, provider: str) -> bool:
    """Books the refund at the provider of a challenge that has already ended; its state stays. Returns False when
    nothing is left to refund. A second call, or one after our own refund, changes nothing."""
    known = bool(await _booked(session, challenge.id) & _REFUNDED)
    await book_parts(session, challenge, currency=paid.currency, provider=provider)
    if not await refund(session, challenge, currency=paid.currency, provider=provider):
        return False
    if not known and paid.in_books:
        await _note_late(session, challenge, "challenge.refunded_late", paid)
    return True


async def _note_late(session: AsyncSession, challenge: Challenge, action: str, paid: Paid) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="challenge",
        subject_id=challenge.id,
        occurred_at=await market_now(session),
        evidence={"state": challenge.state, "fee_minor": paid.minor, "currency": paid.currency},
    )


async def ask_about_refund(
    session: AsyncSession, challenge: Challenge, *, paid: Paid, provider: str, event: str
) -> None:
    """Opens a review when the provider reports a refund but the checkout is still `paid`: a part was refunded, or
    nothing yet. The checkout does not show the amount, so the trader's payouts are held until a person decides. Books
    the refunds that are stored from the provider's list of movements. `event`: the key of the provider's event; it
    leads to one review, however often it is delivered."""
    parts = await book_parts(session, challenge, currency=paid.currency, provider=provider)
    asked = await payment_reviews.of_challenge(session, payment_reviews.UNCLEAR_REFUND, challenge.id)
    if any(event in review.detail.get("events", ()) for review in asked):
        return
    waiting = next((review for review in asked if review.status == "open"), None)
    if waiting is not None:
        waiting.detail = waiting.detail | {"events": [*waiting.detail.get("events", ()), event]}
        return
    number = 1 + len(asked)
    detail = {
        "events": [event],
        "paid_minor": paid.minor,
        "currency": paid.currency,
        "refunded_minor": parts,
        "holds": "all payouts of this trader",
        "remedy": "Look at the payment at the provider.",
    }
    about = "" if number == 1 else str(number)
    await payment_reviews.open_review(session, payment_reviews.UNCLEAR_REFUND, challenge, about=about, detail=detail)
    await signals.send_risk_changed(
        session, cause=keys.unclear_refund(challenge.id, number), trader_ids=[challenge.trader_id]
    )


async def book_parts(session: AsyncSession, challenge: Challenge, *, currency: str, provider: str) -> int:
    """Books the partial refunds that the provider's list of movements has for this payment. Returns the sum of those
    booked now, in minor units. The last part, which leaves nothing, is for `refund`."""
    if not is_known(currency):  # the payment is not in the books either
        return 0
    rows = await session.scalars(
        select(ProviderEntryRow)
        .where(
            ProviderEntryRow.provider == provider,
            ProviderEntryRow.kind == "refund",
            ProviderEntryRow.object_id == challenge.checkout_id,
            ProviderEntryRow.currency == currency,
            ProviderEntryRow.transaction_id.is_(None),
        )
        .order_by(ProviderEntryRow.position)
    )
    kinds, booked = await _booked(session, challenge.id), 0
    if kinds & (_REFUNDED | _CHARGED_BACK):
        return 0
    make = entries.suspense_partly_refunded if "payment_suspended" in kinds else entries.fee_partly_refunded
    for row in rows.all():
        part = Money(minor=-row.amount_minor, currency=currency)
        entry = make(challenge.id, part, provider, row.position)
        known = await session.scalar(select(LedgerTransaction.id).where(LedgerTransaction.key == entry.key))
        left = await _left(session, challenge.id, currency, provider)
        if known is None and 0 < part.minor < left.minor:
            await ledger.post(session, entry, occurred_at=await market_now(session))
            booked += part.minor
    return booked


async def went_back(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether the payment of this challenge was refunded or charged back."""
    return bool(await _booked(session, challenge_id) & (_REFUNDED | _CHARGED_BACK))


async def _booked(session: AsyncSession, challenge_id: str) -> set[str]:
    """Returns the kinds of ledger entries of this challenge."""
    statement = select(LedgerTransaction.kind).where(LedgerTransaction.reference == challenge_id)
    return set(await session.scalars(statement))


async def _left(session: AsyncSession, challenge_id: str, currency: str, provider: str) -> Money:
    """Returns the part of the payment that is still at the provider, according to the ledger."""
    total = await session.scalar(
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.reference == challenge_id,
            Posting.account == f"provider:{provider}",
            Posting.currency == currency,
        )
    )
    return Money(minor=int(total or 0), currency=currency)


# refunds of ours


async def refund_attempts(session: AsyncSession, challenge_id: str) -> list[Intent]:
    """Returns the refunds asked for at the provider, oldest first. All but the last were refused."""
    found: list[Intent] = []
    while (
        row := await session.get(Intent, keys.refund(challenge_id, len(found) + 1), populate_existing=True)
    ) is not None:
        found.append(row)
    return found


async def ask_about_cut_off_refund(session: AsyncSession, challenge: Challenge, *, restart: int) -> None:
    """Tells people that the workflow ended while a refund was asked for: the account may be frozen, and the request
    went with the workflow. Nobody is told twice while the review is open."""
    attempts = await refund_attempts(session, challenge.id)
    if not attempts or attempts[-1].done_at is not None:
        return
    asked = await payment_reviews.of_challenge(session, payment_reviews.REFUND_CUT_OFF, challenge.id)
    if any(review.status == "open" for review in asked):
        return
    detail = {
        "refund": attempts[-1].key,
        "words": "The refund was begun and not finished. The account may be frozen.",
        "remedy": "Refund the challenge again: that finishes the refund that was begun.",
    }
    await payment_reviews.open_review(
        session, payment_reviews.REFUND_CUT_OFF, challenge, about=str(restart), detail=detail
    )


async def refund_ended(session: AsyncSession, challenge: Challenge) -> None:
    """Closes the review of a refund that was cut off: the provider has answered."""
    reason = "The payment provider has answered the refund."
    await payment_reviews.settle(session, payment_reviews.REFUND_CUT_OFF, challenge.id, reason)


def refusal_of(intent: Intent) -> str | None:
    """Why the provider would not make this refund; None when it did, or has not answered yet."""
    why = (intent.result or {}).get("refused")
    return None if why is None else str(why)
