"""Payouts on the record: who may ask for what, what stands in the way, and each step of the way out."""

from datetime import timedelta
from typing import Final

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, approvals_that_count
from domain.errors import BadInput, NotFound, PayoutOpen
from domain.keys import new_id
from domain.money import Money
from domain.payouts import payout as policy
from domain.payouts.checks import RiskFacts, room_check, shown
from domain.payouts.payout import PAYOUT
from domain.products.product import Product
from firm import payment_reviews
from firm.payouts import account as payout_account
from firm.payouts.refusals import refusals, refused
from firm.payouts.situation import Situation, rooms_left, situation
from store import audit, decisions, outbox, products, rows, surveillance, transitions, warnings
from store.clock import market_now
from store.crypto import keys
from store.models import (
    Account,
    Case,
    CaseAccount,
    Dispute,
    Intent,
    Payout,
    Trader,
    Transition,
    User,
)

OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")
_OPEN_DISPUTES: Final = ("opened", "awaiting_decision", "reinstating")
_TRANSFER_CHECK: Final = timedelta(days=1)


def workflow(payout_id: str) -> str:
    return f"payout/{payout_id}"


def transfer_key(payout_id: str) -> str:
    """Under which the provider is asked to send the money: one key, so at most one transfer."""
    return f"{payout_id}/transfer"


def checks(current: Situation, risk: RiskFacts, gross: Money) -> dict[str, dict[str, object]]:
    """The whole validation as shown to people: name -> {"ok", "words"}."""
    left = {room.spec.rule_id: room for room in rooms_left(current, gross)}
    rooms = {f"room:{rule}": room_check(left[rule], spare, gross) for rule, spare in current.spare.items()}
    return {"eligibility": {"ok": True, "words": "Eligible at the time of the request."}, **shown(risk), **rooms}


async def request_payout(
    session: AsyncSession, *, account_id: str, actor: Actor, gross: Money, rail: str, cycle: str | None = None
) -> Payout:
    """A trader asks for `gross` of an account's profit: state `requested`, its workflow starts at commit. `rail`: the
    provider that sends the money. `cycle`: the payout cycle the trader chooses, where the product has several.

    Raises NotFound (also for another trader's account), BadInput, PayoutOpen, PayoutRefused (see `payout_refusals.kept`).
    """
    account = await _lock_own(session, account_id, actor)
    if gross.currency != account.currency or gross.minor <= 0:
        raise BadInput(
            f"A payout of this account is a positive amount in {account.currency}.",
            field="amount",
            remedy="Ask for more than zero, in the account's currency.",
        )
    current = await situation(session, account_id, cycle=cycle)
    if current.facts.open_payout_id is not None:
        raise PayoutOpen(current.facts.open_payout_id)
    reasons = refusals(current, gross)
    if reasons:
        raise refused(current, gross, reasons)
    payout = _draft(current, actor, gross, rail)
    payout.checks = checks(current, await risk_facts(session, payout), gross)
    await warnings.payout_leaves(session, current.account, rooms_left(current, gross), gross, current.facts.now)
    session.add(payout)
    await session.flush()
    await outbox.start_workflow(
        session, workflow_id=workflow(payout.id), name="Payout", payload={"payout_id": payout.id}
    )
    await audit.record(
        session,
        action="payout.requested",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=payout.requested_at,
        actor=actor.user_id,
        role=actor.role,
        evidence={
            "gross_minor": gross.minor,
            "refund_minor": payout.refund_minor,
            "forfeited_minor": payout.forfeited_minor,
            "cycle": cycle,
            "currency": gross.currency,
            "terms_digest": payout.terms_digest,
        },
    )
    return payout


async def _lock_own(session: AsyncSession, account_id: str, actor: Actor) -> Account:
    """The actor's account, locked; raises NotFound."""
    challenge_id = await session.scalar(
        select(Account.challenge_id).where(Account.id == account_id, Account.trader_id == actor.trader_id)
    )
    if challenge_id is None:
        raise NotFound()
    _, account = await payout_account.lock(session, challenge_id, account_id)
    return account


def _draft(current: Situation, actor: Actor, gross: Money, rail: str) -> Payout:
    terms, now = current.product.payout, current.facts.now
    amount = current.amount(gross)
    payout = Payout(
        id=new_id("pay"),
        account_id=current.account.id,
        challenge_id=current.challenge.id,
        trader_id=current.trader.id,
        requested_by=actor.user_id,
        state=PAYOUT.initial,
        gross_minor=gross.minor,
        trader_minor=amount.trader,
        firm_minor=amount.firm,
        refund_minor=amount.refund,
        forfeited_minor=amount.forfeited,
        cycle=current.facts.cycle,
        currency=gross.currency,
        rail=rail,
        beneficiary=current.trader.beneficiary or "",
        requested_at=now,
        decide_by=now + timedelta(days=terms.decision_days),
        was_held=False,
    )
    payout.approvers_needed = policy.approvers_needed(sent_of(payout), terms)
    payout.terms_digest = digest(payout, current.product)
    return payout


def set_forfeit(payout: Payout, current: Situation) -> None:
    """What lies beyond the cap is what lies beyond it when the money is held; nobody has approved anything yet."""
    payout.forfeited_minor = current.amount(gross_of(payout)).forfeited
    payout.terms_digest = digest(payout, current.product)


def share_of(payout: Payout) -> Money:
    return Money(minor=payout.trader_minor, currency=payout.currency)


def refund_of(payout: Payout) -> Money:
    """What of the fee comes back with the share."""
    return Money(minor=payout.refund_minor, currency=payout.currency)


def sent_of(payout: Payout) -> Money:
    """What the trader is sent: the share, and what of the fee comes back with it."""
    return share_of(payout) + refund_of(payout)


def gross_of(payout: Payout) -> Money:
    return Money(minor=payout.gross_minor, currency=payout.currency)


def digest(payout: Payout, product: Product) -> str:
    """What an approval of the row as it stands now would be for."""
    return policy.terms_digest(
        payout_id=payout.id,
        trader_share=share_of(payout),
        refund_minor=payout.refund_minor,
        forfeited_minor=payout.forfeited_minor,
        beneficiary_index=keys().index(payout.beneficiary),
        product_hash=product.content_hash,
    )


async def locked(session: AsyncSession, payout_id: str) -> Payout:
    """The row, locked until the transaction ends; raises NotFound."""
    return await rows.locked(session, Payout, payout_id)


async def product_of(session: AsyncSession, payout: Payout) -> Product:
    account = await session.get_one(Account, payout.account_id)
    return await products.load(session, account.product, account.version)


async def risk_facts(session: AsyncSession, payout: Payout) -> RiskFacts:
    """What is in this payout's way now. Challenge, account and identity are locked until the transaction ends."""
    challenge, account = await payout_account.lock(session, payout.challenge_id, payout.account_id)
    product = await products.load(session, account.product, account.version)
    identity = await session.scalar(
        select(Trader.identity).where(Trader.id == payout.trader_id).with_for_update(read=True)
    )
    cases = select(Case.id).join(CaseAccount).join(Account, Account.id == CaseAccount.account_id).distinct()
    cases = cases.order_by(Case.id)
    is_open = await session.scalars(cases.where(Account.trader_id == payout.trader_id, Case.state == "open"))
    confirmed = await surveillance.confirmed_against(session, payout.challenge_id)
    transfer = await session.get(Intent, transfer_key(payout.id), populate_existing=True)
    outcome = transfer.result if transfer is not None else None
    disputes = await session.scalars(
        select(Dispute.id).where(Dispute.challenge_id == payout.challenge_id, Dispute.state.in_(_OPEN_DISPUTES))
    )
    return RiskFacts(
        challenge_state=challenge.state,
        account_status=account.status,
        breaches=await payout_account.breaches(session, account.id),
        open_reviews=await payout_account.open_reviews(session, account.id),
        levels_beyond=await payout_account.levels_beyond(session, payout, account, product),
        identity=identity or "gone",
        open_cases=tuple(is_open),
        confirmed_cases=tuple(confirmed),
        open_disputes=tuple(disputes),
        open_payment_reviews=await payment_reviews.holding(session, payout.trader_id),
        terms_intact=digest(payout, product) == payout.terms_digest,
        transfer_refused=str((outcome or {}).get("refused", "")),
        transfer_begun=transfer is not None and outcome is None,
    )


async def approvals(session: AsyncSession, payout: Payout) -> tuple[int, int]:
    """(approvals that count now, approvals needed): people, roles and terms as they are at this moment."""
    product = await product_of(session, payout)
    requester = await session.get_one(User, payout.requested_by)
    votes = await decisions.votes(session, "payout", payout.id)
    counted = approvals_that_count(
        "payout", votes, requester_person=requester.person_id, digest=digest(payout, product)
    )
    return counted, policy.approvers_needed(sent_of(payout), product.payout)


async def advance(
    session: AsyncSession,
    payout: Payout,
    trigger: str,
    *,
    reason: str = "",
    told: str = "",
    actor: str = "system",
    role: str = "system",
    detail: dict[str, object] | None = None,
) -> None:
    """One step of the locked row's machine; raises IllegalTransition. A payout can be held and freed many times, so
    the step's key counts: the row lock and the state it starts from make repeating a step harmless. `reason` is
    for the firm, `told` for the trader."""
    now = await market_now(session)
    taken = await session.scalar(
        select(func.count()).where(Transition.subject_kind == "payout", Transition.subject_id == payout.id)
    )
    payout.state = await transitions.apply(
        session,
        PAYOUT,
        subject_kind="payout",
        subject_id=payout.id,
        state_now=payout.state,
        trigger=trigger,
        key=f"{taken}/{trigger}",
        occurred_at=now,
        detail=detail,
        actor=actor,
        role=role,
        reason=reason,
    )
    if reason and trigger != "approvals_complete":  # why it is held, or how it ended; approvals say why in their rows
        payout.reason = reason
    if told:
        payout.told = told
    if payout.state in PAYOUT.terminal:
        payout.closed_at = now


async def can_be_stopped(session: AsyncSession, payout: Payout) -> bool:
    """Whether the locked row is approved and its transfer not declared yet."""
    return payout.state == "approved" and await session.get(Intent, transfer_key(payout.id)) is None


async def rest(session: AsyncSession, payout: Payout) -> None:
    """Register what the payout waits for in market time, with the state it rests in."""
    due = payout.decide_by if payout.state in OPEN_TO_PEOPLE else None
    if payout.state == "sent":
        due = await market_now(session) + _TRANSFER_CHECK
    await outbox.wake_at(session, workflow_id=workflow(payout.id), due_at=due)


async def why_releasing(session: AsyncSession, payout: Payout) -> str:
    """The trigger that led into `releasing`."""
    trigger = await session.scalar(
        select(Transition.trigger)
        .where(
            Transition.subject_kind == "payout",
            Transition.subject_id == payout.id,
            Transition.to_state == "releasing",
        )
        .order_by(Transition.id.desc())
        .limit(1)
    )
    return trigger or ""


async def risk_changed(session: AsyncSession, *, cause: str, trader_ids: list[str]) -> None:
    """Have every open payout of these traders looked at again, once this transaction commits.

    `cause` is a business key such as `case/cas_…/confirmed`: the same cause wakes a payout once.
    """
    open_payouts = await session.scalars(
        select(Payout.id).where(Payout.trader_id.in_(trader_ids), Payout.closed_at.is_(None)).order_by(Payout.id)
    )
    for payout_id in open_payouts:
        key = f"risk/{payout_id}/{cause}"
        await outbox.signal_workflow(
            session, key=key, workflow_id=workflow(payout_id), name="risk_changed", payload={"key": key}
        )


async def transfer_changed(session: AsyncSession, *, key: str, rail: str, transfer_id: str) -> bool:
    """Tell the payout behind a transfer to look at it; False when no payout on this rail has it."""
    found = select(Payout.id).where(Payout.rail == rail, Payout.transfer_id == transfer_id)
    payout_id = await session.scalar(found)
    if payout_id is None:
        return False
    await outbox.signal_workflow(
        session,
        key=f"transfer/{key}",
        workflow_id=workflow(payout_id),
        name="transfer_changed",
        payload={"key": key, "transfer_id": transfer_id},
    )
    return True
