"""Changes of the surveillance policy: thresholds, holds, consequences. One person proposes, another approves."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS, STAFF
from firm import surveillance_policies
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import SurveillanceProposal
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("policy_changes.decide", DECIDERS["policy_change"])


class PolicyChanged(View):
    """A proposed change after a step."""

    id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=SurveillanceProposal.id,
        state=SurveillanceProposal.state,
        since=SurveillanceProposal.proposed_at,
        asked_by=SurveillanceProposal.proposed_by,
        note=SurveillanceProposal.reason,
    ).where(SurveillanceProposal.state == "proposed")


def _words(row: Row) -> str:
    return f"Surveillance policy: {row.note}"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. Raises what `firm.surveillance_policies` refuses with."""
    row = await surveillance_policies.decide(
        session,
        decision.subject_id,
        verdict="approve" if decision.verb == "approve" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, PolicyChanged(id=row.id, state=row.state))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.surveillance_policies` refuses with."""
    row = await surveillance_policies.withdraw(
        session, decision.subject_id, actor=decision.actor, reason=decision.reason
    )
    return Taken(row.state, PolicyChanged(id=row.id, state=row.state))


POLICY_CHANGE: Final = Subject(
    name="policy_change",
    label="policy change",
    plural="policy changes",
    waits_as="Changes of the surveillance policy",
    waiting=Waiting(_rows, timedelta(hours=72), _words),
    read=Right("policy_changes.read", STAFF),
    under="/risk",
    page="/policy-changes",
    api="/policy-changes",
    verbs=(
        Verb(
            "approve", "Put it in force", "Approved", _DECIDE,
            "Agree to exactly this policy; it is in force at once. Whoever proposed it cannot approve it.",
            style="primary", path="approve", carry_out=decide, answer=PolicyChanged,
        ),
        Verb(
            "reject", "Reject", "Rejected", _DECIDE, "Refuse the change.",
            style="danger", path="reject", carry_out=decide, answer=PolicyChanged,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", _DECIDE, "Take one's own proposal back.",
            path="withdraw", carry_out=withdraw, answer=PolicyChanged,
        ),
    ),
    find=Findable("pch", SurveillanceProposal, to_staff),
)  # fmt: skip
