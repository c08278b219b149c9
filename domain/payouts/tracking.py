"""Where a payout is, as its trader follows it: each step, who holds it, and until when. An approval is not a transfer,
and a transfer is not yet an arrival. Of the firm it names roles only, and no reason."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

StepState = Literal["done", "now", "next", "skipped"]
StepName = Literal["requested", "set_aside", "checked", "approved", "sent", "arrived", "ended"]

# state -> the step that the payout is at, or was at last
_AT: Final[Mapping[str, StepName]] = {
    "requested": "set_aside",
    "reserved": "checked",
    "in_review": "checked",
    "awaiting_approval": "approved",
    "approved": "sent",
    "sent": "arrived",
    "settling": "arrived",
    "returned": "sent",
    "owed": "sent",
}
_ENDS: Final = frozenset({"refused", "rejected", "cancelled", "timed_out", "released", "releasing"})
_STEPS: Final[tuple[StepName, ...]] = ("requested", "set_aside", "checked", "approved", "sent", "arrived")
# the state that says that a step is done
_DONE_BY: Final[Mapping[StepName, tuple[str, ...]]] = {
    "set_aside": ("reserved",),
    "checked": ("awaiting_approval", "approved"),
    "approved": ("approved",),
    "sent": ("sent",),
    "arrived": ("settling", "paid"),
}
_TITLES: Final[Mapping[StepName, str]] = {
    "requested": "Requested",
    "set_aside": "Set aside",
    "checked": "Checked",
    "approved": "Approved",
    "sent": "Sent",
    "arrived": "Arrived",
    "ended": "Ended",
}
# what a step is: before it begins, while it is under way, and once it is done
_MEANS: Final[Mapping[StepName, tuple[str, str, str]]] = {
    "requested": ("", "", "You asked for it."),
    "set_aside": (
        "The amount leaves the balance of your account and is kept for this payout.",
        "The amount is being taken from the balance of your account and kept for this payout.",
        "The amount has left the balance of your account and is kept for this payout.",
    ),
    "checked": (
        "The firm compares the request with your terms.",
        "The firm is comparing the request with your terms.",
        "The firm has compared the request with your terms.",
    ),
    "approved": (
        "The firm decides whether to pay.",
        "The firm is deciding. Nothing has been sent yet.",
        "The firm agreed to pay.",
    ),
    "sent": (
        "The transfer goes to the payment company.",
        "The transfer is being handed to the payment company.",
        "The payment company has taken the transfer.",
    ),
    "arrived": (
        "The payment company confirms that the money is in your bank account.",
        "The transfer is on its way to your bank account. It has not arrived yet.",
        "The payment company says that your bank account has the money.",
    ),
    "ended": (
        "",
        "The amount is going back to your account.",
        "Nothing more is paid for this request.",
    ),
}
# states that a step under way says something else of
_MEANS_IN: Final[Mapping[str, str]] = {
    "in_review": "The firm's finance team is checking the request.",
    "settling": "The money has arrived, and the firm is booking it.",
    "returned": "The transfer came back. The firm's finance team is deciding what happens next.",
    "owed": "The transfer came back. The firm keeps the amount for you until it can be paid.",
}
_TENSES: Final = ("next", "now", "done")
_HOLDERS: Final[Mapping[str, str]] = {
    "requested": "the trading platform",
    "reserved": "the firm, by automatic checks",
    "in_review": "the firm's finance team",
    "awaiting_approval": "the firm's finance team",
    "approved": "the firm, which hands it to the payment company",
    "sent": "the payment company and your bank",
    "settling": "the firm, which books it",
    "returned": "the firm's finance team",
    "owed": "the firm's finance team",
    "releasing": "the trading platform, which puts the amount back",
}


@dataclass(frozen=True, slots=True)
class TrackedStep:
    """One step. `at`: when it was done, in market time. `holder`: who has the payout now, of a step that is under way.
    `until`: by when that ends, where a date is set. `words`: what happens in the step, or happened."""

    name: StepName
    title: str
    state: StepState
    at: datetime | None
    holder: str
    until: datetime | None
    words: str


def tracked(
    state: str,
    *,
    requested_at: datetime,
    entered: Mapping[str, datetime],
    decide_by: datetime | None,
    closed_at: datetime | None,
) -> tuple[TrackedStep, ...]:
    """Returns the steps of a payout in `state`, in order. `entered`: when it entered each state last; a payout without
    approvals goes through awaiting_approval as well."""
    ended = state in _ENDS
    at = _AT.get(state)
    here = len(_STEPS) if at is None else _STEPS.index(at)
    steps = []
    for place, name in enumerate(_STEPS):
        done_at = requested_at if name == "requested" else _done_at(name, entered)
        if ended:
            status: StepState = "done" if done_at is not None else "skipped"
        elif place == here:
            status, done_at = "now", None
        else:
            status = "done" if place < here else "next"
        steps.append(_step(name, status, done_at if status == "done" else None, state, decide_by))
    if ended:
        running = state == "releasing"
        steps.append(_step("ended", "now" if running else "done", None if running else closed_at, state, None))
    return tuple(steps)


def _done_at(name: StepName, entered: Mapping[str, datetime]) -> datetime | None:
    found = [entered[each] for each in _DONE_BY[name] if each in entered]
    return min(found, default=None)


def _step(
    name: StepName, status: StepState, at: datetime | None, state: str, decide_by: datetime | None
) -> TrackedStep:
    now = status == "now"
    people = state in ("in_review", "awaiting_approval")
    return TrackedStep(
        name=name,
        title=_TITLES[name],
        state=status,
        at=at,
        holder=_HOLDERS.get(state, "") if now else "",
        until=decide_by if now and people else None,
        words=_words(name, status, state),
    )


def _words(name: StepName, status: StepState, state: str) -> str:
    if status == "skipped":
        return ""
    means = _MEANS[name][_TENSES.index(status)]
    return _MEANS_IN.get(state, means) if status == "now" else means
