"""What a person can take back right after doing it, while nothing has followed from it."""

from datetime import timedelta
from typing import Final, Literal

# approval: the person's own, while the payout waits for another one. close: of a review that held nothing.
Undoable = Literal["claim", "release", "snooze", "approval", "close"]
REOPEN_WITHIN: Final = timedelta(seconds=60)
REASON: Final = "Undone by the person who did it."
