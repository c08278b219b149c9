"""All conduct rules and gates of a phase, folded over the life of one account, with its trading days.

`start`, then `step` for every event in order: the days that a reset ends are worked out here and given to the rules
right after it. The state keeps as JSON: `HistoryState.model_validate_json` gives it back, and `step` goes on from it.
"""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny

from domain.rules import days
from domain.rules.base import ConductRule, Context, Gate, GateStatus, HistoryRule, State, Violation
from domain.rules.days import DayBook
from domain.rules.events import Event, Moment

Rules = Sequence[HistoryRule[Any]]
# plain data stays plain data: which class it is, only its rule knows
Kept = Annotated[dict[str, Any] | SerializeAsAny[State], Field(union_mode="left_to_right")]


class HistoryState(State):
    """Where every rule stands, by rule id; a state that was read back is plain data until its rule is stepped."""

    book: DayBook
    rules: dict[str, Kept] = Field(default_factory=dict)


def start(rules: Rules, context: Context, *, midway: bool = False) -> HistoryState:
    """Before anything has happened. `midway`: the events begin in the middle of a day whose start is not known."""
    book = days.begin(None if midway else context.initial_minor)
    return HistoryState(book=book, rules={rule.id: rule.start(context) for rule in rules})


def step(
    state: HistoryState, event: Event, rules: Rules, context: Context
) -> tuple[HistoryState, tuple[Violation, ...]]:
    """The state after `event`, and the offences it is, in the order of the rules. `state` itself when nothing moved.

    A source that knows its days says `DayEnded` itself and gives no `Rolled`; one that gives resets gives no days.
    """
    book, ended = days.step(state.book, event)
    moved: dict[str, State] = {}
    violations: list[Violation] = []
    happened: tuple[Event, ...] = (event, *ended)
    for rule in rules:
        before = state_of(rule, state, context)
        after = before
        for each in happened:
            after, offences = rule.step(after, each, context)
            violations.extend(offences)
        if after is not before:
            moved[rule.id] = after
    if not moved and book is state.book:
        return state, ()
    return HistoryState(book=book, rules={**state.rules, **moved}), tuple(violations)


def due(state: HistoryState, rules: Rules, context: Context) -> datetime | None:
    """The next instant at which time alone may decide for any rule: a `Clocked` event must be stepped then."""
    timed = (rule for rule in rules if type(rule).due is not HistoryRule.due)  # most wait for events alone
    instants = (rule.due(state_of(rule, state, context), context) for rule in timed)
    return min((at for at in instants if at is not None), default=None)


def gates(
    state: HistoryState, rules: Rules, context: Context, now: Moment | None = None
) -> list[tuple[Gate[Any], GateStatus]]:
    """Every gate and whether it is met. `now`: the account's money at this moment, so that the gates that judge the
    running day count what it has made; without it they stand as of the last reset."""
    return [(gate, gate.status(own, context)) for gate, own in _gates(state, rules, context, now)]


def effective_target(
    state: HistoryState, rules: Rules, context: Context, target_minor: int, now: Moment | None = None
) -> int:
    """The profit that passes the phase now: its target, raised by the gates that raise it, plus the profit that does
    not count and has to be made again. `now` as in `gates`."""
    owned = list(_gates(state, rules, context, now))
    raised = (gate.raised_target(own, context, target_minor) for gate, own in owned)
    return max([target_minor, *raised]) + sum(gate.deducted_minor(own, context) for gate, own in owned)


def deducted_minor(state: HistoryState, rules: Rules, context: Context, now: Moment | None = None) -> int:
    """The profit that gates and conduct rules take out of the account's result: it counts for no payout. `now` as in
    `gates`."""
    return sum(deductions(state, rules, context, now).values())


def deductions(state: HistoryState, rules: Rules, context: Context, now: Moment | None = None) -> dict[str, int]:
    """`deducted_minor` by the id of each rule that takes anything out."""
    found = {gate.id: gate.deducted_minor(own, context) for gate, own in _gates(state, rules, context, now)}
    for rule in rules:
        if isinstance(rule, ConductRule):
            found[rule.id] = rule.deducted_minor(state_of(rule, state, context), context)
    return {rule_id: minor for rule_id, minor in found.items() if minor}


def state_of(rule: HistoryRule[Any], state: HistoryState, context: Context) -> State:
    """Where `rule` stands; at its start when the rule is newer than the state."""
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
        if now is not None and rule.judges_running_day and days.has_results(state.book, now):
            own, _ = rule.step(own, days.running(state.book, now), context)
        yield rule, own
