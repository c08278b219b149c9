"""Changes of the staff: roles, disabling, enabling, invitations. One admin proposes, another approves."""

from datetime import timedelta
from typing import Any, Final

from sqlalchemy import Select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import DECIDERS
from firm import staff
from front.subjects.subject import Decision, Right, Subject, Taken, Verb
from store.models import StaffChange
from store.read.pages import View
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows

_DECIDE: Final = Right("staff_changes.decide", DECIDERS["staff_change"])


class StaffChanged(View):
    """A proposed change after a step."""

    id: str
    state: str


def _rows() -> Select[Any]:
    return waiting_rows(
        subject_id=StaffChange.id,
        state=StaffChange.state,
        since=StaffChange.proposed_at,
        asked_by=StaffChange.proposed_by,
        note=StaffChange.kind,
    ).where(StaffChange.state == "proposed")


_KINDS: Final = {"role": "another role", "disable": "disable a login", "enable": "enable a login", "invite": "invite"}


def _words(row: Row) -> str:
    return f"Staff: {_KINDS.get(row.note or '', row.note)}"


async def decide(session: AsyncSession, decision: Decision) -> Taken:
    """Approve or reject. Raises what `firm.staff` refuses with."""
    row = await staff.decide(
        session,
        decision.subject_id,
        verdict="approve" if decision.verb == "approve" else "reject",
        actor=decision.actor,
        reason=decision.reason,
        key=decision.key,
    )
    return Taken(row.state, StaffChanged(id=row.id, state=row.state))


async def withdraw(session: AsyncSession, decision: Decision) -> Taken:
    """Raises what `firm.staff` refuses with."""
    row = await staff.withdraw(session, decision.subject_id, actor=decision.actor, reason=decision.reason)
    return Taken(row.state, StaffChanged(id=row.id, state=row.state))


STAFF_CHANGE: Final = Subject(
    name="staff_change",
    label="staff change",
    plural="staff changes",
    waits_as="Changes of the staff",
    waiting=Waiting(_rows, timedelta(hours=24), _words),
    read=Right("staff_changes.read", frozenset({"admin", "auditor"})),
    under="/",
    page="/staff-changes",
    api="/staff-changes",
    verbs=(
        Verb(
            "approve", "Approve", "Approved", _DECIDE,
            "Approve; it takes effect at once. Neither who proposed it nor whom it is about can approve it.",
            style="primary", path="approve", carry_out=decide, answer=StaffChanged, proof="roles",
        ),
        Verb(
            "reject", "Reject", "Rejected", _DECIDE, "Refuse the change.",
            style="danger", path="reject", carry_out=decide, answer=StaffChanged,
        ),
        Verb(
            "withdraw", "Withdraw", "Withdrawn", _DECIDE, "Take one's own proposal back.",
            path="withdraw", carry_out=withdraw, answer=StaffChanged,
        ),
    ),
    find=Findable("sch", StaffChange, to_staff),
)  # fmt: skip
