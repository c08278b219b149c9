"""The events of a case as events of the engine, with the daily resets that the case implies.

In a case with rollover events these end the day. In a case with trades only, a day ends where the trading day changes,
and the last day ends with the case.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any, Final

from cli.conformance.case import Case, Figure, RawEvent, Value
from cli.conformance.translator import Translator, context_of
from domain.clocks import Clock
from domain.rules import history
from domain.rules.base import Context, Gate, GateStatus, HistoryRule
from domain.rules.events import DayEnded, Event, Rolled

_TRADES: Final = ("trade_open", "trade_close")
# whole numbers that are not money; other figures differ by type
_COUNTS: Final = ("days", "trading_days", "profitable_days", "required")


def engine_events(
    case: Case, clock: Clock | None, *, close_last: bool = True
) -> Iterator[tuple[RawEvent, list[Event]]]:
    """Yields each raw event with its engine events. `close_last`: a day without a reset ends with the case."""
    translator = Translator(case, clock, as_written=clock is None)
    resets = any(raw.kind == "rollover" for raw in case.events)
    running: date | None = None
    for number, raw in enumerate(case.events):
        events = list[Event]()
        day = raw.day(clock)
        if raw.kind in _TRADES:
            if running is not None and day != running and not resets:
                events.append(_reset(translator, raw, running))
            running = day
        elif raw.kind == "rollover":
            running = None
        events.append(_event(translator, raw))
        last = number == len(case.events) - 1
        if last and running is not None and close_last:
            events.append(_reset(translator, raw, running))
        yield raw, events


def states_after_events(
    case: Case, rules: tuple[HistoryRule[Any], ...], context: Context, clock: Clock | None, *, close_last: bool = True
) -> Iterator[tuple[RawEvent, history.HistoryState]]:
    """Yields the state of the rules after each raw event."""
    midway = any(raw.kind == "rollover" for raw in case.events)
    state = history.start(rules, context, midway=midway)
    for raw, events in engine_events(case, clock, close_last=close_last):
        for event in events:
            state, _ = history.step(state, event, rules, context)
        yield raw, state


def status(gate: Gate[Any], state: history.HistoryState, context: Context) -> GateStatus:
    return gate.status(history.state_of(gate, state, context), context)


def gate_figures(case: Case, figures: Any) -> dict[str, Value]:
    """Returns the figures of a gate as the format has them: money in major units."""
    return {name: _figure(case, name, value) for name, value in figures.items()}


def context(case: Case, clock: Clock | None, target_minor: int | None = None) -> Context:
    return replace(context_of(case, clock), target_minor=target_minor)


def _figure(case: Case, name: str, value: Any) -> Figure:
    if isinstance(value, int) and not isinstance(value, bool) and name not in _COUNTS:
        return case.major(value)
    figure: Figure = value
    return figure


def _event(translator: Translator, raw: RawEvent) -> Event:
    """Returns the event; a day's result covers the whole day, with the positions open before it."""
    before, floating = translator.balance, translator.equity - translator.balance
    event = translator.event(raw)
    if not isinstance(event, DayEnded):
        return event
    open_now = event.floating_minor or 0
    translator.equity = event.balance_minor + open_now
    return replace(
        event,
        equity_minor=translator.equity,
        floating_minor=open_now,
        opening_balance_minor=before,
        opening_equity_minor=before + floating,
        positions_opened=int(raw.data.get("positions_opened", 1)),
    )


def _reset(translator: Translator, raw: RawEvent, ended: date) -> Rolled:
    return Rolled(
        seq=raw.index + 1,
        at=translator.at(raw),
        balance_minor=translator.balance,
        equity_minor=translator.equity,
        day=ended,
    )
