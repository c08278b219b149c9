"""Cases about floors, ceilings and floating losses: the engine's own rule is judged at every event."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from cli.conformance.binding import binds, severity
from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.floors_reader import FLOORS, read_rule
from cli.conformance.translator import Translator
from domain.clocks import Clock, begun_with
from domain.rules import limits
from domain.rules.base import EquityRule
from domain.rules.evaluate import LevelBreach, has_level, judge, judge_rollover, worth_of, worths
from domain.rules.events import Closed, Event, PaidOut, Rolled
from domain.rules.floors import FloorSpec, Mark, RuleState, room_minor
from domain.rules.limits import LimitOffence, LimitState
from domain.rules.state import AccountRules, fresh, on_payout_hold, on_payout_settled
from domain.rules.terms import MovingSize, Size


def judged(case: Case) -> EngineResult:
    """Applies each event: money, then anchor, peak, step and lock, then the comparison. A breach does not stop it."""
    rule = read_rule(case)
    if not binds(case):
        return _unbound(case)
    fold = _Fold(case, rule)
    for raw in case.events:
        fold.take(raw)
    return fold.result


def _unbound(case: Case) -> EngineResult:
    result, translator = EngineResult(outcome="pass"), Translator(case)
    for raw in case.events:
        translator.event(raw)
        result.amounts = {
            "balance": case.major(translator.balance),
            "equity": case.major(translator.equity),
            "violations": 0,
        }
        result.steps.append(result.amounts)
        result.floors.append(None)
    return result


@dataclass(slots=True)
class _Fold:
    """The state of one rule on the account of a case."""

    case: Case
    rule: EquityRule
    rules: AccountRules = field(init=False)
    translator: Translator = field(init=False)
    clock: Clock | None = field(init=False)
    limit: LimitState = limits.FRESH
    day: date | None = None  # that the last rollover began
    split_pct: Decimal | None = None
    offending: set[str] = field(default_factory=set)  # positions whose profit is deducted
    made: dict[str, int] = field(default_factory=dict)  # what each position has made so far
    result: EngineResult = field(default_factory=lambda: EngineResult(outcome="pass"))

    def __post_init__(self) -> None:
        self.rules = fresh(self.rule.compile(self.case.initial_minor, self.case.currency))
        self.clock = self.case.clock(self.case.rule.get("day"))
        self.translator = Translator(self.case)
        given = self.case.rule.get("split_pct")
        self.split_pct = None if given is None else Decimal(given)

    def take(self, raw: RawEvent) -> None:
        event = self.translator.event(raw)
        self._positions_of(event)
        if isinstance(event, PaidOut):
            self.rules = on_payout_settled(on_payout_hold(self.rules, event.gross_minor))
        mark, before = self._mark(raw, event), self.rules
        reset = isinstance(event, Rolled)
        offences: tuple[LimitOffence, ...] = ()
        if reset:
            day = self._day_begun(raw)
            self.rules, broken = judge_rollover(before, mark, begun_with(self.day, day))
            period = limits.period_of(self.rule)
            self.limit, offences = limits.reset(self.limit, self.rule, mark.at, day, period)
            self.day = day
        else:
            self.rules, broken = judge(before, mark)
        compared = self._compared(mark, broken, reset=reset)
        self.limit, found = limits.step(self.limit, self.rule, compared, mark.at)
        for offence in (*offences, *found):
            self._offence(raw, offence, mark, broken, before)
        self._record(mark)

    def _mark(self, raw: RawEvent, event: Event) -> Mark:
        money = (self.translator.balance, self.translator.equity)
        return Mark(*money, raw.index + 1, raw.at(), positions=event.positions)

    def _day_begun(self, raw: RawEvent) -> date:
        """Returns the day that a rollover begins; without a clock of the rule, by the date as it is written. A rollover
        without a date begins the day after the last one."""
        day = raw.day(self.clock)
        if day is None:
            return (self.day or raw.at().date()) + timedelta(1)
        given: Mapping[str, Any] = self.case.rule.get("day") or {}
        late = self.clock is None and raw.has_instant and str(given.get("reset", "")) >= "12:00"
        return day + timedelta(1) if late and str(given["reset"])[:1].isdigit() else day

    def _compared(self, mark: Mark, broken: list[LevelBreach], *, reset: bool) -> dict[str, bool]:
        """Returns, by key, whether each limit that this event compares is broken."""
        found = {
            LevelBreach(spec, state, worth, subject).key: False
            for spec, state in zip(self.rules.specs, self.rules.states, strict=True)
            if reset or spec.judged_at == "every_event"
            for subject, worth in worths(spec, mark).items()
        }
        if mark.positions is not None:  # a position that is closed is not broken any more
            found |= {key: False for key in self.limit.curing if "/" in key}
        return found | {breach.key: True for breach in broken}

    def _offence(
        self, raw: RawEvent, offence: LimitOffence, mark: Mark, broken: list[LevelBreach], before: AccountRules
    ) -> None:
        result, breach = self.result, next((each for each in broken if each.key == offence.key), None)
        if result.at_event is None:
            at_reset = any(spec.judged_at == "eod" for spec in self.rules.specs)
            result.outcome, result.at_event = "breach", raw.index
            result.floor = self._floor(before if at_reset else self.rules)
        result.severity = severity(self.case, offence.number)
        consequence = offence.consequence
        if consequence.kind == "lower_split":
            self.split_pct = consequence.split_pct
        elif consequence.kind == "reset_balance":
            self.translator.balance = self.translator.equity = self.case.initial_minor
        elif consequence.kind == "deduct_profit":
            self.offending |= self._offenders(breach, mark)

    def _offenders(self, breach: LevelBreach | None, mark: Mark) -> set[str]:
        """Returns the positions that broke the limit: the position itself, those of the symbol, or all open ones."""
        if breach is not None and breach.spec.per == "position" and breach.subject is not None:
            return {breach.subject}
        if breach is not None and breach.spec.per == "symbol":
            return {each.position_id for each in mark.positions or () if each.symbol == breach.subject}
        return {*self.translator.opens, *(each.position_id for each in mark.positions or ())}

    def _positions_of(self, event: Event) -> None:
        if isinstance(event, Closed):
            self.made[event.position_id] = self.made.get(event.position_id, 0) + event.pnl_minor

    def _record(self, mark: Mark) -> None:
        result, money = self.result, (self.translator.balance, self.translator.equity)
        now = Mark(*money, mark.seq, mark.at, positions=mark.positions)
        result.amounts = {**dict(self._amounts(now)), "violations": self.limit.offences}
        if self.split_pct is not None:
            result.amounts["split_pct"] = self.split_pct
        result.steps.append(result.amounts)
        result.floors.append(self._floor(self.rules))
        deducted = sum(max(self.made.get(position, 0), 0) for position in self.offending)
        result.left_out.append(self.case.major(deducted) or Decimal(0))
        result.amounts["deducted"] = self.case.major(deducted)
        if result.at_event is None:
            result.floor = result.floors[-1]

    def _floor(self, rules: AccountRules) -> Decimal | None:
        """Returns the floor, or the ceiling of a cap that only limits upwards. None: there is no limit now."""
        spec, state = _first(rules)
        return self.case.major(state.floor_minor) if has_level(spec, state) and spec.source != "zero" else None

    def _amounts(self, mark: Mark) -> Iterator[tuple[str, Value]]:
        """Yields the account's money, its levels and their sizes."""
        spec, state = _first(self.rules)
        limited = has_level(spec, state)
        size = spec.allowance_of(state) if limited else None
        figures = state.figures
        named: dict[str, int | None] = {
            "balance": mark.balance_minor,
            "equity": mark.equity_minor,
            "allowance": size,
            "limit": size,
            "peak": state.basis_minor if figures is None or spec.begins_anew else figures.peak_minor,
            "anchor": state.basis_minor if figures is None or spec.begins_anew else figures.anchor_minor,
            "room": room_minor(spec, state.floor_minor, worth_of(spec, mark)) if limited else None,
        }
        if spec.moves in ("peak", "rollover_peak"):
            named["peak"] = state.basis_minor
        if spec.moves == "always" or spec.source == "zero":
            loss = mark.balance_minor - mark.equity_minor if spec.moves == "always" else -worth_of(spec, mark)
            named["floating_loss"] = max(loss, 0)
        for level, at in zip(self.rules.specs, self.rules.states, strict=True):
            named[level.direction] = at.floor_minor if has_level(level, at) else None
        whole = self.case.size(self.case.rule.get("daily_allowance"))
        if whole is not None:
            named["daily_allowance"] = _size(whole, spec, state, self.case.currency)
        yield from ((name, self.case.major(value)) for name, value in named.items())


def _first(rules: AccountRules) -> tuple[FloorSpec, RuleState]:
    """Returns the floor among the levels, or the ceiling if there is none."""
    levels = list(zip(rules.specs, rules.states, strict=True))
    return next((level for level in levels if level[0].direction == "floor"), levels[0])


def _size(size: Size, spec: FloorSpec, state: RuleState, currency: str) -> int:
    return spec.sized(MovingSize(size, currency), state.basis_minor, state.figures)


KINDS: Final[dict[str, Callable[[Case], EngineResult]]] = dict.fromkeys(FLOORS, judged)
