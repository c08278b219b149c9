"""Clocks of a ticket: what its stored events say, and which events follow from what happens to it.

A clock counts open time of the calendar. Its deadline is computed from its events and the calendar, and never stored
as a truth of its own: another calendar gives another deadline of the same events.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final, Literal

from domain.service.calendar import BusinessCalendar, Span
from domain.service.policy import CLOCKS, ClockName, ServicePolicy

EventKind = Literal["activate", "pause", "resume", "fulfil", "stop", "policy", "breach"]
ClockStatus = Literal["idle", "running", "paused", "fulfilled", "stopped"]
Cause = Literal["opened", "trader_wrote", "answered", "solved", "split"]
Follows = tuple[ClockName, EventKind]
_ZERO: Final = timedelta(0)
_COUNTING: Final = frozenset({"running", "paused"})


@dataclass(frozen=True, slots=True)
class ClockEvent:
    """One event of one clock. `target_minutes`: of `activate` and `policy`."""

    kind: EventKind
    at: datetime
    target_minutes: int = 0


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock as its events left it. `spans`: when it ran and stopped running; `since`: the start of the running span.
    `generation` grows with every event that can move the deadline: a timer of an earlier generation is void.
    `breached`: when it was found late, since it was last started."""

    status: ClockStatus = "idle"
    target: timedelta = _ZERO
    spans: tuple[Span, ...] = ()
    since: datetime | None = None
    generation: int = 0
    breached: datetime | None = None
    ended: datetime | None = None

    @property
    def counts(self) -> bool:
        return self.status in _COUNTING

    def due(self, calendar: BusinessCalendar) -> datetime | None:
        """Returns when a running clock is late, or was; None for one that does not run."""
        if self.since is None:
            return None
        left = self.target
        for start, end in self.spans:
            spent = calendar.between(start, end)
            if spent >= left:
                return calendar.add(start, left)
            left -= spent
        return calendar.add(self.since, left)

    def spent(self, calendar: BusinessCalendar, now: datetime) -> timedelta:
        """Returns the open time that counts against the target until `now`."""
        running = [] if self.since is None else [(self.since, now)]
        return sum((calendar.between(start, end) for start, end in (*self.spans, *running)), _ZERO)


def fold(events: Iterable[ClockEvent]) -> Clock:
    """Returns the clock that these events make. An event that does not fit the state changes nothing."""
    clock = Clock()
    for event in events:
        clock = _after(clock, event)
    return clock


def _after(clock: Clock, event: ClockEvent) -> Clock:
    if event.kind == "breach":
        return replace(clock, breached=event.at) if clock.since is not None else clock
    clock = replace(clock, generation=clock.generation + 1)
    target = timedelta(minutes=event.target_minutes)
    match event.kind:
        case "activate":
            return Clock("running", target, (), event.at, clock.generation)
        case "policy" if clock.counts:  # spans stay: a new target forgets no pause
            return replace(clock, target=target)
        case "pause" if clock.since is not None:
            return replace(clock, status="paused", spans=_closed(clock, event.at), since=None)
        case "resume" if clock.status == "paused":
            return replace(clock, status="running", since=event.at)
        case "fulfil" | "stop" if clock.counts:
            status: ClockStatus = "fulfilled" if event.kind == "fulfil" else "stopped"
            return replace(clock, status=status, spans=_closed(clock, event.at), since=None, ended=event.at)
    return clock


def _closed(clock: Clock, at: datetime) -> tuple[Span, ...]:
    return clock.spans if clock.since is None else (*clock.spans, (clock.since, at))


def follows(cause: Cause, clocks: Mapping[ClockName, Clock], policy: ServicePolicy) -> list[Follows]:
    """Returns the events that follow from what happened to a ticket.

    opened: a trader opened it. trader_wrote: a message of the trader, by any channel. answered: a person of the firm
    answered so that the trader can read it; internal notes and automatic messages are no answer. solved: it was closed.
    split: a merged ticket stands by itself again and is open.
    """
    first, following, resolution = (clocks.get(name, Clock()) for name in CLOCKS)
    answers: tuple[tuple[ClockName, Clock], ...] = (("first_answer", first), ("next_answer", following))
    match cause:
        case "opened":
            return [("first_answer", "activate"), ("resolution", "activate")]
        case "trader_wrote" | "split":
            restarts = cause == "trader_wrote" and policy.next_answer_counts_from == "newest_message"
            return [*_asked(first, following, restarts=restarts), *_taken_up(resolution)]
        case "answered":
            found: list[Follows] = [(name, "fulfil") for name, clock in answers if clock.counts]
            return [*found, ("resolution", "pause")] if resolution.status == "running" else found
        case "solved":
            found = [(name, "stop") for name, clock in answers if clock.counts]
            return [*found, ("resolution", "fulfil")] if resolution.counts else found


def _asked(first: Clock, following: Clock, *, restarts: bool) -> list[Follows]:
    """Which answer the firm owes once the trader has asked."""
    if first.status == "stopped":  # closed without an answer, and asked again
        return [("first_answer", "activate")]
    if first.counts or (following.status == "running" and not restarts):
        return []
    return [("next_answer", "activate")]


def _taken_up(resolution: Clock) -> list[Follows]:
    if resolution.status == "paused":
        return [("resolution", "resume")]
    return [] if resolution.counts else [("resolution", "activate")]
