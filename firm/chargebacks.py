"""Chargebacks on the record: heard of, read again at the acquirer, booked, answered, decided.

The first word of a chargeback holds all payouts of the trader. While the disputed money is gone, the accounts that it
paid for are suspended. A lost chargeback ends its challenge and all that go on from it; a won one restores them.
The caller holds the lock of the challenge, which is taken before that of the chargeback.
"""

from datetime import datetime
from typing import Any, Final, Literal, NamedTuple, Protocol

from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow, chargeback_workflow
from contracts.messages import (
    ChargebackChanged,
    ChargebackReceived,
    ChargebackStart,
    ClosedByFirm,
    PaymentSettled,
)
from domain import chargebacks as life
from domain import keys, record_keys
from domain import ledger as entries
from domain.chargebacks import CHARGEBACK, DECIDED, LOST
from domain.ledger import ChargebackBooked, Entry
from domain.lifecycle import CHALLENGE
from domain.money import Money, is_known
from firm import challenges, messages, payment_reviews
from firm.payouts import signals
from store import chains, ledger, outbox, rows, suspensions, transitions
from store.clock import market_now
from store.models import Challenge, Chargeback, Intent, LedgerTransaction, Trader
from store.together import Param

ANSWER_KIND: Final = "payments.chargeback_answer"
# Chargebacks that were booked in one entry, before they had a row of their own.
_BOOKED_WHOLE: Final = frozenset({"fee_charged_back", "suspense_charged_back"})


class Seen(Protocol):
    """A chargeback as the acquirer has it now (ports/acquirer.py)."""

    @property
    def status(self) -> life.Status: ...
    @property
    def amount_minor(self) -> int: ...
    @property
    def currency(self) -> str: ...
    @property
    def reason(self) -> str: ...
    @property
    def evidence_due_at(self) -> datetime | None: ...
    @property
    def withdrawn(self) -> bool: ...
    @property
    def fee_minor(self) -> int: ...
    @property
    def given_back(self) -> int: ...


async def note(session: AsyncSession, challenge: Challenge, provider_id: str, *, event: str) -> Chargeback:
    """Records that the acquirer of a locked challenge tells of a chargeback, and has it read. `event`: the key of what
    told it. A decided one begins again: the acquirer may have opened it again."""
    chargeback_id = keys.chargeback_id(challenge.provider, provider_id)
    workflow = chargeback_workflow(chargeback_id)
    row = await session.get(Chargeback, chargeback_id)
    if row is None:
        row = await _hear(session, challenge, provider_id, chargeback_id)
    elif row.state in DECIDED:
        await messages.start_again(session, workflow, ChargebackStart(chargeback_id=row.id))
    changed = ChargebackChanged(key=event, chargeback_id=row.id)
    await messages.signal(session, workflow, changed, key=keys.chargeback_event(row.id, event))
    return row


async def _hear(session: AsyncSession, challenge: Challenge, provider_id: str, chargeback_id: str) -> Chargeback:
    await session.execute(select(Trader.id).where(Trader.id == challenge.trader_id).with_for_update(key_share=True))
    row = Chargeback(
        id=chargeback_id,
        challenge_id=challenge.id,
        trader_id=challenge.trader_id,
        acquirer=challenge.provider,
        provider_id=provider_id,
        state=CHARGEBACK.initial,
        opened_at=await market_now(session),
    )
    session.add(row)
    await session.flush()
    await messages.start(session, chargeback_workflow(row.id), ChargebackStart(chargeback_id=row.id))
    cause = keys.chargeback_event(row.id, "received")
    await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])
    if challenge.state == CHALLENGE.initial and challenge.checkout_id is not None:  # its payment is not booked yet
        paid = PaymentSettled(key=cause, checkout_id=challenge.checkout_id)
        await messages.signal(session, challenge_workflow(challenge.id), paid)
    return row


async def see(session: AsyncSession, chargeback_id: str, seen: Seen, looks: int) -> bool:
    """Brings the record to what the acquirer said. `looks`: those of the row before the acquirer was asked. Returns
    False, and changes nothing, if somebody else has read it since: then ask again."""
    challenge = await challenges.lock(session, (await session.get_one(Chargeback, chargeback_id)).challenge_id)
    row = await rows.locked(session, Chargeback, chargeback_id)
    if row.looks != looks:
        return False
    row.looks += 1
    row.reason, row.amount_minor, row.currency = seen.reason[:200], seen.amount_minor, seen.currency[:4]
    row.fee_minor, row.withdrawn, row.evidence_due_at = seen.fee_minor, seen.withdrawn, seen.evidence_due_at
    now, before = await market_now(session), row.state
    await _book(session, challenge, row, seen, now)
    if life.stops_trading(seen.status, withdrawn=seen.withdrawn):
        await suspensions.begin(session, challenge_id=challenge.id, chargeback_id=row.id, at=now)
    elif seen.status != "lost":  # a lost one ends the accounts: they never trade again
        await suspensions.end(session, chargeback_id=row.id, at=now)
    given = await answer(session, row)
    trigger = life.trigger_of(seen.status, accepted=given is not None and given.verb == "accept" and not given.refused)
    after = CHARGEBACK.table.get((before, trigger), before)
    await _follow_up(session, challenge, row, after=after)
    if life.begins_round(before, after, answered=given is not None and given.done):
        row.round, given = row.round + 1, None
    if CHARGEBACK.allows(before, trigger):
        await _move(session, row, trigger, now)
    await _wake(session, row, answered=given is not None, now=now)
    return True


async def _move(session: AsyncSession, row: Chargeback, trigger: str, now: datetime) -> None:
    row.state = await transitions.apply(
        session,
        CHARGEBACK,
        subject_kind="chargeback",
        subject_id=row.id,
        state_now=row.state,
        trigger=trigger,
        key=record_keys.counted_step(row.looks, trigger),
        occurred_at=now,
        detail={
            "amount_minor": row.amount_minor,
            "currency": row.currency,
            "withdrawn": row.withdrawn,
            "reason": row.reason,
            "round": row.round,
        },
    )
    row.closed_at = now if row.state in DECIDED else None


async def _follow_up(session: AsyncSession, challenge: Challenge, row: Chargeback, *, after: str) -> None:
    """Does what the firm owes to a change of the state: holds and releases payouts, ends the challenges of a loss."""
    if after == row.state:
        return
    cause = keys.chargeback_event(row.id, row.looks)
    if after in LOST and row.state not in LOST:
        detail = {"amount_minor": row.amount_minor, "currency": row.currency, "holds": "all payouts of this trader"}
        await payment_reviews.open_review(
            session, payment_reviews.CHARGEBACK, challenge, about=cause, detail=detail | {"chargeback_id": row.id}
        )
        reason = "The payer took the payment back through the bank."
        await payment_reviews.settle(session, payment_reviews.PAYMENT_DIFFERS, challenge.id, reason)
        await _end_challenges(session, challenge, cause)
    elif row.state in LOST and after not in LOST:
        reason = "The buyer's bank has decided otherwise."
        await payment_reviews.settle(session, payment_reviews.CHARGEBACK, challenge.id, reason)
    if after not in life.ANSWERABLE:
        await payment_reviews.settle(
            session, payment_reviews.CHARGEBACK_DUE, challenge.id, "The chargeback takes no answer any more."
        )
    await signals.send_risk_changed(session, cause=cause, trader_ids=[row.trader_id])


async def _end_challenges(session: AsyncSession, challenge: Challenge, cause: str) -> None:
    """Has the challenge of a lost payment ended, and every one that goes on from it."""
    for challenge_id in sorted(await chains.onward_from(session, [challenge.id])):
        state = await session.scalar(select(Challenge.state).where(Challenge.id == challenge_id))
        if state in CHALLENGE.terminal:
            continue
        key = keys.chargeback_event(cause, challenge_id)
        lost = ChargebackReceived(key=key, checkout_id=challenge.checkout_id or "")
        closed = ClosedByFirm(key=key, case_id="")
        message = lost if challenge_id == challenge.id else closed
        await messages.signal(session, challenge_workflow(challenge_id), message)


async def _wake(session: AsyncSession, row: Chargeback, *, answered: bool, now: datetime) -> None:
    """Wakes the workflow when an unanswered chargeback becomes urgent."""
    due = row.evidence_due_at if row.state in life.ANSWERABLE and not answered else None
    urgent = None if due is None else life.escalates_at(due)
    wakes = urgent if urgent is not None and urgent > now else None
    await outbox.wake_at(session, workflow_id=chargeback_workflow(row.id), due_at=wakes)


async def escalate(session: AsyncSession, chargeback_id: str) -> None:
    """Tells people of a chargeback that nobody has answered and whose time is nearly over."""
    challenge = await challenges.lock(session, (await session.get_one(Chargeback, chargeback_id)).challenge_id)
    row = await rows.locked(session, Chargeback, chargeback_id)
    due = row.evidence_due_at
    if row.state not in life.ANSWERABLE or due is None or await answer(session, row) is not None:
        return
    if await market_now(session) >= life.escalates_at(due):
        detail = {"chargeback_id": row.id, "evidence_due_at": due.isoformat()}
        detail |= {"remedy": "Submit the evidence, or accept the chargeback."}
        about = keys.chargeback_event(row.id, due.isoformat())
        await payment_reviews.open_review(
            session, payment_reviews.CHARGEBACK_DUE, challenge, about=about, detail=detail
        )


# the books


async def _book(session: AsyncSession, challenge: Challenge, row: Chargeback, seen: Seen, now: datetime) -> None:
    """Posts what the books lack of what was seen. Nothing of a currency that the books do not know."""
    if not is_known(row.currency):
        return
    kinds = await _kinds(session, challenge)
    suspended = "payment_suspended" in kinds
    if not kinds & _BOOKED_WHOLE:
        await _book_given_back(session, row, seen.given_back, now)
        taken = row.amount_minor if seen.withdrawn else 0
        if change := taken - row.taken_minor:
            await _post(session, row, entries.chargeback_taken(_next(row), _money(row, change)), now)
        row.taken_minor = taken
        unbooked = challenge.state == CHALLENGE.initial  # what the money was is not known yet
        lost = 0 if unbooked else life.loss_minor(seen.status, taken)
        if change := lost - row.lost_minor:
            entry = entries.chargeback_lost(_next(row), _money(row, change), suspended=suspended)
            await _post(session, row, entry, now)
        row.lost_minor = lost
    if change := row.fee_minor - row.booked_fee_minor:
        await _post(session, row, entries.chargeback_fee(_next(row), _money(row, change)), now)
    row.booked_fee_minor = row.fee_minor


async def book_losses(session: AsyncSession, challenge: Challenge) -> None:
    """Posts the losses of chargebacks that were lost before their payment was booked. The caller has just booked it."""
    suspended = "payment_suspended" in await _kinds(session, challenge)
    found = select(Chargeback).where(
        Chargeback.challenge_id == challenge.id, Chargeback.state.in_(LOST), Chargeback.lost_minor == 0
    )
    for row in await session.scalars(found.where(Chargeback.taken_minor != 0).with_for_update()):
        entry = entries.chargeback_lost(_next(row), _money(row, row.taken_minor), suspended=suspended)
        await _post(session, row, entry, await market_now(session))
        row.lost_minor = row.taken_minor


async def _kinds(session: AsyncSession, challenge: Challenge) -> set[str]:
    found = select(LedgerTransaction.kind).where(LedgerTransaction.reference == challenge.id)
    return set(await session.scalars(found))


async def _book_given_back(session: AsyncSession, row: Chargeback, times: int, now: datetime) -> None:
    """Posts each time that the money was given back and the books lack, also when it was taken and given back since we
    last looked: the statement shows both."""
    given_back = select(func.count()).where(
        LedgerTransaction.reference == row.challenge_id,
        LedgerTransaction.kind == "chargeback_given_back",
        LedgerTransaction.key.startswith(f"{row.id}/", autoescape=True),
    )
    for _ in range(times - int(await session.scalar(given_back) or 0)):
        if not row.taken_minor:
            row.taken_minor = row.amount_minor
            await _post(session, row, entries.chargeback_taken(_next(row), _money(row, row.taken_minor)), now)
        await _post(session, row, entries.chargeback_taken(_next(row), _money(row, -row.taken_minor)), now)
        row.taken_minor = 0


def _next(row: Chargeback) -> ChargebackBooked:
    return ChargebackBooked(row.id, row.challenge_id, row.acquirer, row.entries + 1)


def _money(row: Chargeback, minor: int) -> Money:
    return Money(minor=minor, currency=row.currency)


async def _post(session: AsyncSession, row: Chargeback, entry: Entry, now: datetime) -> None:
    await ledger.post(session, entry, occurred_at=now)
    row.entries += 1


# what the firm has answered


class Answer(NamedTuple):
    """`evidence`: the fields of ports.acquirer.Evidence. `done`: the acquirer has said what it does with it. `refused`:
    why it took it not."""

    verb: Literal["submit", "accept"]
    evidence: dict[str, str]
    done: bool
    refused: str


async def answer(session: AsyncSession, row: Chargeback) -> Answer | None:
    """Returns the firm's answer in the round of the chargeback; None before there is one."""
    intent = await session.get(Intent, keys.chargeback_answer(row.id, row.round), populate_existing=True)
    if intent is None:
        return None
    refused = str((intent.result or {}).get("refused", ""))
    return Answer(intent.payload["verb"], intent.payload["evidence"], intent.done_at is not None, refused)


async def answer_arrived(session: AsyncSession, chargeback_id: str, key: str, *, refused: str = "") -> None:
    """Records that the acquirer has taken the answer of this key, or has refused it: then people must answer at its own
    desk."""
    result: dict[str, Any] = {"refused": refused} if refused else {"taken": True}
    await outbox.fulfil_intent(session, key=key, result=result)
    if refused:
        row = await session.get_one(Chargeback, chargeback_id)
        challenge = await challenges.lock(session, row.challenge_id)
        detail = {"chargeback_id": row.id, "why": refused, "remedy": "Answer it at the acquirer's own desk."}
        about = f"{key}/refused" if row.round > 1 else keys.chargeback_event(row.id, "refused")
        await payment_reviews.open_review(
            session, payment_reviews.CHARGEBACK_DUE, challenge, about=about, detail=detail
        )


# what others ask


def undecided_query(trader_id: Param[str]) -> Select[tuple[str, str]]:
    """The undecided chargebacks of the trader, which hold all payouts: (id, challenge_id)."""
    return (
        select(Chargeback.id, Chargeback.challenge_id)
        .where(Chargeback.trader_id == trader_id, Chargeback.state.not_in(DECIDED))
        .order_by(Chargeback.opened_at, Chargeback.id)
    )


async def lost_in_chain(session: AsyncSession, challenge_id: str) -> str | None:
    """Returns a lost chargeback of this challenge, or of one that it goes on from; None when there is none."""
    chain = await chains.back_from(session, challenge_id)
    found: str | None = await session.scalar(
        select(Chargeback.id).where(Chargeback.challenge_id.in_(chain), Chargeback.state.in_(LOST)).limit(1)
    )
    return found


async def lost_of(session: AsyncSession, challenge_id: str) -> str | None:
    """Returns a lost chargeback of this challenge's own payment; None when there is none."""
    found: str | None = await session.scalar(
        select(Chargeback.id).where(Chargeback.challenge_id == challenge_id, Chargeback.state.in_(LOST)).limit(1)
    )
    return found


async def against(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether a payment of this challenge was charged back and the firm has not won."""
    found = select(Chargeback.id).where(Chargeback.challenge_id == challenge_id, Chargeback.state != "won")
    return await session.scalar(found.limit(1)) is not None
