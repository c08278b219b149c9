"""A seeded population of ordinary accounts on random walks: many styles, none of them abuse.

Traders size by fixed lots, by risk, by balance, by volatility, at whim or after wins; they scalp for minutes, hold for
days, average down at whim, add to winners, take a planned risk in parts under one stop, close in parts, trade smaller
when the target is near or when they are funded.
"""

from dataclasses import dataclass
from math import nan
from typing import Final

import numpy as np

from tests.books import Rows

_MINUTES: Final = 28 * 1440
_WORTH: Final = {"EURUSD": (1.10, 7e-5, 100_000), "XAUUSD": (2_000.0, 0.45, 100), "US500": (4_500.0, 1.1, 1)}
_HOLDING: Final = {"scalper": 4, "day": 50, "intraday": 180, "swing": 2_000}  # median, in minutes
_SIZING: Final = ("fixed", "risk", "balance", "whim", "after wins", "volatility")


@dataclass(frozen=True)
class Trader:
    style: str
    sizing: str
    symbols: tuple[str, ...]
    risk: float  # of the size, to the stop
    hour: float
    shows_stops: bool
    averages: bool
    pyramids: bool
    parts: bool


class Market:
    def __init__(self, rng: np.random.Generator) -> None:
        self.prices, self.worth, self.step = {}, {}, {}
        for name, (start, step, worth) in _WORTH.items():
            wild = np.exp(np.repeat(rng.normal(0, 0.3, _MINUTES // 240), 240))
            self.prices[name] = start + np.cumsum(rng.normal(0, 1, len(wild)) * step * wild)
            self.worth[name], self.step[name] = worth, step * wild

    def leaves(self, symbol: str, at: int, until: int, side: int, stop: float, target: float) -> tuple[int, float, str]:
        """Returns (minute, price, reason) of the end of a trade."""
        path = self.prices[symbol][at + 1 : until + 1] * side
        for minute in np.flatnonzero((path <= stop * side) | (path >= target * side))[:1].tolist():
            price, reason = (stop, "stop") if path[minute] <= stop * side else (target, "target")
            return at + 1 + minute, price, reason
        return until, float(self.prices[symbol][until]), "client"


def ordinary_accounts(accounts: int, seed: int) -> Rows:
    rng = np.random.default_rng(seed)
    market, rows = Market(rng), Rows()
    for n in range(accounts // 2):
        trader = Trader(
            style=str(rng.choice(list(_HOLDING), p=[0.2, 0.4, 0.25, 0.15])),
            sizing=str(rng.choice(_SIZING)),
            symbols=tuple(rng.permutation(list(_WORTH))[: rng.integers(1, 4)].tolist()),
            risk=float(np.exp(rng.uniform(np.log(0.002), np.log(0.015)))),
            hour=float(rng.uniform(6, 18)),
            shows_stops=bool(rng.random() < 0.85),
            averages=bool(rng.random() < 0.1),
            pyramids=bool(rng.random() < 0.1),
            parts=bool(rng.random() < 0.1),
        )
        size = float(rng.choice([10_000, 50_000, 100_000]))
        for phase, start, end, smaller in (("phase 1", 0, 13, 1.0), ("funded", 14, 27, float(rng.uniform(0.4, 1.0)))):
            name = f"{phase} {n}"
            rows.account(
                name, f"o{n}", challenge=f"c{n}", phase=phase, size=size, daily_loss=size / 20, max_loss=size / 10,
                target=size / 12 if phase == "phase 1" else 0, min_days=4, zone="Europe/Prague",
            )  # fmt: skip
            _live(rows, rng, market, trader, name, size, start, end, smaller)
    return rows


def _live(
    rows: Rows, rng: np.random.Generator, market: Market, trader: Trader, name: str, size: float, start: int, end: int,
    smaller: float,
) -> None:  # fmt: skip
    balance, streak = size, 0
    whole = {symbol: float(rng.uniform(0.7, 1.4)) for symbol in trader.symbols}
    for day in range(start, end):
        if rng.random() < 0.35:
            continue
        for _ in range(rng.poisson(6 if trader.style == "scalper" else 1.7)):
            at = day * 1440 + int(np.clip(rng.normal(trader.hour, 2) * 60, 0, 1400))
            symbol = str(rng.choice(trader.symbols))
            held = max(int(_HOLDING[trader.style] * np.exp(rng.normal(0, 0.8))), 1)
            wild = market.step[symbol][at] if trader.sizing == "volatility" else _WORTH[symbol][1]
            far = 1.5 * wild * np.sqrt(_HOLDING[trader.style]) * rng.uniform(0.7, 1.5)
            lots = size * trader.risk * smaller / (far * market.worth[symbol])
            if trader.sizing == "fixed":
                lots *= far / (1.5 * wild * np.sqrt(_HOLDING[trader.style])) * whole[symbol]
            if trader.sizing == "balance":
                lots *= balance / size
            elif trader.sizing == "whim":
                lots *= float(np.exp(rng.normal(0, 0.4)))
            elif trader.sizing == "after wins":
                lots *= 1.4 ** min(streak, 3)
            if balance > 1.07 * size:
                lots *= 0.5  # careful near the target
            won = _idea(rows, rng, market, trader, name, symbol, at, held, far, lots)
            balance, streak = balance + won, streak + 1 if won > 0 else 0


def _idea(
    rows: Rows, rng: np.random.Generator, market: Market, trader: Trader, name: str, symbol: str, at: int, held: int,
    far: float, lots: float,
) -> float:  # fmt: skip
    side, until = int(rng.choice([-1, 1])), min(at + held, _MINUTES - 1)
    first = float(market.prices[symbol][at])
    stop, target = first - side * far, first + side * far * float(rng.uniform(0.8, 2.5))
    entries = [(at, lots)]
    for _ in range(int(rng.integers(1, 5))):
        later = int(rng.integers(at + 1, until + 1))
        gained = side * (market.prices[symbol][later] - first)
        if (trader.averages and gained < 0) or (trader.pyramids and gained > 0):
            entries.append((later, lots * float(rng.uniform(0.4, 1.0))))
        elif trader.parts:
            entries = [(minute, lots / (len(entries) + 1)) for minute in (*(each for each, _ in entries), later)]
    total = 0.0
    for n, (minute, of_entry) in enumerate(sorted(entries)):
        price = float(market.prices[symbol][minute])
        if side * (price - stop) <= 0 or minute >= until:
            continue
        ends, left_at, reason = market.leaves(symbol, minute, until, side, stop, target)
        for part in (0.5, 0.5) if rng.random() < 0.1 else (1.0,):
            profit = side * (left_at - price) * of_entry * part * market.worth[symbol]
            begins = minute * 60 + float(rng.uniform(0, 50))
            rows.trade(
                name, begins, max((ends - minute) * 60 + float(rng.normal(0, 15)), 5), symbol=symbol, side=side,
                lots=round(max(of_entry * part, 0.01), 2), profit=profit, open_price=price, close_price=left_at,
                stop=stop if trader.shows_stops else nan, position=f"{at} {symbol} {n} {side}", reason=reason,
            )  # fmt: skip
            total += profit
    return total
