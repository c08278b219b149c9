"""A proposed change of the surveillance policy as a person sees it before deciding."""

from sqlalchemy.ext.asyncio import AsyncSession

from console.formats import words
from console.present import closed
from console.present.decisions import choice, decision_rows, step_entries
from console.present.refusals import may
from console.views.decision import DecisionView
from console.views.parts import Grid
from domain.approvals import Actor
from domain.surveillance.names import pattern_name
from front.subjects.policy_change import POLICY_CHANGE
from store.read import policy_changes
from store.read.policy_changes import PolicyChangeView

_HEAD = (
    "Pattern",
    "Would find",
    "Never an alert",
    "Confirmed",
    "False",
    "Confirmed cases lost",
    "Cannot judge",
    "Replayed",
)


async def policy_change(session: AsyncSession, actor: Actor, change_id: str) -> DecisionView:
    """Raises NotFound."""
    row = await policy_changes.one(session, change_id)
    refusal, is_open, made = may(actor, "policy_changes.decide"), row.state == "proposed", decision_rows(row.decisions)
    return DecisionView(
        kind="policy_change",
        subject_id=row.id,
        title="Surveillance policy",
        state=row.state,
        effect="Approving puts this policy in force at once. Cases that are open keep the dates of their holds."
        if is_open
        else f"This change is {words(row.state)}.",
        facts=(
            ("Proposed by", row.proposed_by_name),
            ("Why", row.reason),
            ("Proposed", f"{row.proposed_at:%Y-%m-%d %H:%M} UTC"),
            ("Hash of the policy", row.content_hash[:16] + "…"),
        ),
        decisions=made,
        closed=closed.others(row.state, ("proposed",), made, row.transitions),
        choices=[choice(POLICY_CHANGE.verb(name)) for name in _verbs(row, actor)] if is_open and not refusal else (),
        refusal=refusal if is_open else "",
        timeline=step_entries(row.transitions),
        grids=[_replayed(row)],
        changes=row.changes,
        changes_title="What changes",
    )


def _verbs(row: PolicyChangeView, actor: Actor) -> tuple[str, ...]:
    return ("withdraw",) if row.proposed_by == actor.user_id else ("approve", "reject")


def _replayed(row: PolicyChangeView) -> Grid:
    rows = [
        (
            pattern_name(each.pattern),
            str(each.flagged),
            str(each.unseen),
            str(each.confirmed),
            str(each.false_positive),
            str(each.lost),
            each.cannot_judge,
            each.source,
        )
        for each in row.replayed
    ]
    empty = "No threshold changes, so nothing was replayed."
    if row.replay_waits:
        empty = "The last weeks are being judged with the new thresholds. Reload the page in a minute."
    return Grid("The last weeks under these thresholds", _HEAD, rows, empty)
