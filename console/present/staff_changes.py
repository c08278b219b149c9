"""A proposed change of the staff as a person sees it before deciding."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from domain.approvals import Actor
from front.subjects.staff_change import STAFF_CHANGE
from store.read import staff
from store.read.staff import StaffChangeView


async def staff_change(session: AsyncSession, actor: Actor, change_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await staff.change(session, change_id)
    refusal, is_open, made = may(actor, "staff_changes.decide"), row.state == "proposed", decision_rows(row.decisions)
    return DecisionView(
        kind="staff_change",
        subject_id=row.id,
        title=row.words,
        state=row.state,
        effect=_effect(row) if is_open else f"This change is {words(row.state)}.",
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Why", row.reason),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("Role now", row.role_from or "none yet"),
            ("Role then", row.role_to or "the same"),
        ),
        decisions=made,
        closed=closed.others(row.state, ("proposed",), made, row.transitions),
        choices=[choice(STAFF_CHANGE.verb(name)) for name in _verbs(row, actor)] if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
    )


def _verbs(row: StaffChangeView, actor: Actor) -> tuple[str, ...]:
    return ("withdraw",) if row.proposed_by == actor.user_id else ("approve", "reject")


def _effect(row: StaffChangeView) -> str:
    if row.kind == "invite":
        return "Approving sends the invitation. Its link works once, within three days."
    return "Approving takes effect at once and signs this person out everywhere."
