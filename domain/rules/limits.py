"""The offences of limits: one fold, which live accounts, replays, statements and worked examples all call.

A limit is a floor, a ceiling or a limit of a floating loss. A rule may have several limits (a floor and a ceiling, one
for each symbol): each has a key of its own, and all share the rule's cures and the number of its offences.

- A broken limit is one offence until the next reset, however often it is crossed. A limit that is broken at that reset
  or later is a new offence.
- With a cure, a broken limit that is back within in time is no offence, `times` times in a phase. Otherwise the offence
  is found at the first event after the time, also when the account is back within at that very event.

How a caller uses it, with one `LimitState` for each rule (`FRESH` at first, stored as JSON):

1. Before every event, while `due(state)` is not None and not after the event: `step(state, rule, {}, due(state))`. This
   finds at their own instant the offences that time alone decides. A caller that cannot act between two events may
   leave it out: `step` then finds them at the event.
2. At a reset of the limits: `reset(state, rule, at, day)`, with the day that begins. It finds the offences that are due
   first, because they belong to the period that ends.
3. At every event: `step(state, rule, broken, at)`, with every limit that was compared: its key, and whether it is
   broken. A limit that could not be compared (its equity is unknown) is left out. A limit that no longer exists (a
   closed position) is given as not broken.

Each returns the new state, and the offences with their numbers and consequences.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Protocol

from pydantic import Field

from domain.clocks import Period, begins
from domain.rules.base import Consequence, Cure, State

_NEXT: Final = timedelta(microseconds=1)


class LimitRule(Protocol):
    """What a rule with limits has: every `EquityRule` has it."""

    @property
    def id(self) -> str: ...

    @property
    def cure(self) -> Cure | None: ...

    def consequence(self, offence: int) -> Consequence: ...


class CureWindow(State):
    """A limit that has been broken since `since` and may be cured until `until`, that instant included. Checkpoints of
    earlier versions do not know `since`."""

    since: datetime | None = None
    until: datetime


class LimitState(State):
    """The state of the limits of one rule on one account. Stored: never rename a field.

    `counted`: the keys of the limits that were an offence since the last reset. `curing`: the broken limits that may
    still be cured, by key. `cured`: how often a limit of the rule was cured. `offences`: the number of its offences.
    `day`: the day that the last reset began, for rules with a longer period.
    """

    counted: tuple[str, ...] = ()
    curing: dict[str, CureWindow] = Field(default_factory=dict)
    cured: int = 0
    offences: int = 0
    day: date | None = None


FRESH: Final = LimitState()


@dataclass(frozen=True, slots=True)
class LimitOffence:
    """One offence: number `number` (from 1) of its rule. `broken`: whether the limit is broken at the event that found
    it; False when only its cure came too late."""

    rule_id: str
    key: str
    number: int
    consequence: Consequence
    broken: bool


Step = tuple[LimitState, tuple[LimitOffence, ...]]


def step(state: LimitState, rule: LimitRule, broken: Mapping[str, bool], at: datetime) -> Step:
    """Returns the state after an event at `at`, and the offences found there. `broken`: for every limit that was
    compared, by key, whether it is broken now. Returns `state` itself when it did not change."""
    counted, curing, cured = list(state.counted), dict(state.curing), state.cured
    found: list[str] = []
    for key in sorted(state.curing, key=lambda key: state.curing[key].until):
        if at > curing[key].until:
            del curing[key]
            found.append(key)
        elif broken.get(key) is False:
            del curing[key]
            cured += 1
    counted += found
    for key, is_broken in broken.items():
        if not is_broken or key in counted or key in curing:
            continue
        if rule.cure is not None and cured + len(curing) < rule.cure.times:
            curing[key] = CureWindow(since=at, until=at + timedelta(minutes=rule.cure.minutes))
            continue
        counted.append(key)
        found.append(key)
    if not found and curing == state.curing:
        return state, ()
    changes: dict[str, Any] = {
        "counted": tuple(counted),
        "curing": curing,
        "cured": cured,
        "offences": state.offences + len(found),
    }
    offences = (
        LimitOffence(rule.id, key, number, rule.consequence(number), broken.get(key, True))
        for number, key in enumerate(found, start=state.offences + 1)
    )
    return state.model_copy(update=changes), tuple(offences)


def due(state: LimitState) -> datetime | None:
    """Returns the next instant at which time alone decides: just after the end of a cure. None: no such instant."""
    ends = [window.until for window in state.curing.values()]
    return min(ends) + _NEXT if ends else None


def reset(state: LimitState, rule: LimitRule, at: datetime, day: date, period: Period = "day") -> Step:
    """Returns the state after a reset that begins `day`, before the account is compared with its new limits. The limits
    count anew only if the reset begins a new `period`. A cure goes on."""
    state, offences = step(state, rule, {}, at)
    changes: dict[str, Any] = {}
    if state.counted and begins(period, day, state.day):
        changes["counted"] = ()
    if period != "day":
        changes["day"] = day
    return (state.model_copy(update=changes) if changes else state), offences


def uncounted(state: LimitState, key: str) -> LimitState:
    """Returns the state in which limit `key` may be an offence again before the next reset."""
    return state.model_copy(update={"counted": tuple(other for other in state.counted if other != key)})


def period_of(rule: LimitRule) -> Period:
    """Returns the period after which the limits of `rule` count anew: its own, or the day."""
    period: Period = getattr(rule, "period", "day")
    return period
