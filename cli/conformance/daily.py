"""The events of a case as events of the engine, with the daily resets that the case implies.

A day ends with its rollover event; where a case has none, where the trading day changes, and the last day with the
case. Results that are measured from rollover to rollover know only rollover events, and so does a case with these but
without a clock. Nothing but a rollover event moves the figures that sizes are percentages of.
"""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from adapters.calendars.exchange import ExchangeCalendars
from cli.conformance.case import Case, Figure, RawEvent, Unsupported, Value
from cli.conformance.translator import Translator, context_of
from domain.clocks import Clock
from domain.money import to_minor
from domain.quoting import quoted
from domain.rules import history
from domain.rules.base import Context, Gate, GateStatus, HistoryRule
from domain.rules.events import Closed, DayEnded, Event, Rolled
from domain.rules.gates.windows import WindowState

_TRADES: Final = ("trade_open", "trade_close")
# whole numbers that are not money; other figures differ by type
_COUNTS: Final = ("days", "trading_days", "profitable_days", "required", "short_trades")


def engine_events(
    case: Case, clock: Clock | None, *, by_rollovers: bool = False, close_last: bool = True
) -> Iterator[tuple[RawEvent, list[Event]]]:
    """Yields each raw event with its engine events. `by_rollovers`: only rollover events end a day, if there are
    any. `close_last`: else a day without a reset ends with the case."""
    close_last = close_last and not (by_rollovers and has_rollovers(case))
    for number, (raw, events, reset) in enumerate(_with_resets(case, clock, by_rollovers=by_rollovers)):
        last = number == len(case.events) - 1
        yield raw, [*events, reset] if last and close_last and reset is not None else events


def has_rollovers(case: Case) -> bool:
    return any(raw.kind == "rollover" for raw in case.events)


def _with_resets(
    case: Case, clock: Clock | None, *, by_rollovers: bool
) -> Iterator[tuple[RawEvent, list[Event], Rolled | None]]:
    """Yields each raw event with its engine events, and the reset that would end the running day if it ended here.
    None: no day is running."""
    translator = Translator(case, clock, as_written=clock is None)
    known = has_rollovers(case) and (by_rollovers or clock is None)
    running: date | None = None
    for raw in case.events:
        events = list[Event]()
        day = raw.day(clock)
        other = running is not None and day is not None and day != running and raw.kind not in ("news", "rollover")
        if running is not None and other and not known:
            events.append(_reset(translator, raw, running))
            running = None
        if raw.kind in _TRADES:
            running = day
        elif raw.kind == "rollover":
            running = None
        events.extend(_trades(raw, translator) if raw.kind == "trades" else (_event(translator, raw),))
        yield raw, events, None if running is None else _reset(translator, raw, running)


def states_after_events(
    case: Case,
    rules: tuple[HistoryRule[Any], ...],
    context: Context,
    clock: Clock | None,
    *,
    by_rollovers: bool = False,
) -> Iterator[tuple[RawEvent, history.HistoryState]]:
    """Yields the state of the rules after each raw event, as if the running day ended with that event. `by_rollovers`:
    only rollover events end a day, if there are any."""
    close_last = not (by_rollovers and has_rollovers(case))
    state = history.start(rules, context, midway=has_rollovers(case))
    for raw, events, reset in _with_resets(case, clock, by_rollovers=by_rollovers):
        for event in events:
            before = state
            state, _ = history.step(state, event, rules, context)
            if isinstance(event, Rolled) and event.day is not None:  # the case has no rollover event here
                state = _with_money_of(before, state, rules, context)
        shown = state
        if close_last and reset is not None:
            shown, _ = history.step(state, reset, rules, context)
        yield raw, shown


def _with_money_of(
    before: history.HistoryState, after: history.HistoryState, rules: tuple[HistoryRule[Any], ...], context: Context
) -> history.HistoryState:
    """Returns the state `after` with the figures `before` that sizes are percentages of."""
    kept = dict(after.rules)
    for rule in rules:
        old, new = (history.state_of(rule, state, context) for state in (before, after))
        if isinstance(old, WindowState) and isinstance(new, WindowState) and old.money != new.money:
            kept[rule.id] = new.model_copy(update={"money": old.money})
    return after.model_copy(update={"rules": kept})


def status(gate: Gate[Any], state: history.HistoryState, context: Context) -> GateStatus:
    return gate.status(history.state_of(gate, state, context), context)


def gate_figures(case: Case, figures: Any) -> dict[str, Value]:
    """Returns the figures of a gate as the format has them: money in major units."""
    return {name: _figure(case, name, value) for name, value in figures.items()}


def calendars_for(case: Case) -> ExchangeCalendars:
    """Returns the calendars of exchanges. Raises Unsupported if the rule names one that is not among them."""
    named, known = case.rule.get("calendar"), ExchangeCalendars()
    if named is not None and (not isinstance(named, str) or named not in known):
        raise Unsupported(f"calendar {quoted(named)} is not known", "calendar")
    return known


def context(case: Case, clock: Clock | None, target_minor: int | None = None) -> Context:
    return replace(context_of(case, clock), target_minor=target_minor, calendars=calendars_for(case))


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
        traded=True,
    )


def _reset(translator: Translator, raw: RawEvent, ended: date) -> Rolled:
    return Rolled(
        seq=raw.index + 1,
        at=translator.at(raw),
        balance_minor=translator.balance,
        equity_minor=translator.equity,
        day=ended,
    )


def _trades(raw: RawEvent, translator: Translator) -> Iterator[Event]:
    """Yields the trades of a list: how long each was held and, if the case says so, its result."""
    case, listed = translator.case, raw.data.get("trades")
    unknown = sorted(set(raw.data) - {"durations_seconds", "trades", "balance", "equity"})
    if unknown:
        raise Unsupported(f"trades: field {unknown[0]}", unknown[0])
    if listed is None:
        listed = [{"duration_seconds": seconds} for seconds in raw.data["durations_seconds"]]
    mark = translator.event(raw)
    for number, trade in enumerate(listed):
        case.only("trades", trade, ("duration_seconds", "pnl"))
        if "pnl" not in trade and case.rule.get("metric") == "profit":
            raise Unsupported("trades: the result of each trade is missing", "pnl")
        seconds = Decimal(trade["duration_seconds"])
        yield Closed(
            seq=mark.seq,
            at=mark.at,
            balance_minor=mark.balance_minor,
            equity_minor=mark.equity_minor,
            position_id=f"{raw.index}.{number}",
            symbol="",
            side="buy",
            lots=Decimal(1),
            opened_at=mark.at - timedelta(microseconds=int(seconds * 1_000_000)),
            pnl_minor=to_minor(Decimal(trade.get("pnl", 0)), case.currency),
        )
