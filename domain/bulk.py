"""Several items of the work queue decided at once: how many, what, and which payouts must be decided alone."""

from collections.abc import Mapping
from typing import Any, Final, Literal, get_args

from domain.payouts.payout import OPEN_TO_PEOPLE

MOST: Final = 25  # as many as a person can read one by one before they confirm
# approve: payouts. close: reviews. take: reconciliation breaks. The others are for every kind of work.
BulkAction = Literal["approve", "close", "take", "claim", "release", "snooze", "bring_back"]
ACTIONS: Final[tuple[BulkAction, ...]] = get_args(BulkAction)
DECISIONS: Final[frozenset[BulkAction]] = frozenset({"approve", "close", "take"})
NEED_REASON: Final[frozenset[BulkAction]] = frozenset({"approve", "close"})


def payout_alone(
    *, state: str, halted: bool, approvals_round: int, checks: Mapping[str, Mapping[str, Any]], needed: int
) -> str:
    """Returns why a payout must be approved alone, as a sentence; empty when it may be approved with others. `needed`:
    how many people must approve it now. Whatever is above the four-eyes limit, or is not plainly in order, is read by
    itself."""
    if state not in OPEN_TO_PEOPLE:
        return f"It is {state.replace('_', ' ')} and waits for no approval."
    if halted:
        return "It is stopped."
    if needed > 1:
        return "It needs two people, so each reads it alone."
    wrong = [str(check["words"]) for check in checks.values() if not check["ok"] or check.get("warns")]
    if wrong:
        return f"Not every check passes: {wrong[0]}"
    if state == "in_review":
        return "It is on hold."
    if approvals_round > 1:
        return "A transfer of it was refused or came back."
    return ""
