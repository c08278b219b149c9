"""Adjustments, closings and free resets of accounts: one person proposes, and another one approves."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from domain.interventions import PROPOSERS
from firm import interventions
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import Intervention
from store.read.interventions import LABELS
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("interventions.decide", DECIDERS["intervention"])
_PROPOSE: Final = Right("interventions.propose", PROPOSERS)


class InterventionStep(View):
    """An intervention after a step."""

    id: str
    account_id: str
    state: str


def stepped(made: Intervention) -> InterventionStep:
    return InterventionStep(id=made.id, account_id=made.account_id, state=made.state)


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=Intervention.id,
        state=Intervention.state,
        since=Intervention.proposed_at,
        asked_by=Intervention.proposed_by,
        account_id=Intervention.account_id,
        trader_id=Intervention.trader_id,
        amount_minor=Intervention.change_minor,
        currency=Intervention.currency,
        note=Intervention.kind,
    ).where(Intervention.state == "proposed")


def _words(row: Row) -> str:
    label = LABELS[row.note or ""]
    return f"{label} of {row.amount}" if row.amount is not None else label


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. What the platform can do was checked when it was proposed. Raises what `firm.interventions`
    refuses with."""
    made = await interventions.decide(
        session,
        decision.subject_id,
        verb="approve" if decision.verb == "approve" else "reject",
        moves_balances=True,
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(made.state, stepped(made))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.interventions` refuses with."""
    made = await interventions.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken(made.state, stepped(made))


INTERVENTION: Final = Subject(
    name="intervention",
    label="change of an account",
    plural="changes of accounts",
    waits_as="Changes of accounts to approve",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("interventions.read", STAFF),
    under="/accounts",
    page="/interventions",
    api="/interventions",
    verbs=(
        Verb(
            "approve", "Approve", "Approved", _DECIDE,
            "Carry out the change and tell the trader. Whoever proposed it cannot approve it.",
            style="primary", path="approve", carry_out=decide, answer=InterventionStep, proof="money",
        ),
        Verb(
            "reject", "Reject", "Rejected", _DECIDE, "Nothing changes, and the trader is not told.",
            style="danger", path="reject", carry_out=decide, answer=InterventionStep,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", _PROPOSE, "Take one's own proposal back, before it is approved.",
            path="withdraw", carry_out=withdraw, answer=InterventionStep,
        ),
    ),
    find=Findable("itv", Intervention, to_staff),
)  # fmt: skip
