"""A payout as its trader follows it, step by step."""

from datetime import datetime

from domain.payouts.tracking import StepName, StepState, tracked
from store.read.pages import View
from store.read.payouts import PayoutView


class StepView(View):
    """One step of a payout; see `domain.payouts.tracking.TrackedStep`. Times are market time."""

    name: StepName
    title: str
    state: StepState
    at: datetime | None
    holder: str
    until: datetime | None
    words: str


def steps(payout: PayoutView) -> tuple[StepView, ...]:
    """Returns the steps of a payout, in order."""
    found = tracked(
        payout.state,
        requested_at=payout.requested_at,
        entered={each.to_state: each.occurred_at for each in payout.transitions},
        decide_by=payout.decide_by,
        closed_at=payout.closed_at,
    )
    return tuple(StepView(**{name: getattr(step, name) for name in StepView.model_fields}) for step in found)
