"""The daily resets of a shard, per clock group, in the order of their time."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime

from domain.clocks import Clock

_NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(slots=True)
class Group:
    """Accounts that reset together. `index` is the number in the columns, `day` the running trading day."""

    index: int
    clock: Clock
    day: date
    next_reset: datetime


@dataclass(frozen=True, slots=True)
class Reset:
    group: Group
    at: datetime
    ended_day: date


class ResetClock:
    def __init__(self) -> None:
        self.groups: list[Group] = []
        self.next_at = _NEVER
        self._by_name: dict[str, Group] = {}

    def group(self, clock: Clock, now: datetime) -> Group:
        """Returns the group of a clock; a new one begins at market time `now`."""
        group = self._by_name.get(clock.group)
        if group is None:
            group = Group(len(self.groups), clock, clock.trading_day(now), clock.next_reset(now))
            self._by_name[clock.group] = group
            self.groups.append(group)
            self.next_at = min(self.next_at, group.next_reset)
        return group

    def due(self, at: datetime) -> Iterator[Reset]:
        """Yields every reset up to and at `at`, oldest first; one group may have several."""
        while self.next_at <= at:
            group = min(self.groups, key=lambda g: (g.next_reset, g.index))
            reset = Reset(group, group.next_reset, group.day)
            group.day = group.clock.trading_day(reset.at)
            group.next_reset = group.clock.next_reset(reset.at)
            self.next_at = min(g.next_reset for g in self.groups)
            yield reset
