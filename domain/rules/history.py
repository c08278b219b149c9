"""All conduct rules and gates of a phase, folded over the events of one account, with its trading days.

Call `start`, then `step` for every event in order. The days that a reset ends are computed here and passed to the rules
right after the reset, to a gate with a window right before it (see `domain.rules.gates.windows`). The state is stored
as JSON: `HistoryState.model_validate_json` reads it, and `step` continues.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny

from domain.rules import days
from domain.rules.base import ConductRule, Context, Gate, GateStatus, HistoryRule, State, Violation
from domain.rules.conduct import offending
from domain.rules.conduct.offending import OffendingProfit
from domain.rules.days import DayBook
from domain.rules.events import Event, Moment, Rolled
from domain.rules.gates import windows
from domain.rules.gates.windows import WindowGate, WindowState
from domain.rules.terms import NO_LIMIT

Rules = Sequence[HistoryRule[Any]]
# stays plain data until its rule reads it: only the rule knows the class
StoredState = Annotated[dict[str, Any] | SerializeAsAny[State], Field(union_mode="left_to_right")]


class HistoryState(State):
    """The state of every rule, by rule id. A state read from JSON is plain data until its rule is stepped. `offending`:
    the profit of positions that offended."""

    book: DayBook
    offending: OffendingProfit = OffendingProfit()
    rules: dict[str, StoredState] = Field(default_factory=dict)


def start(rules: Rules, context: Context, *, midway: bool = False) -> HistoryState:
    """Returns the state before the first event. `midway`: the events start in the middle of a day with an unknown
    start."""
    book = days.begin(None if midway else context.initial_minor)
    return HistoryState(book=book, rules={rule.id: rule.start(context) for rule in rules})


def step(
    state: HistoryState, event: Event, rules: Rules, context: Context
) -> tuple[HistoryState, tuple[Violation, ...]]:
    """Returns the state after `event`, and its offences in the order of the rules. Returns `state` itself when it did
    not change.

    A source that knows only whole days sends `DayEnded` and no `Rolled`; a source that sends resets sends no days. The
    clock of conduct rules and gates is that of the trading day: a reset of anchors and peaks alone is no event here.
    """
    if isinstance(event, Rolled) and event.purpose == "loss_snapshot":
        return state, ()
    book, ended = days.step(state.book, event)
    moved: dict[str, State] = {}
    violations: list[Violation] = []
    for rule in rules:
        before = state_of(rule, state, context)
        after = before
        happened: tuple[Event, ...] = (event, *ended)
        if isinstance(rule, WindowGate) and isinstance(before, WindowState):
            happened = windows.happened(rule, before, event, book, ended, context)
        for each in happened:
            after, offences = rule.step(after, each, context)
            violations.extend(offences)
        if after is not before:
            moved[rule.id] = after
    profit = offending.after(state.offending, event, violations, rules)
    if not moved and book is state.book and profit is state.offending:
        return state, ()
    return HistoryState(book=book, rules={**state.rules, **moved}, offending=profit), tuple(violations)


def due(state: HistoryState, rules: Rules, context: Context) -> datetime | None:
    """Returns the next instant at which time alone may decide for any rule; the caller then steps a `Clocked` event."""
    timed = (rule for rule in rules if type(rule).due is not HistoryRule.due)  # most rules wait for events only
    instants = (rule.due(state_of(rule, state, context), context) for rule in timed)
    return min((at for at in instants if at is not None), default=None)


def follows_equity(rules: Rules) -> bool:
    """Returns whether the equity alone may break any of the rules."""
    return any(rule.follows_equity for rule in rules)


def equity_range(state: HistoryState, rules: Rules, context: Context) -> tuple[int, int]:
    """Returns (least, most): while the equity is from `least` to `most`, it changes nothing for any rule. Beyond that
    the caller steps a `Marked` event."""
    ranges = [rule.equity_range(state_of(rule, state, context)) for rule in rules if rule.follows_equity]
    return max((low for low, _ in ranges), default=-NO_LIMIT), min((high for _, high in ranges), default=NO_LIMIT)


def asked(state: HistoryState, rules: Rules, context: Context, amount_minor: int | None) -> HistoryState:
    """Returns the state of the gates as they judge a request for this amount. No window begins by it: that is done by
    the events of a request that is made."""
    own = {
        gate.id: gate.asked(state_of(gate, state, context), amount_minor) for gate in rules if isinstance(gate, Gate)
    }
    return state.model_copy(update={"rules": {**state.rules, **own}})


def gates(
    state: HistoryState, rules: Rules, context: Context, now: Moment | None = None
) -> list[tuple[Gate[Any], GateStatus]]:
    """Returns every gate with its status. `now`: the money of the account at this moment, for the gates that judge the
    running day; without it the status is that of the last reset."""
    return [(gate, gate.status(own, context)) for gate, own in _gates(state, rules, context, now)]


def effective_target(
    state: HistoryState, rules: Rules, context: Context, target_minor: int, now: Moment | None = None
) -> int:
    """Returns the profit that passes the phase now: the target, raised by gates, plus the profit that does not count
    because of gates and conduct rules. `now` as in `gates`."""
    raised = (gate.raised_target(own, context, target_minor) for gate, own in _gates(state, rules, context, now))
    return max([target_minor, *raised]) + deducted_minor(state, rules, context, now)


def deducted_minor(state: HistoryState, rules: Rules, context: Context, now: Moment | None = None) -> int:
    """Returns the profit that does not count for payouts because of gates and conduct rules. `now` as in `gates`."""
    return sum(deductions(state, rules, context, now).values())


def deductions(state: HistoryState, rules: Rules, context: Context, now: Moment | None = None) -> dict[str, int]:
    """Returns `deducted_minor` by the id of each rule that deducts something."""
    found = {gate.id: gate.deducted_minor(own, context) for gate, own in _gates(state, rules, context, now)}
    for rule in rules:
        if isinstance(rule, ConductRule):
            own = rule.deducted_minor(state_of(rule, state, context), context)
            found[rule.id] = own + state.offending.deducted_minor(rule.id)
    return {rule_id: minor for rule_id, minor in found.items() if minor}


def leaves_out(rule: HistoryRule[Any]) -> bool:
    """Whether `rule` keeps count of profit that it leaves out, or that an offence of it deducts. Limits leave profit
    out through their offences only."""
    if isinstance(rule, ConductRule):
        return offending.counts_itself(rule) or offending.deducts(rule)
    return isinstance(rule, Gate)


def state_of(rule: HistoryRule[Any], state: HistoryState, context: Context) -> State:
    """Returns the state of `rule`; its start when the rule is newer than the stored state."""
    own = state.rules.get(rule.id)
    if isinstance(own, State):
        return own
    fresh: State = rule.start(context)
    return fresh if own is None else type(fresh).model_validate(own)


def _gates(
    state: HistoryState, rules: Rules, context: Context, now: Moment | None
) -> Iterator[tuple[Gate[Any], State]]:
    for rule in rules:
        if not isinstance(rule, Gate):
            continue
        own = state_of(rule, state, context)
        if now is not None and rule.judges_running_day:
            day = windows.running_day(own, state.book, now, context)
            own = own if day is None else rule.step(own, day, context)[0]
        yield rule, own
