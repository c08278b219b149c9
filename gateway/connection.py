"""One connection to the venue: what it told of the time before it, until all of that is in the journal."""

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, NamedTuple

from ports.venue import Fact, Numbered, Snapshot, VenueTime

_FIRST: Final = datetime.min.replace(tzinfo=UTC)


class Earlier(NamedTuple):
    """`before`: it happened before the connection; else while what is earlier was being told."""

    at: datetime
    fact: Fact
    before: bool


@dataclass(slots=True)
class Connection:
    """`live`: all that happened before it has been told. `numbers`: the last number of each series of the venue.
    `cursors`: those of what is not told yet."""

    live: bool = False
    numbers: dict[str, int] = field(default_factory=dict)
    cursors: dict[str, str] = field(default_factory=dict)
    _newest: datetime = _FIRST  # time of a fact that was kept so far
    _unordered: list[tuple[datetime, int, Fact]] = field(default_factory=list)
    _ordered: deque[Earlier] | None = None  # None: the venue has not told all of it

    def missing_before(self, message: Numbered) -> range:
        """Returns the numbers that the venue has left out before this message."""
        last = self.numbers.get(message.series)
        self.numbers[message.series] = max(message.number, last or 0)
        return range(0) if last is None else range(last + 1, message.number)

    def keep(self, at: datetime, fact: Fact) -> None:
        """Keeps a fact until it is its turn. Before the connection has caught up, the venue's clock says nothing. The
        time of a fact without one is an estimate: it does not put the fact before what came ahead of it."""
        if self._ordered is not None:
            self._ordered.append(Earlier(at, fact, before=False))
        elif not isinstance(fact, VenueTime):
            if getattr(fact, "at", None) is None:
                at = max(at, self._newest)
            self._newest = max(at, self._newest)
            self._unordered.append((at, len(self._unordered), fact))

    def caught_up(self) -> None:
        """The venue has told all of it: puts it into order of time. Snapshots show the end of what was missed, and come
        after all of it."""
        if self._ordered is None:
            ordered = sorted(self._unordered, key=lambda item: (isinstance(item[2], Snapshot), *item[:2]))
            self._ordered = deque(Earlier(at, fact, before=True) for at, _, fact in ordered)
            self._unordered = []

    def take(self, limit: int | None) -> list[Earlier]:
        """Returns the next facts, at most `limit`, once the connection has caught up. It is live when none is left."""
        if self._ordered is None or self.live:
            return []
        count = len(self._ordered) if limit is None else min(limit, len(self._ordered))
        part = [self._ordered.popleft() for _ in range(count)]
        self.live = not self._ordered
        return part
