"""Disputes with their evidence and decisions."""

import json
from datetime import datetime
from typing import Any

from sqlalchemy import Select, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import dispute_pack, dispute_policy
from domain.dispute_policy import DisputePolicy
from domain.disputes import evidence_digest, seen_digest
from domain.errors import NotFound
from domain.money import Money
from store.models import (
    Account,
    Breach,
    Case,
    Decision,
    Dispute,
    DisputePack,
    DisputePolicyRow,
    DisputeWords,
    Trader,
)
from store.read import compensations, history, precedents
from store.read.history import DecisionView, TransitionView
from store.read.pages import Page, View, Window, account_number, keyset
from store.scope import Scope


class DisputeRow(View):
    """Of a breach: `breach_id` and `rule_id`. An appeal against what was decided about a surveillance case: `action`
    (warn, deduct, deny or close), and for staff `case_id`.

    `instance`: 2 for the appeal against an upheld dispute of the same breach. `decide_by`: market time by which it is
    to be decided; `escalated_at`: when it was raised to admin because that passed. `message`: what the trader was
    told."""

    id: str
    breach_id: str | None
    case_id: str | None
    action: str
    challenge_id: str
    account_id: str
    account_number: str
    trader_id: str
    trader_name: str
    state: str
    rule_id: str
    currency: str
    instance: int
    decide_by: datetime | None
    escalated_at: datetime | None
    message: str
    opened_at: datetime
    closed_at: datetime | None


class DisputeView(DisputeRow):
    """`statement` is the trader's own text. `appeal_until`: until when the trader may appeal; None: not (any more).

    For staff: `needed`, how many different people each decision takes; `seen`, the digest that a decision carries;
    `precedents`, the nearest disputes that were decided before. A trader reads the decision once it is made: its
    message, and neither names nor the reason."""

    proof_id: str | None
    floor_minor: int | None  # only for limits on balance or equity
    equity_minor: int | None
    statement: str
    evidence: dict[str, Any]
    decisions: tuple[DecisionView, ...]
    transitions: tuple[TransitionView, ...]
    appeal_until: datetime | None
    pack_digest: str | None
    compensations: tuple[compensations.CompensationView, ...]
    needed: dict[str, int]
    seen: str | None
    precedents: tuple[precedents.Precedent, ...]


def _statement(scope: Scope) -> Select[Any]:
    return (
        select(
            Dispute,
            Breach,
            Case.action,
            Account.number,
            Account.currency,
            Account.initial_minor,
            Account.product,
            Trader.name.label("trader_name"),
        )
        .outerjoin(Breach, Breach.id == Dispute.breach_id)
        .outerjoin(Case, Case.id == Dispute.case_id)
        .join(Account, Account.id == Dispute.account_id)
        .join(Trader, Trader.id == Dispute.trader_id)
        .where(scope.own(Dispute.trader_id))
    )


def _fields(row: Any, scope: Scope) -> dict[str, Any]:
    dispute: Dispute = row.Dispute
    breach: Breach | None = row.Breach
    return {
        "id": dispute.id,
        "breach_id": dispute.breach_id,
        "case_id": dispute.case_id if scope.staff else None,
        "action": row.action or "",
        "challenge_id": dispute.challenge_id,
        "account_id": dispute.account_id,
        "account_number": account_number(row.number),
        "trader_id": dispute.trader_id,
        "trader_name": row.trader_name,
        "state": dispute.state,
        "rule_id": breach.rule_id if breach else "",
        "currency": row.currency,
        "instance": dispute.instance,
        "decide_by": dispute.decide_by,
        "escalated_at": dispute.escalated_at if scope.staff else None,
        "message": dispute.message or "",
        "opened_at": dispute.opened_at,
        "closed_at": dispute.closed_at,
    }


async def page(
    session: AsyncSession, scope: Scope, window: Window, *, state: str | None = None, account_id: str | None = None
) -> Page[DisputeRow]:
    """Newest first."""
    statement = _statement(scope)
    for column, wanted in ((Dispute.state, state), (Dispute.account_id, account_id)):
        if wanted is not None:
            statement = statement.where(column == wanted)
    rows, cursor = await keyset(session, statement, [Dispute.recorded_at, Dispute.id], window)
    return Page[DisputeRow](items=tuple(DisputeRow(**_fields(row, scope)) for row in rows), next_cursor=cursor)


async def one(session: AsyncSession, scope: Scope, dispute_id: str) -> DisputeView:
    """Raises NotFound."""
    row = (await session.execute(_statement(scope).where(Dispute.id == dispute_id))).one_or_none()
    if row is None:
        raise NotFound
    breach: Breach | None = row.Breach
    dispute: Dispute = row.Dispute
    return DisputeView(
        **_fields(row, scope),
        proof_id=breach.proof_id if breach else None,
        floor_minor=breach.floor_minor if breach else None,
        equity_minor=breach.equity_minor if breach else None,
        statement=dispute.statement,
        evidence=dispute.evidence,
        decisions=await history.decisions(session, scope, "dispute", dispute_id),
        transitions=await history.transitions(session, scope, "dispute", dispute_id),
        appeal_until=await appeal_until(session, dispute),
        pack_digest=dispute.evidence.get(dispute_pack.FIELD),
        compensations=await compensations.of_dispute(session, scope, dispute_id),
        **(await _for_staff(session, row) if scope.staff else {"needed": {}, "seen": None, "precedents": ()}),
    )


async def _for_staff(session: AsyncSession, row: Any) -> dict[str, Any]:
    dispute: Dispute = row.Dispute
    size = Money(minor=row.initial_minor, currency=row.currency)
    about_breach = dispute.breach_id is not None
    return {
        "needed": dispute_policy.people_needed(await policy(session), size, about_breach=about_breach),
        "seen": await seen(session, dispute.id),
        "precedents": await precedents.of(session, dispute, row.Breach, row.product) if about_breach else (),
    }


async def seen(session: AsyncSession, dispute_id: str) -> str:
    """Returns the digest of what a person reads before deciding. Raises NotFound."""
    dispute = await session.get(Dispute, dispute_id)
    if dispute is None:
        raise NotFound
    found = await session.execute(
        select(Decision, DisputeWords)
        .outerjoin(DisputeWords, DisputeWords.decision_id == Decision.id)
        .where(Decision.subject_kind == "dispute", Decision.subject_id == dispute_id)
        .order_by(Decision.id)
    )
    votes = [(row.id, row.decision, row.reason, said.message if said else "") for row, said in found]
    digest = evidence_digest(dispute.id, dispute.breach_id, dispute.case_id, dispute.evidence)
    return seen_digest(digest, votes)


async def appeal_until(session: AsyncSession, dispute: Dispute) -> datetime | None:
    """Returns the market time at which the time to appeal against an upheld dispute of a breach ends; None when it
    cannot be appealed."""
    if dispute.state != "upheld" or dispute.closed_at is None or dispute.breach_id is None:
        return None
    return dispute_policy.appeal_until(dispute.closed_at, dispute.instance, await policy(session))


async def newest_policy(session: AsyncSession) -> DisputePolicyRow | None:
    newest = select(DisputePolicyRow).order_by(DisputePolicyRow.number.desc()).limit(1)
    found: DisputePolicyRow | None = await session.scalar(newest)
    return found


async def policy(session: AsyncSession) -> DisputePolicy:
    """Returns the policy in force. Before one was published, whatever a band could allow takes two people."""
    row = await newest_policy(session)
    return DisputePolicy() if row is None else DisputePolicy.model_validate(row.body)


async def pack(session: AsyncSession, scope: Scope, dispute_id: str) -> bytes:
    """Returns the frozen evidence as one zip. Raises NotFound, also before it is frozen."""
    kept = await session.scalar(
        select(DisputePack).where(DisputePack.dispute_id == dispute_id, scope.own(DisputePack.trader_id))
    )
    if kept is None:
        raise NotFound
    return dispute_pack.packed(json.loads(kept.files))
