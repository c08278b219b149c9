"""Counts failures of single messages. One that fails too often is set aside and cannot stop the others."""

from collections import Counter
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError

UNEXPECTED: Final = 5  # allowed attempts with an unexpected error
REFUSED: Final = 10  # allowed refusals by the venue
_AWAY: Final = ("08", "53", "57P", "58")  # SQLSTATE: connections, resources, shutdown, the system


def database_is_away(error: Exception) -> bool:
    """Returns whether the database caused the error. Then the whole round is tried again and no message is blamed."""
    if isinstance(error, OperationalError):
        state = getattr(error.orig, "sqlstate", None)
        return state is None or state.startswith(_AWAY)
    return isinstance(error, InterfaceError)


class Strikes:
    """Failures by message id, in memory only: a restart starts again at zero."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def out(self, id: int, allowed: int) -> bool:
        """Count a failure of message `id`. Returns True when it has failed `allowed` times."""
        self._counts[id] += 1
        if self._counts[id] < allowed:
            return False
        self.forget(id)
        return True

    def forget(self, id: int) -> None:
        self._counts.pop(id, None)
