"""Payouts with checks, decisions, transitions and ledger lines."""

from datetime import datetime
from typing import Any

from sqlalchemy import ScalarSelect, Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from store.models import Account, Decision, LedgerTransaction, Payout, Posting, Trader
from store.read import history
from store.read.history import DecisionView, TransitionView
from store.read.pages import Page, Scope, View, Window, account_number, keyset, mask_iban


class PayoutRow(View):
    """`sent_minor` is what the trader receives: the share plus `refund_minor` of the fee.

    `forfeited_minor` is taken from the account and paid to nobody. `proof_id` is the proof of a refusal. `told` is the
    reason in words for the trader; `reason` is the one for staff, and equals `told` when a trader reads it.
    """

    id: str
    account_id: str
    account_number: str
    challenge_id: str
    trader_id: str
    trader_name: str
    state: str
    gross_minor: int
    trader_minor: int
    firm_minor: int
    refund_minor: int
    forfeited_minor: int
    sent_minor: int
    cycle: str | None
    currency: str
    approvals: int
    approvers_needed: int
    was_held: bool
    reason: str | None
    told: str | None
    proof_id: str | None
    requested_at: datetime
    decide_by: datetime | None
    closed_at: datetime | None


class LedgerLine(View):
    """Debit positive."""

    transaction_id: int
    kind: str
    account: str
    currency: str
    amount_minor: int
    occurred_at: datetime


class PayoutView(PayoutRow):
    """`checks`: name -> {"ok", "words"}.

    Checks, `transfer_id` and ledger are for staff: a trader must not learn of surveillance.
    """

    beneficiary: str | None
    checks: dict[str, Any]
    transfer_id: str | None
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]
    ledger: tuple[LedgerLine, ...]


def _approvals() -> ScalarSelect[int]:
    return (
        select(func.count(func.distinct(Decision.person_id)))
        .where(
            Decision.subject_kind == "payout",
            Decision.subject_id == Payout.id,
            Decision.decision == "approve",
            Decision.subject_digest == Payout.terms_digest,
        )
        .correlate(Payout)
        .scalar_subquery()
    )


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(Payout, Account.number, Trader.name.label("trader_name"), _approvals().label("approvals"))
        .join(Account, Account.id == Payout.account_id)
        .join(Trader, Trader.id == Payout.trader_id)
        .where(scope.own(Payout.trader_id))
    )


def _fields(scope: Scope, row: Any) -> dict[str, Any]:
    payout: Payout = row.Payout
    return {
        "id": payout.id,
        "account_id": payout.account_id,
        "account_number": account_number(row.number),
        "challenge_id": payout.challenge_id,
        "trader_id": payout.trader_id,
        "trader_name": row.trader_name,
        "state": payout.state,
        "gross_minor": payout.gross_minor,
        "trader_minor": payout.trader_minor,
        "firm_minor": payout.firm_minor,
        "refund_minor": payout.refund_minor,
        "forfeited_minor": payout.forfeited_minor,
        "sent_minor": payout.trader_minor + payout.refund_minor,
        "cycle": payout.cycle,
        "currency": payout.currency,
        "approvals": row.approvals,
        "approvers_needed": payout.approvers_needed,
        "was_held": scope.staff and payout.was_held,
        "reason": payout.reason if scope.staff else payout.told,
        "told": payout.told,
        "proof_id": payout.proof_id,
        "requested_at": payout.requested_at,
        "decide_by": payout.decide_by,
        "closed_at": payout.closed_at,
    }


async def page(
    session: AsyncSession,
    scope: Scope,
    window: Window,
    *,
    state: str | None = None,
    account_id: str | None = None,
    trader_id: str | None = None,
) -> Page[PayoutRow]:
    """Newest first."""
    statement = _statement(scope)
    for column, wanted in ((Payout.state, state), (Payout.account_id, account_id), (Payout.trader_id, trader_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows, cursor = await keyset(session, statement, [Payout.recorded_at, Payout.id], window)
    return Page[PayoutRow](items=tuple(PayoutRow(**_fields(scope, row)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, payout_id: str) -> PayoutView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Payout.id == payout_id))).one_or_none()
    if row is None:
        raise NotFound
    payout: Payout = row.Payout
    return PayoutView(
        **_fields(scope, row),
        beneficiary=mask_iban(payout.beneficiary),
        checks=payout.checks if scope.staff else {},
        transfer_id=payout.transfer_id if scope.staff else None,
        decisions=await _decisions(session, scope, payout_id),
        transitions=await history.transitions(session, scope, "payout", payout_id),
        ledger=await _ledger(session, payout_id) if scope.staff else (),
    )


async def _decisions(session: AsyncSession, scope: Scope, payout_id: str) -> tuple[DecisionView, ...]:
    """Returns the decisions. A trader sees only reasons written to or by the trader."""
    made = await history.decisions(session, scope, "payout", payout_id)
    if scope.staff:
        return made
    own = [one.decision == "return_to_trader" or one.role == "trader" for one in made]
    return tuple(
        one if is_own else one.model_copy(update={"reason": ""}) for one, is_own in zip(made, own, strict=True)
    )


async def _ledger(session: AsyncSession, payout_id: str) -> tuple[LedgerLine, ...]:
    rows = await session.execute(
        select(Posting, LedgerTransaction)
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == payout_id)
        .order_by(Posting.id)
    )
    return tuple(
        LedgerLine(
            transaction_id=transaction.id,
            kind=transaction.kind,
            account=posting.account,
            currency=posting.currency,
            amount_minor=posting.amount_minor,
            occurred_at=transaction.occurred_at,
        )
        for posting, transaction in rows
    )
