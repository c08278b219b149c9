"""Who decided something, what and when: the sentence that replaces the form once nothing is left to decide."""

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from console.views.decision import DecisionRow
from front.subjects.table import SUBJECTS
from store.read.history import TransitionView

_DONE: Final = {verb.name: verb.done for subject in SUBJECTS for verb in subject.verbs}
# Payouts that ended without a decision of a person, and payouts that ended after an approval.
_PAYOUT_ENDS: Final = {
    "refused": "Refused automatically when it was requested",
    "rejected": "Rejected automatically",
    "cancelled": "Cancelled automatically",
    "timed_out": "Nobody decided in time, so the amount was released",
    "released": "The transfer came back and the amount went back to the account",
}
_PAYOUT_GOES_OUT: Final = ("approved", "sent", "settling", "paid")
_PAYOUT_UNDECIDED: Final = ("requested", "reserved", "in_review", "awaiting_approval", "returned", "owed")


def by_people(rows: Sequence[DecisionRow]) -> str:
    """ "Approved by Ana Ruiz (admin) and Finn Okafor (finance), 2014-05-02 14:30 UTC."; `rows` are all of one decision.
    Empty when nobody decided."""
    if not rows:
        return ""
    names = list(dict.fromkeys(row.by if row.by == row.role else f"{row.by} ({row.role})" for row in rows))
    people = names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
    return f"{rows[-1].done} by {people}, {moment(rows[-1].at)}."


def done(decision: str) -> str:
    """Returns a decision as what was done: "approve" becomes "Approved"."""
    return _DONE.get(decision, decision.replace("_", " ").capitalize())


def moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


def last(rows: Sequence[DecisionRow]) -> str:
    """Everybody who decided as the last person did."""
    return by_people([row for row in rows if row.decision == rows[-1].decision]) if rows else ""


def payout(state: str, rows: Sequence[DecisionRow], closed_at: datetime | None) -> str:
    """Empty before people can decide, and while they can."""
    if state in _PAYOUT_UNDECIDED:
        return ""
    approved = by_people([row for row in rows if row.decision == "approve"])
    if state in _PAYOUT_GOES_OUT:
        return approved or "Approved automatically: this amount needs no approval."
    if ended := last([row for row in rows if row.decision not in ("approve", "retract")]):
        return ended
    if state == "releasing":
        return ""
    fact = _PAYOUT_ENDS.get(state, state.replace("_", " ").capitalize())
    when = f"{fact}, {moment(closed_at)}." if closed_at else f"{fact}."
    return f"{approved} {when}" if approved and state == "released" else when


def others(state: str, open_in: Sequence[str], rows: Sequence[DecisionRow], steps: Sequence[TransitionView]) -> str:
    """For subjects that are decided once. Without a recorded decision, the last step says how it ended."""
    if state in open_in:
        return ""
    fact = state.replace("_", " ").capitalize()
    return last(rows) or (f"{fact}, {moment(steps[-1].occurred_at)}." if steps else f"{fact}.")
