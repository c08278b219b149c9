"""`propos bench exposure`: measures the figures and the what-ifs of one shard, and a plain numpy baseline beside them.

The baseline computes the same equities at the same shocked quotes in floating point, with one vector operation after
another and no compiled loop, and compares them with the same floors. It knows neither peaks nor exact rounding.
"""

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from cli.bench.firm import START, Firm, shard_of
from cli.bench.market import Market
from cli.bench.timing import interleaved, rounded
from domain.exposure.shocks import Shock, ladder_of, parse, shocked
from domain.pnl import conversion_rate
from domain.products.phase_terms import phase_terms
from monitor.exposure import kernels
from monitor.exposure.debts import debts_of
from monitor.exposure.frozen import Frozen, Quotes, freeze
from monitor.exposure.measure import measure
from monitor.exposure.shocked import ShockedShard

_SEED: Final = 7
_SHOCKS: Final = ("XAUUSD -2 %, EURUSD +0.5 %", "EURUSD -3 %", "US500 -5 %, NAS100 -6 %", "USDJPY +4 %")

Step = Callable[[str], None]


def _bench_firm(accounts: int, positions: int, symbols: int) -> Firm:
    """The firm of the other benchmarks, with a quarter of its accounts in the funded phase."""
    firm = Firm(Market(symbols, _SEED, START), accounts, positions, _SEED)
    product = firm.terms[0].product
    firm.terms.append(phase_terms(product, product.funded_index))
    return firm


def measure_exposure(accounts: int, positions: int, symbols: int, rounds: int, step: Step) -> dict[str, Any]:
    """Returns medians in milliseconds; those of a what-if and of numpy are for one shock. `wrong`: accounts for which
    the baseline has another verdict, though they are further from a floor than rounding explains."""
    step("making accounts")
    shard = shard_of(firm := _bench_firm(accounts, positions, symbols), firm.loaded())
    kernels.ready()
    step("measuring, and comparing with numpy")
    frozen = freeze(shard.state, 1)
    debts = debts_of(frozen, {})
    shocks = [Shock(moves=parse(text)) for text in _SHOCKS]
    asked = ShockedShard(frozen, debts)
    ladder = ladder_of(frozen.quotes)
    figures: dict[str, Any] = {"accounts": accounts, "positions": int(frozen.positions.sum()), "symbols": symbols}
    works: dict[str, tuple[Callable[[], object], int]] = {
        "freeze_ms": (lambda: freeze(shard.state, 1), 1),
        "exposure_ms": (lambda: measure(frozen, debts, "sandbox"), 1),
        "first_what_if_ms": (lambda: ShockedShard(frozen, debts).answer(shocks[:1]), 1),
        "what_if_ms": (lambda: [asked.outcome(shock) for shock in shocks], 1),
        "ladder_ms": (lambda: asked.answer(ladder), 1),
        "numpy_ms": (lambda: [_plain(frozen, shock) for shock in shocks], 1),
    }
    taken = interleaved(works, rounds)
    for name in ("what_if_ms", "numpy_ms"):
        taken[name] /= len(shocks)
    figures |= {name: rounded(milliseconds) for name, milliseconds in taken.items()}
    figures["what_if_over_numpy"] = rounded(taken["what_if_ms"] / taken["numpy_ms"])
    outcome = asked.outcome(shocks[1])
    figures |= {"breaches": outcome.breaches, "confirmed_exactly": outcome.confirmed}
    figures["wrong"] = _wrong(frozen, asked, shocks[1])
    return figures


def _quotes(frozen: Frozen, shock: Shock) -> Quotes:
    return shocked(frozen.quotes, {name: each.quote_currency for name, each in frozen.instruments.items()}, shock)


def _plain(frozen: Frozen, shock: Shock) -> tuple[Any, Any]:
    """Returns (equities, which accounts are below a floor) in floating point."""
    quotes, arena = _quotes(frozen, shock), frozen.arena
    profit = np.zeros(len(arena.rows))
    for book in frozen.books:
        start, size = arena.spans[book.number].tolist()
        span = slice(start, start + size)
        bid, ask = quotes[book.instrument.symbol]
        rate = float(conversion_rate(book.instrument.quote_currency, book.currency, quotes) * book.scale)
        units = arena.units[span]
        price = np.where(units > 0, float(bid), float(ask))
        profit[span] = (price - arena.opens[span]) * units * rate
    equity = frozen.balance + np.bincount(arena.rows, weights=profit, minlength=frozen.size)[: frozen.size]
    floors = frozen.levels.floor[:, : frozen.size].max(axis=0)
    return equity, (equity < floors) & frozen.judged & frozen.counts


def _wrong(frozen: Frozen, asked: ShockedShard, shock: Shock) -> int:
    """Compares the verdicts with the baseline's, but for accounts within a few minor units of a floor, those that were
    beyond one before, and those whose peak the shock moves."""
    equity, below = _plain(frozen, shock)
    now, before = _plain(frozen, Shock(moves={}))
    floors = frozen.levels.floor.max(axis=0)
    sure = (np.abs(equity - floors) > 10) & (np.abs(now - floors) > 10) & ~before & (equity <= frozen.high_alarm)
    found = asked.broken_rows(shock)
    mine = np.zeros(frozen.size, np.bool_)
    mine[found] = True
    return int(np.count_nonzero((mine != below) & sure))
