"""Refusals of a decision that arrived and was not asked for like this. domain/errors.py has the whole tree."""

from collections.abc import Sequence
from datetime import datetime

from domain.errors import Conflict


class DecisionVoid(Conflict):
    """No request of a person allows this decision. Nothing was decided."""

    type = "decision-void"

    def __init__(self, message: str) -> None:  # only the sentence crosses Temporal, so the remedy is in it
        super().__init__(f"{message} Open the item again and decide again.")


class DecisionUnasked(DecisionVoid):
    type = "decision-unasked"

    def __init__(self) -> None:
        super().__init__("Nobody asked for this decision: no request for it is on the record.")


class DecisionDiffers(DecisionVoid):
    type = "decision-differs"


class DecisionReplayed(DecisionVoid):
    type = "decision-replayed"

    def __init__(self) -> None:
        super().__init__("This is a copy of a decision, sent under another id.")


class DecisionExpired(DecisionVoid):
    type = "decision-expired"

    def __init__(self, expired_at: datetime) -> None:
        super().__init__(f"This decision had to be carried out by {expired_at:%Y-%m-%d %H:%M} UTC and came too late.")


class EvidenceChanged(Conflict):
    """The evidence of a case no longer matches its digest. Nothing is decided on it."""

    type = "evidence-changed"

    def __init__(self, alert_ids: Sequence[str]) -> None:
        named = ", ".join(alert_ids)
        super().__init__(
            f"The evidence of this case changed after it was recorded: {named}.",
            remedy="Restore the alert from a backup, or clear the case up with whoever may write to the database.",
        )
