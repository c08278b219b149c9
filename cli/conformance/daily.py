"""A case told day by day: its events as the engine's, with the resets that its source takes for granted.

A case with rollover events says itself when a day ends. One that lists trades only is cut where the trading day changes,
and its last day ends with it.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any, Final

from cli.conformance.case import Case, Figure, RawEvent, Value
from cli.conformance.story import Story, context_of
from domain.clocks import Clock
from domain.rules import history
from domain.rules.base import Context, Gate, GateStatus, HistoryRule
from domain.rules.events import DayEnded, Event, Rolled

_TRADES: Final = ("trade_open", "trade_close")
# figures that are no money; instants, ratios and words tell themselves apart
_COUNTS: Final = ("days", "trading_days", "profitable_days", "required")


def told(case: Case, clock: Clock | None, *, close_last: bool = True) -> Iterator[tuple[RawEvent, list[Event]]]:
    """Each raw event with the engine's. `close_last`: a day that has trades but no reset yet ends with the case."""
    story = Story(case, clock, as_written=clock is None)
    resets = any(raw.kind == "rollover" for raw in case.events)
    running: date | None = None
    for number, raw in enumerate(case.events):
        happened = list[Event]()
        day = raw.day(clock)
        if raw.kind in _TRADES:
            if running is not None and day != running and not resets:
                happened.append(_reset(story, raw, running))
            running = day
        elif raw.kind == "rollover":
            running = None
        happened.append(_event(story, raw))
        last = number == len(case.events) - 1
        if last and running is not None and close_last:
            happened.append(_reset(story, raw, running))
        yield raw, happened


def folded(
    case: Case, rules: tuple[HistoryRule[Any], ...], context: Context, clock: Clock | None, *, close_last: bool = True
) -> Iterator[tuple[RawEvent, history.HistoryState]]:
    """Where the rules stand after each raw event."""
    midway = any(raw.kind == "rollover" for raw in case.events)
    state = history.start(rules, context, midway=midway)
    for raw, happened in told(case, clock, close_last=close_last):
        for event in happened:
            state, _ = history.step(state, event, rules, context)
        yield raw, state


def status(gate: Gate[Any], state: history.HistoryState, context: Context) -> GateStatus:
    return gate.status(history.state_of(gate, state, context), context)


def shown(case: Case, figures: Any) -> dict[str, Value]:
    """A gate's figures as the format has them: money in major units."""
    return {name: _figure(case, name, value) for name, value in figures.items()}


def context(case: Case, clock: Clock | None, target_minor: int | None = None) -> Context:
    return replace(context_of(case, clock), target_minor=target_minor)


def _figure(case: Case, name: str, value: Any) -> Figure:
    if isinstance(value, int) and not isinstance(value, bool) and name not in _COUNTS:
        return case.major(value)
    figure: Figure = value
    return figure


def _event(story: Story, raw: RawEvent) -> Event:
    """A day's result is the whole day's: what was open before it, and that somebody traded on it."""
    before, floating = story.balance, story.equity - story.balance
    event = story.event(raw)
    if not isinstance(event, DayEnded):
        return event
    open_now = event.floating_minor or 0
    story.equity = event.balance_minor + open_now
    return replace(
        event,
        equity_minor=story.equity,
        floating_minor=open_now,
        opening_balance_minor=before,
        opening_equity_minor=before + floating,
        positions_opened=int(raw.data.get("positions_opened", 1)),
    )


def _reset(story: Story, raw: RawEvent, ended: date) -> Rolled:
    return Rolled(
        seq=raw.index + 1, at=story.at(raw), balance_minor=story.balance, equity_minor=story.equity, day=ended
    )
