"""Which events are told of again after a failure, and when."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

_PAUSES: Final = (timedelta(minutes=1), timedelta(minutes=10), timedelta(hours=1), timedelta(hours=6))
_MOST: Final = 1_000


@dataclass
class Again:
    """Events that could not be told, each with the number of its tries and the wall time of the next one. It is kept in
    memory: a process that starts, perhaps with the fault mended, tries all of them at once."""

    pauses: tuple[timedelta, ...] = _PAUSES
    _next: dict[str, tuple[int, datetime]] = field(default_factory=dict)

    def waits(self, now: datetime) -> list[str]:
        """The events whose time has not come."""
        return [event_id for event_id, (_, at) in self._next.items() if at > now]

    def failed(self, event_id: str, now: datetime) -> bool:
        """Returns whether it is tried again."""
        tries, _ = self._next.pop(event_id, (0, now))
        if tries == len(self.pauses) or len(self._next) >= _MOST:
            return False
        self._next[event_id] = tries + 1, now + self.pauses[tries]
        return True

    def told(self, event_ids: Iterable[str]) -> None:
        for event_id in event_ids:
            self._next.pop(event_id, None)
