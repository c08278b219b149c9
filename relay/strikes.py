"""How often a message may fail by itself before a person must look: one bad message must not stop the others."""

from collections import Counter
from typing import Final

from sqlalchemy.exc import InterfaceError, OperationalError

UNEXPECTED: Final = 5  # attempts that ended in an error nobody foresaw
REFUSED: Final = 10  # refusals by the venue of what it should accept
_AWAY: Final = ("08", "53", "57P", "58")  # SQLSTATE: connections, resources, shutdown, the system


def database_is_away(error: Exception) -> bool:
    """Not the message's fault: the whole round is tried again."""
    if isinstance(error, OperationalError):
        state = getattr(error.orig, "sqlstate", None)
        return state is None or state.startswith(_AWAY)
    return isinstance(error, InterfaceError)


class Strikes:
    """Counts per message and in memory only: time in which a neighbour was away does not count, a restart forgives."""

    def __init__(self) -> None:
        self._counts: Counter[int] = Counter()

    def out(self, id: int, allowed: int) -> bool:
        """Count one more failure of message `id`; True at the last that is allowed."""
        self._counts[id] += 1
        if self._counts[id] < allowed:
            return False
        self.forget(id)
        return True

    def forget(self, id: int) -> None:
        self._counts.pop(id, None)
