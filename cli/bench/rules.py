"""`propos bench rules`: exact evaluations per second on one core, and the cost of an event as a life grows."""

import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from cli.bench.columns import Step
from cli.bench.firm import START
from cli.bench.lives import BoundRule, life, rules_of_every_type
from cli.bench.timing import median, rounded
from domain.rules import history
from domain.rules.base import Context, EquityRule, HistoryRule
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.daily_move_cap import DailyMoveCap
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import MaxLossTrailing
from domain.rules.evaluate import judge
from domain.rules.events import Event, Rolled
from domain.rules.floors import FloorSpec, Mark
from domain.rules.history import HistoryState
from domain.rules.registry import rule_types
from domain.rules.state import AccountRules, fresh, on_rollover

_INITIAL: Final = 10_000_000
_CENT: Final = Decimal("0.01")
_ROUNDS: Final = 5
_AT_ONCE: Final = 500
_WINDOW: Final = 500  # events over which the cost at an age is measured

_Step = Callable[[Any, Event], Any]  # the state (None: before the first event) and an event -> the state


def _specs() -> dict[str, tuple[FloorSpec, ...]]:
    pct = {"type": "pct_of_initial", "value": "5"}
    below = {"breach_when": "equity < floor"}
    trailing = {"type": "max_loss_trailing", "allowance": {"type": "pct_of_peak", "value": "6"}, "lock": None}
    rules = {
        "daily_loss": DailyLoss.model_validate(
            {"type": "daily_loss", "id": "rule", "anchor": "max(balance,equity)", "allowance": pct, **below}
        ),
        "daily_move_cap": DailyMoveCap.model_validate(
            {
                "type": "daily_move_cap",
                "id": "rule",
                "anchor": "balance",
                "directions": ["up", "down"],
                "allowance": pct,
                **below,
            }
        ),
        "max_loss_static": MaxLossStatic.model_validate(
            {"type": "max_loss_static", "id": "rule", "allowance": pct, **below}
        ),
        "max_loss_trailing": MaxLossTrailing.model_validate(
            {**trailing, "id": "rule", "peak_basis": "intraday_equity_peak", **below}
        ),
    }
    return {name: rule.compile(_INITIAL, "USD") for name, rule in rules.items()}


def _marks() -> list[Mark]:
    """Returns a rising walk of equity, so that peaks move from time to time."""
    equity = _INITIAL
    found = []
    for n in range(_AT_ONCE):
        equity += (n * 7919 % 2003) - 990
        found.append(Mark(_INITIAL, equity, n + 1, START + timedelta(seconds=n)))
    return found


def _engine(specs: tuple[FloorSpec, ...], marks: list[Mark]) -> Callable[[], int]:
    def run() -> int:
        rules, broken = fresh(specs), 0
        for mark in marks:
            rules, found = judge(rules, mark)
            broken += len(found)
        return broken

    return run


def _naive(specs: tuple[FloorSpec, ...], marks: list[Mark]) -> Callable[[], int]:
    """Returns the naive way: each verdict from the whole history, in Decimal, like a spreadsheet.

    It judges the last mark of every walk, because its cost grows with the history.
    """
    initial = Decimal(_INITIAL) / 100

    def floor(spec: FloorSpec, history: list[Decimal]) -> Decimal:
        basis = max([initial, *history]) if spec.moves == "peak" else initial
        if spec.allowance_minor is not None:
            size = Decimal(spec.allowance_minor) / 100
        else:
            size = (basis * (spec.allowance_pct or 0) / 100).quantize(_CENT, rounding=ROUND_HALF_UP)
        return basis + size if spec.direction == "ceiling" else basis - size

    def run() -> int:
        broken, history = 0, list[Decimal]()
        for mark in marks:
            equity = Decimal(mark.equity_minor) / 100
            history.append(equity)
            for spec in specs:
                level = floor(spec, history)
                beyond = equity > level if spec.direction == "ceiling" else equity < level
                broken += beyond or (spec.inclusive and equity == level)
        return broken

    return run


def _taken(work: Callable[[], int], seconds: float) -> tuple[float, float]:
    """Returns (seconds, seconds of the processor) of one mark: the medians of several rounds. On a busy machine only
    the second is comparable."""
    wall, cpu = list[float](), list[float]()
    for _ in range(_ROUNDS):
        count, started, used = 0, time.perf_counter(), time.process_time()
        while count == 0 or time.perf_counter() < started + seconds / _ROUNDS:
            work()
            count += _AT_ONCE
        wall.append((time.perf_counter() - started) / count)
        cpu.append((time.process_time() - used) / count)
    return median(wall), median(cpu)


def _levels(specs: tuple[FloorSpec, ...], marks: list[Mark], seconds: float) -> dict[str, Any]:
    """Measures the exact judge of these levels, and the naive way."""
    engine, naive = _engine(specs, marks), _naive(specs, marks)
    agree = engine() == naive()
    (fast, fast_cpu), (slow, slow_cpu) = _taken(engine, seconds), _taken(naive, seconds)
    return {
        "levels": len(specs),
        "evaluations_per_second": round(1 / fast),
        "naive_per_second": round(1 / slow),
        "ratio": rounded(slow / fast),
        "cpu_us": rounded(fast_cpu * 1e6),
        "naive_cpu_us": rounded(slow_cpu * 1e6),
        "cpu_ratio": rounded(slow_cpu / fast_cpu),
        "agree": agree,
    }


def _folds(bound: BoundRule, ages: Sequence[int]) -> dict[str, Any]:
    """Measures one event of a life that has lasted so many events already, and the naive way for the youngest: to fold
    the whole life anew."""
    rule, context = bound.rule, bound.context
    if isinstance(rule, EquityRule):
        step, state = _judging(rule.compile(context.initial_minor, context.currency)), None
    else:
        assert isinstance(rule, HistoryRule)
        step, state = _folding(rule, context), None
    events = life(context.clock, context.initial_minor, max(ages))
    wall, cpu, naive, done = dict[str, float](), dict[str, float](), 0.0, 0
    for age in sorted(ages):
        state, _, _ = _stepped(step, state, events[done : age - _WINDOW])
        state, wall[str(age)], cpu[str(age)] = _stepped(step, state, events[age - _WINDOW : age])
        done, naive = age, naive or _stepped(step, None, events[:age])[2] * age
    first, last = (cpu[str(age)] for age in (min(ages), max(ages)))
    return {
        "us_per_event": cpu,
        "wall_us_per_event": wall,
        "growth": rounded(last / first),
        "naive_us_per_event": rounded(naive),
    }


def _stepped(step: _Step, state: Any, events: Sequence[Event]) -> tuple[Any, float, float]:
    """Folds events. Returns (state, microseconds, microseconds of the processor) of one event."""
    started, used = time.perf_counter(), time.process_time()
    for event in events:
        state = step(state, event)
    wall, cpu, many = time.perf_counter() - started, time.process_time() - used, max(1, len(events))
    return state, rounded(wall * 1e6 / many), rounded(cpu * 1e6 / many)


def _judging(specs: tuple[FloorSpec, ...]) -> _Step:
    def step(rules: AccountRules | None, event: Event) -> AccountRules:
        equity = event.balance_minor if event.equity_minor is None else event.equity_minor
        mark = Mark(event.balance_minor, equity, event.seq, event.at)
        rules = rules or fresh(specs)
        return on_rollover(rules, mark) if isinstance(event, Rolled) else judge(rules, mark)[0]

    return step


def _folding(rule: HistoryRule[Any], context: Context) -> _Step:
    def step(state: HistoryState | None, event: Event) -> HistoryState:
        return history.step(state or history.start([rule], context), event, [rule], context)[0]

    return step


def measure(seconds: float, step: Step, ages: Sequence[int] = (1_000, 100_000)) -> dict[str, Any]:
    """Returns, by kind of equity rule, evaluations per second of the engine and of the naive way; the same of an
    account with four levels; and by type of every rule, the cost of an event at several ages of a life."""
    marks = _marks()
    figures: dict[str, Any] = {}
    kinds = _specs()
    for name, specs in kinds.items():
        step(name)
        figures[name] = _levels(specs, marks, seconds)
    step("four levels")
    four = kinds["daily_loss"] + kinds["daily_move_cap"] + kinds["max_loss_static"]
    figures["four_levels"] = _levels(four, marks, seconds)
    figures["lives"] = {}
    for name, bound in rules_of_every_type().items():
        step(f"a life under {name}")
        figures["lives"][name] = _folds(bound, ages)
    figures["not_measured"] = sorted(rule_types().keys() - figures["lives"].keys())
    return figures
