"""The life of a chargeback: the buyer's bank asks for a payment back, the firm answers, the bank decides.

The acquirer's word decides the state. Its events may be late, doubled or in any order, so every state may follow every
other one: the state is that of the newest answer, whatever the row said before. A decided chargeback can open again
(a second presentment, or pre-arbitration). That begins a round, and the firm can answer once in each.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.errors import ChargebackClosed
from domain.states import StateMachine
from domain.wording import name

Status = Literal["inquiry", "evidence_due", "under_review", "won", "lost"]

LOST: Final = frozenset({"lost", "accepted"})
DECIDED: Final = LOST | {"won"}
ANSWERABLE: Final = frozenset({"inquiry", "evidence_due"})
# So long after a payment its buyer may dispute it. Visa (Core Rules, dispute conditions 10 and 13) and Mastercard
# (Chargeback Guide, reason codes 4837 and 4853) give 120 days from the processing of the payment.
DISPUTABLE: Final = timedelta(days=120)
# Long before the acquirer's date: collecting evidence takes people more than an hour.
ESCALATES_BEFORE: Final = timedelta(hours=24)

_TRIGGERS: Final = {
    "inquiry_opened": "inquiry",
    "evidence_asked": "evidence_due",
    "review_began": "submitted",
    "won": "won",
    "lost": "lost",
    "accepted": "accepted",
}
_TRIGGER_OF: Final[dict[Status, str]] = {
    "inquiry": "inquiry_opened",
    "evidence_due": "evidence_asked",
    "under_review": "review_began",
    "won": "won",
    "lost": "lost",
}

CHARGEBACK: Final = StateMachine(
    noun="chargeback",
    initial="received",
    table={
        (state, trigger): target
        for state in ("received", *_TRIGGERS.values())
        for trigger, target in _TRIGGERS.items()
        if state != target
    },
    transient=frozenset({"received"}),
    reopens=DECIDED,
)


def trigger_of(status: Status, *, accepted: bool) -> str:
    """Returns the trigger for the acquirer's status. `accepted`: the firm has given up, so a loss is its own choice."""
    return "accepted" if accepted and status == "lost" else _TRIGGER_OF[status]


def stops_trading(status: Status, *, withdrawn: bool) -> bool:
    """Returns whether accounts of this payment are suspended: the money is gone and the bank has not decided."""
    return withdrawn and status not in ("won", "lost")


def begins_round(before: str, after: str, *, answered: bool) -> bool:
    """Returns whether the firm is asked again, after it has answered: the chargeback was decided or under review, or
    was only an inquiry. `answered`: the acquirer has the answer of the round until now."""
    asked_before = before in DECIDED or before in ("submitted", "inquiry")
    return answered and after in ANSWERABLE and after != before and asked_before


def loss_minor(status: Status, taken_minor: int) -> int:
    """Returns what of the taken money is lost, in minor units."""
    return taken_minor if status == "lost" else 0


def escalates_at(evidence_due_at: datetime) -> datetime:
    """Returns when (market time) an unanswered chargeback becomes urgent."""
    return evidence_due_at - ESCALATES_BEFORE


def check_answerable(state: str, answer: str | None) -> None:
    """Checks that evidence can be submitted, or the chargeback accepted. `answer`: what the firm has decided before, if
    anything. Raises ChargebackClosed."""
    if answer is not None:
        raise ChargebackClosed(f"The firm has answered already: {name(answer)}. An answer cannot be changed.")
    if state not in ANSWERABLE:
        raise ChargebackClosed(f"A chargeback in the state {name(state)} takes no answer.")


def lost_time(spans: Iterable[tuple[datetime, datetime]]) -> timedelta:
    """Returns the time that these spans cover together; what two of them share counts once."""
    total, reached = timedelta(), None
    for since, until in sorted(spans):
        begins = since if reached is None else max(since, reached)
        if until > begins:
            total += until - begins
            reached = until
    return total
