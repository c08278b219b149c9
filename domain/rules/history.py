"""All conduct rules and gates of a phase, folded over the events of one account, with its trading days.

Call `start`, then `step` for every event in order. The days that a reset ends are computed here and passed to the rules
right after the reset. The state is stored as JSON: `HistoryState.model_validate_json` reads it, and `step` continues.
"""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Annotated, Any

from pydantic import Field, SerializeAsAny

from domain.rules import days
from domain.rules.base import ConductRule, Context, Gate, GateStatus, HistoryRule, State, Violation
from domain.rules.days import DayBook
from domain.rules.events import Closed, Event, Moment

Rules = Sequence[HistoryRule[Any]]
# stays plain data until its rule reads it: only the rule knows the class
StoredState = Annotated[dict[str, Any] | SerializeAsAny[State], Field(union_mode="left_to_right")]


class Made(State):
    """An open position: what its closed parts made, in minor units, and the rules that it offended."""

    minor: int = 0
    rules: tuple[str, ...] = ()


class Deductions(State):
    """`positions`: the open positions that were closed in part or have offended a rule, by id. `closed`: what is
    deducted of positions that are closed, by rule, in minor units."""

    positions: dict[str, Made] = Field(default_factory=dict)
    closed: dict[str, int] = Field(default_factory=dict)

    def of(self, rule_id: str) -> int:
        """Returns what is deducted because of a rule, in minor units; never negative."""
        still_open = (made.minor for made in self.positions.values() if rule_id in made.rules)
        return self.closed.get(rule_id, 0) + sum(max(0, minor) for minor in still_open)


class HistoryState(State):
    """The state of every rule, by rule id. A state read from JSON is plain data until its rule is stepped. `deducted`:
    what the consequence deduct_profit of conduct rules takes off, except of rules that count it themselves."""

    book: DayBook
    rules: dict[str, StoredState] = Field(default_factory=dict)
    deducted: Deductions = Deductions()


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

    A source that knows only whole days sends `DayEnded` and no `Rolled`; a source that sends resets sends no days.
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
    deducted = _deducted_after(state.deducted, event, violations, rules)
    if not moved and book is state.book and deducted is state.deducted:
        return state, ()
    return HistoryState(book=book, rules={**state.rules, **moved}, deducted=deducted), tuple(violations)


def due(state: HistoryState, rules: Rules, context: Context) -> datetime | None:
    """Returns the next instant at which time alone may decide for any rule; the caller then steps a `Clocked` event."""
    timed = (rule for rule in rules if type(rule).due is not HistoryRule.due)  # most rules wait for events only
    instants = (rule.due(state_of(rule, state, context), context) for rule in timed)
    return min((at for at in instants if at is not None), default=None)


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
            found[rule.id] = own + state.deducted.of(rule.id)
    return {rule_id: minor for rule_id, minor in found.items() if minor}


def counts_itself(rule: HistoryRule[Any]) -> bool:
    """Returns whether a conduct rule keeps count of what it deducts."""
    return isinstance(rule, ConductRule) and type(rule).deducted_minor is not ConductRule.deducted_minor


def deducts_positions(rule: HistoryRule[Any]) -> bool:
    """Returns whether an offence of `rule` may deduct what its positions make."""
    if not isinstance(rule, ConductRule) or counts_itself(rule):
        return False
    return any(consequence.kind == "deduct_profit" for consequence in rule.consequences)


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
        if now is not None and rule.judges_running_day and days.has_results(state.book, now):
            own, _ = rule.step(own, days.running(state.book, now), context)
        yield rule, own


def _deducted_after(
    state: Deductions, event: Event, violations: Iterable[Violation], rules: Sequence[HistoryRule[Any]]
) -> Deductions:
    """Returns the state after `event` with its `violations`; `state` itself when it did not change."""
    watched = {rule.id for rule in rules if deducts_positions(rule)}
    if not watched:
        return state
    positions, closed = dict(state.positions), dict(state.closed)
    if isinstance(event, Closed):
        made = positions.get(event.position_id, Made())
        positions[event.position_id] = made.model_copy(update={"minor": made.minor + event.pnl_minor})
    for violation in violations:
        if violation.rule_id not in watched or violation.consequence.kind != "deduct_profit":
            continue
        for position_id in violation.position_ids:
            made = positions.get(position_id, Made())
            if violation.rule_id not in made.rules:
                positions[position_id] = made.model_copy(update={"rules": (*made.rules, violation.rule_id)})
    if isinstance(event, Closed) and event.lots_left <= 0:
        made = positions.pop(event.position_id)
        for rule_id in made.rules:
            closed[rule_id] = closed.get(rule_id, 0) + max(0, made.minor)
    if positions == state.positions and closed == state.closed:
        return state
    return Deductions(positions=positions, closed=closed)
