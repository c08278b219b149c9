"""Which trading days count, and why a day does not: found by folding the rules' own steps over the events."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, Final

from domain.rules import history
from domain.rules.base import Context, HistoryRule
from domain.rules.events import Closed, Event, Opened, Rolled
from domain.rules.gates.profitable_day_count import ProfitableDayCount, ProfitableDaysState
from domain.rules.gates.trading_day_count import TradingDayCount, TradingDaysState
from domain.rules.gates.windows import LastDays, WindowState
from domain.rules.history import HistoryState

MINIMUM: Final = "min_trading_days"  # the minimum of a phase, which is no rule of its own
_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class DayMark:
    """Whether a day counts for `rule_id`; `words`: why, or why not, as a sentence for the trader."""

    day: date
    rule_id: str
    counts: bool
    words: str


class _Days:
    """The marks of one rule, and on which days a position was opened."""

    def __init__(self, rule: TradingDayCount | ProfitableDayCount, context: Context) -> None:
        self.rule, self._context = rule, context
        self.marks: dict[date, DayMark] = {}

    def moved(self, event: Event, before: WindowState, after: WindowState) -> None:
        """`before` and `after`: the state of the rule around `event`."""
        if _count(after) < _count(before) and not isinstance(self.rule.window, LastDays):
            self._over(event)
        for day in _counted(event, before, after, self._context):
            self._set(day, counts=True, words=self._why(after))
        if isinstance(after, ProfitableDaysState) and isinstance(event, Rolled) and after is not before:
            day = ended_day(event, self._context)
            if day not in self.marks and after.day_pnl_minor is not None:
                self._set(day, counts=False, words=self._why(after))

    def _set(self, day: date, *, counts: bool, words: str) -> None:
        self.marks[day] = DayMark(day, self.rule.id, counts, words)

    def _over(self, event: Event) -> None:
        why = "A later day broke the row." if isinstance(event, Rolled) else f"The days are counted {self._window}."
        for day, mark in self.marks.items():
            if mark.counts:
                self.marks[day] = replace(mark, counts=False, words=f"It counted before. {why}")

    @property
    def _window(self) -> str:
        return self.rule.window_words

    def _why(self, state: WindowState) -> str:
        if not isinstance(state, ProfitableDaysState) or state.day_pnl_minor is None:
            return "It meets the rule."
        assert isinstance(self.rule, ProfitableDayCount)
        least = int(self.rule.counted(0, self._context, state.threshold_minor).figures["threshold"])
        made, needed = self._context.money(state.day_pnl_minor), self._context.money(least)
        words = f"The day made {made}; {'at least' if self.rule.compare == '>=' else 'more than'} {needed} counts"
        pct = self.rule.min_pct_of_best_day
        return f"{words}, and at least {pct:f} % of the best day before it." if pct is not None else f"{words}."

    def ended(self, state: WindowState, opened: set[date], traded: set[date]) -> Iterator[DayMark]:
        """Yields the mark of each day. `traded`: days on which something was traded."""
        window = self.rule.window
        if isinstance(window, LastDays) and state.day is not None:
            first = state.day - timedelta(days=window.days - 1)
            gone = f"It counted while it was one of the last {window.days} days."
            for day, mark in self.marks.items():
                old = mark.counts and day < first
                yield replace(mark, counts=False, words=gone) if old else mark
        else:
            yield from self.marks.values()
        if isinstance(self.rule, TradingDayCount):
            for day in sorted(traded - self.marks.keys()):
                yield DayMark(day, self.rule.id, False, self._missed(day in opened))

    def _missed(self, opened: bool) -> str:
        assert isinstance(self.rule, TradingDayCount)
        if self.rule.counts == "day_with_qualifying_close":
            return "No trade that was closed on this day meets the rule."
        if opened:
            return "No position that was opened on this day meets the rule yet."
        return "No new position was opened on this day."


def ended_day(event: Rolled, context: Context) -> date:
    """The trading day that this reset ended."""
    return event.day or context.clock.trading_day(event.at - _MICROSECOND)


def marked(
    rules: Sequence[HistoryRule[Any]], context: Context, min_days: int, happened: Iterable[Event]
) -> tuple[HistoryState, tuple[DayMark, ...]]:
    """Returns the state of `rules` after the events, and the marks of every day that counts or could have: of each gate
    that counts days, and of the minimum of the phase (`min_days`, 0: none), by day and rule."""
    counters = [_Days(rule, context) for rule in rules if isinstance(rule, TradingDayCount | ProfitableDayCount)]
    state = history.start(rules, context)
    opened: set[date] = set()
    traded: set[date] = set()
    for event in happened:
        before = state
        state, _ = history.step(state, event, rules, context)
        if isinstance(event, Opened | Closed):
            day = context.clock.trading_day(event.at)
            traded.add(day)
            if isinstance(event, Opened) and not event.adds:
                opened.add(day)
        for each in counters:
            old, new = (history.state_of(each.rule, at, context) for at in (before, state))
            if new is not old and isinstance(old, WindowState) and isinstance(new, WindowState):
                each.moved(event, old, new)
    found = [mark for each in counters for mark in each.ended(_window_state(each, state, context), opened, traded)]
    if min_days:
        found += [
            DayMark(day, MINIMUM, day in opened, _OPENED if day in opened else _NOT_OPENED) for day in sorted(traded)
        ]
    return state, tuple(sorted(found, key=lambda mark: (mark.day, mark.rule_id)))


_OPENED: Final = "A new position was opened on this day."
_NOT_OPENED: Final = "No new position was opened on this day."


def _window_state(each: _Days, state: HistoryState, context: Context) -> WindowState:
    own = history.state_of(each.rule, state, context)
    assert isinstance(own, WindowState)
    return own


def _count(state: WindowState) -> int:
    return state.days if isinstance(state, TradingDaysState | ProfitableDaysState) else 0


def _counted(event: Event, before: WindowState, after: WindowState, context: Context) -> Iterator[date]:
    """Yields the days that began to count with `event`."""
    if after.parts:
        known = {part.day for part in before.parts if part.figures.get("days")}
        yield from (part.day for part in after.parts if part.figures.get("days") and part.day not in known)
    elif _count(after) > _count(before):
        if isinstance(after, TradingDaysState) and isinstance(before, TradingDaysState):
            waited = [each.day for each in before.waiting if each not in after.waiting and each.counts_at <= event.at]
            if waited or after.last is None:
                yield from dict.fromkeys(waited)
            else:
                yield after.last
        elif isinstance(event, Rolled):
            yield ended_day(event, context)
