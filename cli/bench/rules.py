"""`propos bench rules`: exact evaluations per second on one core, by kind of rule."""

import time
from collections.abc import Callable
from datetime import timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

from cli.bench.columns import Step
from cli.bench.firm import START
from cli.bench.timing import median, rounded
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.daily_move_cap import DailyMoveCap
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import MaxLossTrailing
from domain.rules.evaluate import judge
from domain.rules.floors import FloorSpec, Mark
from domain.rules.state import fresh

_INITIAL: Final = 10_000_000
_CENT: Final = Decimal("0.01")
_ROUNDS: Final = 5
_AT_ONCE: Final = 500


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


def _per_second(work: Callable[[], int], seconds: float) -> float:
    """Returns the marks judged per second: the median of several rounds."""
    found = []
    for _ in range(_ROUNDS):
        until, count, started = time.perf_counter() + seconds / _ROUNDS, 0, time.perf_counter()
        while count == 0 or time.perf_counter() < until:
            work()
            count += _AT_ONCE
        found.append(count / (time.perf_counter() - started))
    return median(found)


def measure(seconds: float, step: Step) -> dict[str, Any]:
    """Returns, by kind of rule, evaluations per second of the engine and of the naive way, and their ratio."""
    figures: dict[str, Any] = {}
    marks = _marks()
    for name, specs in _specs().items():
        step(name)
        engine, naive = _engine(specs, marks), _naive(specs, marks)
        agree = engine() == naive()
        fast, slow = _per_second(engine, seconds), _per_second(naive, seconds)
        figures[name] = {
            "evaluations_per_second": round(fast),
            "naive_per_second": round(slow),
            "ratio": rounded(fast / slow),
            "agree": agree,
        }
    return figures
