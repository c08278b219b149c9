"""Refunds of a fee, each a row and an entry in the books: ours, and those made at the acquirer's own desk.

The caller holds the challenge's row lock, and gives all refunds of its payment as the acquirer has them now. Seeing
them again changes nothing; a refund that failed later takes its entry back.
"""

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, Protocol

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys, record_keys
from domain import ledger as entries
from domain.ledger import Entry
from domain.lifecycle import Paid
from domain.money import Money
from firm import payment_reviews, vouchers
from firm.payouts import signals
from firm.selling import receipts, sales
from store import audit, ledger
from store.clock import market_now
from store.models import Challenge, Intent, LedgerTransaction, Posting, RefundRow
from store.reconciliation import breaks

RECEIVED: Final = frozenset({"fee_paid", "payment_suspended"})
_MADE: Final = ("fee_refunded", "fee_partly_refunded", "suspense_refunded", "suspense_partly_refunded")
_FAILED: Final = ("fee_refund_failed", "suspense_refund_failed")
# Entries that are no part of the payment itself.
_FEES: Final = ("chargeback_fee", "chargeback_fee_returned", "provider_fee")


class Seen(Protocol):
    """A refund as the acquirer has it now (ports/acquirer.py)."""

    @property
    def refund_id(self) -> str: ...
    @property
    def key(self) -> str: ...
    @property
    def status(self) -> Literal["pending", "succeeded", "failed"]: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def failure(self) -> str | None: ...
    @property
    def came_back(self) -> bool: ...


class Observed(NamedTuple):
    """`whole`: nothing of the payment is left. `at_desk`: refunds seen for the first time that we did not make.
    `changed`: something is new."""

    whole: bool
    at_desk: tuple[str, ...]
    changed: bool


async def observe(session: AsyncSession, challenge: Challenge, paid: Paid, found: Sequence[Seen]) -> Observed:
    """Keeps and books these refunds of a payment. A refund that failed after it was booked opens a review."""
    at_desk, changed = [], False
    for seen in found:
        row, new = await _row(session, challenge, seen)
        changed |= new or row.state != seen.status
        if new and not seen.key and seen.status != "failed":
            at_desk.append(seen.refund_id)
        failed_now = seen.status == "failed" and row.state != "failed"
        row.state, row.failure = seen.status, seen.failure[:400] if seen.failure else None
        if failed_now:
            await _fail(session, challenge, paid, row, came_back=seen.came_back)
    back = sum(seen.amount_minor for seen in found if seen.status != "failed")
    if paid.in_books:
        await _book(session, challenge, paid, back)
    whole = bool(found) and back >= paid.minor
    if whole:
        reason = "The payment was refunded to the payer."
        await payment_reviews.settle(session, payment_reviews.PAYMENT_DIFFERS, challenge.id, reason)
        await vouchers.give_back(session, challenge)
    return Observed(whole, tuple(at_desk), changed)


async def observe_late(session: AsyncSession, challenge: Challenge, paid: Paid, found: Sequence[Seen]) -> bool:
    """Books the refunds of a challenge that has ended; its state stays. Returns False when its payment was never
    booked, so that nothing can go back."""
    seen = await observe(session, challenge, paid, found)
    if not seen.whole:
        await ask_about_desk(session, challenge, paid, seen.at_desk)
    elif seen.at_desk and paid.in_books:
        await audit.record(
            session,
            action="challenge.refunded_late",
            subject_kind="challenge",
            subject_id=challenge.id,
            occurred_at=await market_now(session),
            evidence={"state": challenge.state, "fee_minor": paid.minor, "currency": paid.currency},
        )
    return bool(await kinds_of(session, challenge.id) & RECEIVED) or not paid.in_books or not found


async def _row(session: AsyncSession, challenge: Challenge, seen: Seen) -> tuple[RefundRow, bool]:
    row = await session.get(RefundRow, (challenge.provider, seen.refund_id))
    if row is not None:
        return row, False
    row = RefundRow(
        acquirer=challenge.provider,
        refund_id=seen.refund_id,
        challenge_id=challenge.id,
        key=seen.key,
        state="pending",
        amount_minor=seen.amount_minor,
        currency=seen.currency[:4],
        booked_minor=0,
        seen_at=await market_now(session),
    )
    session.add(row)
    await session.flush()
    return row, True


async def _book(session: AsyncSession, challenge: Challenge, paid: Paid, back_minor: int) -> None:
    """Posts each refund that the books do not have. Refunds of earlier versions were booked without a row."""
    kinds = await kinds_of(session, challenge.id)
    if not kinds & RECEIVED:
        return
    missing = back_minor - await _booked_minor(session, challenge)
    rows = await session.scalars(
        select(RefundRow)
        .where(RefundRow.challenge_id == challenge.id, RefundRow.booked_minor == 0, RefundRow.state != "failed")
        .order_by(RefundRow.seen_at, RefundRow.refund_id)
    )
    for row in rows.all():
        part = min(row.amount_minor, missing)
        if part > 0:
            await _book_one(session, challenge, paid, row, part)
            missing -= part


async def _book_one(session: AsyncSession, challenge: Challenge, paid: Paid, row: RefundRow, part: int) -> None:
    suspended = "payment_suspended" in await kinds_of(session, challenge.id)
    amount = Money(minor=part, currency=paid.currency)
    entry = entries.refund_made(challenge.id, amount, challenge.provider, row.refund_id, suspended=suspended)
    left = paid.minor - await _booked_minor(session, challenge)
    await _post(session, challenge, entry, since=left, until=left - part)
    row.booked_minor = part


async def _post(session: AsyncSession, challenge: Challenge, entry: Entry, *, since: int, until: int) -> None:
    """Books a refund divided as the payment was, with its credit note. `since`, `until`: how much of the payment was
    not refunded before and after it, in minor units."""
    entry = await sales.in_books(session, challenge, entry, since=since, until=until)
    await ledger.post(session, entry, occurred_at=await market_now(session))
    await receipts.credit(session, challenge, entry.key, since=since, until=until)


async def _fail(session: AsyncSession, challenge: Challenge, paid: Paid, row: RefundRow, *, came_back: bool) -> None:
    """Takes the entry of a refund back that did not arrive, and tells people: the buyer still waits for the money.
    `came_back`: it left the account, so it is booked first if that was not seen before; a statement shows both. Of one
    that never left, no statement shows anything, unless it has shown it already."""
    now = await market_now(session)
    kinds = await kinds_of(session, challenge.id)
    if came_back and not row.booked_minor and paid.in_books and kinds & RECEIVED:
        await _book_one(session, challenge, paid, row, row.amount_minor)
    if row.booked_minor:
        suspended = "payment_suspended" in kinds
        amount = Money(minor=row.booked_minor, currency=row.currency)
        of = challenge.id, amount, challenge.provider, row.refund_id
        entry = entries.refund_failed(*of, suspended=suspended)
        left = paid.minor - await _booked_minor(session, challenge)
        await _post(session, challenge, entry, since=left, until=left + row.booked_minor)
        if not came_back:
            made = entries.refund_made(*of, suspended=suspended)
            await breaks.cancel_out(session, made=made.key, undone=entry.key)
        row.booked_minor = 0
    detail = {
        "refund": row.refund_id,
        "amount_minor": row.amount_minor,
        "currency": row.currency,
        "why": row.failure or "The buyer's bank did not take it.",
        "remedy": "Agree with the trader on another way, and refund it at the acquirer's own desk.",
    }
    await payment_reviews.open_review(
        session, payment_reviews.REFUND_FAILED, challenge, about=row.refund_id, detail=detail
    )
    await audit.record(
        session,
        action="challenge.refund_failed",
        subject_kind="challenge",
        subject_id=challenge.id,
        occurred_at=now,
        evidence={"refund": row.refund_id, "amount_minor": row.amount_minor, "currency": row.currency},
    )


async def ask_about_desk(session: AsyncSession, challenge: Challenge, paid: Paid, refunds: Sequence[str]) -> None:
    """Opens a review when a part of a payment was refunded at the acquirer's own desk: nobody here decided it. The
    trader's payouts are held until a person has looked."""
    for refund_id in refunds:
        row = await session.get_one(RefundRow, (challenge.provider, refund_id))
        detail = {
            "refund": refund_id,
            "refunded_minor": row.amount_minor,
            "paid_minor": paid.minor,
            "currency": paid.currency,
            "holds": "all payouts of this trader",
            "remedy": "Look at the payment at the acquirer.",
        }
        opened = await payment_reviews.open_review(
            session, payment_reviews.UNCLEAR_REFUND, challenge, about=refund_id, detail=detail
        )
        if opened:
            cause = record_keys.payment_review(payment_reviews.UNCLEAR_REFUND, challenge.id, refund_id)
            await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])


# the books


async def kinds_of(session: AsyncSession, challenge_id: str) -> set[str]:
    """Returns the kinds of ledger entries of this challenge."""
    statement = select(LedgerTransaction.kind).where(LedgerTransaction.reference == challenge_id)
    return set(await session.scalars(statement))


async def _booked_minor(session: AsyncSession, challenge: Challenge) -> int:
    """Returns what the books have as refunded, in minor units."""
    return -await _at_acquirer(session, challenge, LedgerTransaction.kind.in_((*_MADE, *_FAILED)))


async def left_minor(session: AsyncSession, challenge: Challenge) -> int:
    """Returns what of the payment is still with the acquirer, in minor units."""
    return await _at_acquirer(session, challenge, LedgerTransaction.kind.not_in(_FEES))


async def _at_acquirer(session: AsyncSession, challenge: Challenge, kinds: ColumnElement[bool]) -> int:
    total = await session.scalar(
        select(func.coalesce(func.sum(Posting.amount_minor), 0))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(
            LedgerTransaction.reference == challenge.id,
            Posting.account == f"provider:{challenge.provider}",
            kinds,
        )
    )
    return int(total or 0)


# refunds of ours


async def attempts(session: AsyncSession, challenge_id: str) -> list[Intent]:
    """Returns the refunds asked for at the acquirer, oldest first."""
    found: list[Intent] = []
    while (
        row := await session.get(Intent, keys.refund(challenge_id, len(found) + 1), populate_existing=True)
    ) is not None:
        found.append(row)
    return found


async def freeze_of(session: AsyncSession, challenge_id: str) -> Intent | None:
    """Returns the freeze of an account for a refund that was not asked for yet; None when there is none."""
    number = len(await attempts(session, challenge_id)) + 1
    row = await session.get(
        Intent, record_keys.refund_freeze(keys.refund(challenge_id, number)), populate_existing=True
    )
    return row if row is not None and row.done_at is None else None


async def under_way(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether an account is frozen, or a refund asked for, without an answer yet."""
    asked = await attempts(session, challenge_id)
    return bool(asked and asked[-1].done_at is None) or await freeze_of(session, challenge_id) is not None


async def ask_about_cut_off(session: AsyncSession, challenge: Challenge, *, restart: int) -> None:
    """Tells people that the workflow ended during a refund: the account may be frozen, and the request went with the
    workflow. Nobody is told twice while the review is open."""
    if not await under_way(session, challenge.id):
        return
    asked = await payment_reviews.of_challenge(session, payment_reviews.REFUND_CUT_OFF, challenge.id)
    if any(review.status == "open" for review in asked):
        return
    made = await attempts(session, challenge.id)
    begun = made[-1].key if made and made[-1].done_at is None else keys.refund(challenge.id, len(made) + 1)
    detail = {
        "refund": begun,
        "words": "The refund was begun and not finished. The account may be frozen.",
        "remedy": "Refund the challenge again: that finishes the refund that was begun.",
    }
    await payment_reviews.open_review(
        session, payment_reviews.REFUND_CUT_OFF, challenge, about=str(restart), detail=detail
    )


async def ask_about_refusal(session: AsyncSession, challenge: Challenge, key: str, why: str) -> None:
    await payment_reviews.open_review(
        session,
        payment_reviews.REFUND_REFUSED,
        challenge,
        about=key.removeprefix(f"{challenge.id}/"),
        detail={"refund": key, "why": why},
    )


async def ended(session: AsyncSession, challenge: Challenge) -> None:
    """Closes the review of a refund that was cut off: the acquirer has answered, or the account trades again."""
    reason = "The refund is over."
    await payment_reviews.settle(session, payment_reviews.REFUND_CUT_OFF, challenge.id, reason)


def refusal_of(intent: Intent) -> str | None:
    """Why the acquirer would not make this refund; None when it did, or has not answered yet."""
    why = (intent.result or {}).get("refused")
    return None if why is None else str(why)
