"""What a rail says about the transfer of a payout: on the attempt, in the books, and on the payout."""

from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from contracts.messages import PayoutStart
from domain import keys
from domain.ledger import Entry, payout_converted, payout_returned, payout_sent, reversal
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts import trader_messages
from domain.payouts.checks import risk_checks
from domain.payouts.payout import CAME_BACK, OPEN_TO_PEOPLE, PAYOUT
from domain.payouts.transfer import MONEY_IS_OUT, RailWord, is_stalled, news
from firm import messages
from firm.payouts import attempts, conversions, row, signals, stray
from firm.payouts.risk import risk_facts
from store import ledger
from store.clock import market_now
from store.models import Intent, Payout, PayoutTransfer


async def record(session: AsyncSession, payout: Payout, attempt: PayoutTransfer, word: RailWord) -> None:
    """Books what the rail says about an attempt of the locked payout, and moves the payout on. Repeating it changes
    nothing. Money that left although its payout does not wait for it is booked too, and shown to people."""
    _answered(attempt)
    before, accepted = attempt.state, attempt.provider_id is not None
    after = news(before, word.status, accepted=accepted)
    if after is None:
        return
    attempt.state, attempt.provider_id = after, word.transfer_id
    attempt.why = policy.without_beneficiary(word.failure, payout.beneficiary) or None
    attempt.changed_at = await market_now(session)
    await _book(session, payout, attempt, word.moved, was_out=before in MONEY_IS_OUT)
    if not await _belongs(session, payout, attempt):
        if before not in MONEY_IS_OUT and after in (*MONEY_IS_OUT, "returned"):
            await stray.report(session, payout, attempt, word.moved)
        return
    payout.transfer_id = word.transfer_id
    if after in (*MONEY_IS_OUT, "returned"):
        await _left(session, payout, word)
    if after == "paid" and payout.state == "sent":
        await row.advance(session, payout, "transfer_paid")
    elif after == "returned":
        await _came_back(session, payout, attempt.why or "no reason given")
    elif after in ("refused", "cancelled"):
        why = attempt.why or "no reason given"
        stopped = after == "cancelled"
        words = "The transfer was stopped before it left." if stopped else f"The provider refused the transfer: {why}"
        await halt(session, payout, "transfer_stopped" if stopped else "transfer_refused", words)


def _nth(attempt: PayoutTransfer) -> str:
    """Returns what tells the ledger entries of the attempt apart; the first attempt has nothing."""
    return str(attempt.number) if attempt.number > 1 else ""


def _answered(attempt: PayoutTransfer) -> None:
    attempt.busy_until = attempt.failing_since = None
    attempt.failures = 0


async def _book(session: AsyncSession, payout: Payout, attempt: PayoutTransfer, moved: Money, *, was_out: bool) -> None:
    """In another currency, the debt is exchanged before it is sent, and exchanged back at the same rate when the money
    is back: nothing is gained or lost."""
    now = await market_now(session)
    conversion = conversions.of(attempt)
    exchanged = None if conversion is None else payout_converted(payout.id, conversion, _nth(attempt))
    sent = payout_sent(payout.id, moved, attempt.rail, _nth(attempt))
    if attempt.state in (*MONEY_IS_OUT, "returned") and not was_out:
        if exchanged is not None:
            await ledger.post(session, exchanged, occurred_at=now)
        await ledger.post(session, sent, occurred_at=now)
    if attempt.state == "returned":
        back = payout_returned(payout.id, moved, attempt.rail, _nth(attempt))
        await ledger.post(session, back, occurred_at=now)
        await _reverse(session, exchanged, now)
    elif was_out and attempt.state in ("refused", "cancelled"):  # no money left, so no statement will show it
        await _reverse(session, sent, now)
        await _reverse(session, exchanged, now)


async def _reverse(session: AsyncSession, entry: Entry | None, now: datetime) -> None:
    if entry is not None:
        posted = await ledger.post(session, entry, occurred_at=now)
        await ledger.post(session, reversal(entry), occurred_at=now, reverses=posted)


async def _belongs(session: AsyncSession, payout: Payout, attempt: PayoutTransfer) -> bool:
    """Returns whether the payout waits for news of this attempt: it is the last one, or a payout that waits for people
    has no other that can arrive, and the money has not been given back to the account."""
    last = await attempts.last(session, payout.id)
    is_last = last is not None and last.id == attempt.id
    if not is_last and (payout.state in CAME_BACK or not await attempts.others_are_over(session, attempt)):
        return False
    if payout.state in PAYOUT.terminal - PAYOUT.reopens:
        return False
    return await session.get(Intent, keys.payout_release(payout.id)) is None


async def _left(session: AsyncSession, payout: Payout, word: RailWord) -> None:
    """The rail has the money. A payout that is not approved any more is sent all the same."""
    payout.checks = {name: check for name, check in payout.checks.items() if name != "transfer"}
    detail: dict[str, object] = {"transfer_id": word.transfer_id}
    if payout.state == "approved":
        await row.advance(session, payout, "transfer_accepted", detail=detail)
    elif payout.state in (*OPEN_TO_PEOPLE, "releasing"):
        payout.halted = None
        why, told = "the provider made the transfer after all", trader_messages.sent_after_all(row.sent_of(payout))
        await row.advance(session, payout, "transfer_found", reason=why, trader_message=told, detail=detail)


async def _came_back(session: AsyncSession, payout: Payout, why: str) -> None:
    """The money is back with the firm: a person chooses what becomes of it. A payout that was paid is open again."""
    if payout.state in PAYOUT.reopens:
        payout.closed_at, payout.reopened_at = None, await market_now(session)
    reason, words = f"the provider returned the money: {why}", trader_messages.sent_back(row.sent_of(payout))
    await row.advance(session, payout, "transfer_returned", reason=reason, trader_message=words)


async def halt(session: AsyncSession, payout: Payout, trigger: str, why: str) -> None:
    """Nothing of the payout is sent until a person says so. A payout that was approved or sent goes back to people."""
    payout.halted = why
    payout.checks = {**payout.checks, **risk_checks(await risk_facts(session, payout))}
    if payout.state in ("approved", "sent"):
        await row.advance(session, payout, trigger, reason=why, trader_message=_HALTED.get(trigger, _UNDER_REVIEW))


_UNDER_REVIEW = trader_messages.UNDER_REVIEW
_HALTED = {"transfer_refused": trader_messages.NOT_ACCEPTED}


async def record_refused(session: AsyncSession, payout: Payout, attempt: PayoutTransfer, why: str) -> None:
    """The rail refused the attempt for good: its key is never sent again."""
    _answered(attempt)
    attempt.state, attempt.why, attempt.changed_at = "refused", why, await market_now(session)
    if payout.state == "approved":
        await halt(session, payout, "transfer_refused", f"The provider refused the transfer: {why}")


async def record_failure(session: AsyncSession, payout: Payout, attempt: PayoutTransfer | None, why: str) -> None:
    """A try had no answer. The checks of the payout say so; after many of them, people decide what to do. The attempt
    stays busy as long as `attempts.begin` said: the call, or an earlier one, may take effect after we gave it up."""
    now = datetime.now(UTC)
    if attempt is None or payout.state != "approved":
        return
    attempt.why = why
    attempt.failures += 1
    attempt.failing_since = attempt.failing_since or now
    if is_stalled(attempt.failures, now - attempt.failing_since):
        words = f"The transfer is not confirmed after {attempt.failures} tries: {why}"
        await halt(session, payout, "transfer_stalled", words)
        return
    words = f"The transfer is not confirmed yet: {why} It is tried again with the same key."
    payout.checks = {**payout.checks, "transfer": {"ok": False, "words": words}}


async def record_changed(session: AsyncSession, payout: Payout) -> None:
    """Return an approved payout to review: it is not the one whose transfer was declared."""
    why = "the payout was changed after its approval"
    await row.advance(session, payout, "risk_found", reason=why, trader_message=_UNDER_REVIEW)


async def route(session: AsyncSession, attempt: PayoutTransfer, word: RailWord, *, event: str) -> None:
    """News of a transfer, by event `event`. The workflow of an open payout asks the rail itself about the attempt that
    it waits for. News of another attempt, and of a payout that has ended, is recorded here. When that opens the payout
    again, its workflow starts again."""
    payout = await row.locked(session, attempt.payout_id)
    has_ended = payout.state in PAYOUT.terminal
    if not await signals.is_followed(session, payout, attempt):
        await record(session, payout, attempt, word)
        await row.set_wakeup(session, payout)
    if not has_ended:
        await signals.signal_transfer(session, payout, key=event, transfer_id=word.transfer_id)
    elif payout.state not in PAYOUT.terminal:
        await messages.start_again(session, payout_workflow(payout.id), PayoutStart(payout_id=payout.id))
