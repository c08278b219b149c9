"""Decisions asked for as the API does it: the row first, then the message that carries it."""

from datetime import timedelta

from contracts.messages import DecisionRequest, RefundRequest
from domain.decision_requests import DecidedKind, DecisionAsked
from domain.dispute_policy import DisputePolicy
from firm import case_actions, decision_requests, dispute_policies
from firm.payouts import approving, beneficiaries
from store import case_evidence
from store.db import Database
from store.models import Payout
from store.read import disputes
from store.scope import FIRM


async def shown_account(db: Database, payout_id: str, rail: str = "") -> str:
    """Returns the digest of the account that a payout would be sent to again now."""
    async with db.transaction() as session:
        payout = await session.get_one(Payout, payout_id)
        return beneficiaries.digest((await beneficiaries.of(session, payout, rail or payout.rail)).account)


async def ask_for(
    db: Database,
    kind: DecidedKind,
    subject_id: str,
    verb: str,
    request: DecisionRequest | RefundRequest,
    *,
    valid: timedelta = decision_requests.VALID,
    seen: str | None = None,
) -> None:
    """`seen`: what the person read; None: what the page of the payout or case shows now."""
    asked = DecisionAsked(
        key=request.key, subject_kind=kind, subject_id=subject_id, verb=verb, user_id=request.actor.user_id
    )
    async with db.transaction() as session:
        if kind == "payout" and seen is None:
            seen = (await approving.viewed(session, FIRM, subject_id)).seen
        if kind == "case" and seen is None:
            proposal = await case_actions.proposed(session, subject_id)
            seen = (await case_evidence.of(session, subject_id)).seen(subject_id, proposal)
        if kind == "dispute" and seen is None:
            seen = await disputes.seen(session, subject_id)
        await decision_requests.ask(session, asked, reason=request.stated, seen=seen, valid=valid)


async def one_decides_disputes(db: Database) -> None:
    """Puts a policy in force by which one person decides a dispute."""
    async with db.transaction() as session:
        await dispute_policies.publish(session, DisputePolicy(reinstate_people=1))
