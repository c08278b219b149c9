"""`propos bench monitor`: measures the live monitor, and baselines in the same run."""

from typing import Any

from cli.bench.columns import Columnar, Step, compile_seconds, scaling
from cli.bench.firm import START, Firm
from cli.bench.live import LiveOptions, measure_live
from cli.bench.market import Market
from cli.bench.timing import rounded

_SEED = 7


def measure(
    accounts: int,
    positions: int,
    symbols: int,
    seconds: float,
    step: Step,
    *,
    scales: tuple[int, ...] = (500, 1_000_000),
) -> dict[str, Any]:
    """Returns every figure of the benchmark. `seconds`: duration of the tick count, and of the service under load."""
    step("loading the compiled loops")
    started = compile_seconds()
    columnar = Columnar(Firm(Market(symbols, _SEED, START), accounts, positions, _SEED), step)
    figures: dict[str, Any] = {"accounts": accounts, "positions": positions, "symbols": symbols}
    figures |= columnar.marks(rounds=7)
    memory = columnar.memory()
    figures |= columnar.ticks(seconds / 2)
    figures |= {"bytes_per_account": memory.pop("total"), "bytes_in": memory}
    del columnar
    figures["startup_seconds"] = rounded(started)
    step("measuring other numbers of accounts")
    figures["scaling"] = [scaling(n, symbols, positions, rounds=5) for n in scales]
    live = LiveOptions(accounts=accounts, positions=positions, symbols=symbols, seconds=seconds, seed=_SEED)
    figures |= measure_live(live, step)
    return figures
