"""Ordinary traders for tests of patterns that compare accounts with the rest of the firm."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

import numpy as np

from tests.books import Rows

DAY: Final = 86_400.0
HOUR: Final = 3_600.0
SYMBOLS: Final = ("EURUSD", "XAUUSD", "GBPUSD", "US500")


@dataclass(frozen=True)
class Trade:
    """`at`: seconds after the start of the book; `lasted`: seconds."""

    at: float
    lasted: float
    side: int
    lots: float


def crowd(rows: Rows, accounts: int = 40, each: int = 25, days: int = 10, seed: int = 1, name: str = "c") -> None:
    """Adds accounts of strangers who open at times of their own between 7 and 19 o'clock."""
    rng = np.random.default_rng(seed)
    for n in range(accounts):
        rows.account(f"{name}{n}")
        for at in times(rng, each, days):
            _open(rows, rng, f"{name}{n}", at)


def times(rng: np.random.Generator, count: int, days: int = 10) -> list[float]:
    """Returns sorted times at least ten minutes apart, in seconds after the start of the book."""
    slots = np.sort(rng.choice(days * 60, count, replace=False))
    return [float(slot // 60 * DAY + 7 * HOUR + slot % 60 * 720 + rng.random() * 100) for slot in slots]


def at_moments(rows: Rows, moments: Iterable[float], accounts: int, seed: int, *, name: str, spread: float) -> None:
    """Adds accounts that open at most of these moments, within about `spread` seconds, all on the side of the moment,
    each with sizes and closes of its own: news minutes, openings of candles, round prices."""
    rng = np.random.default_rng(seed)
    known = list(moments)
    side = rng.choice([-1, 1], len(known))
    for n in range(accounts):
        rows.account(f"{name}{n}")
        for at, which in zip(known, side.tolist(), strict=True):
            if rng.random() < 0.7:
                lots, lasted = float(np.round(rng.uniform(0.2, 3), 2)), float(rng.exponential(1_800) + 60)
                rows.trade(f"{name}{n}", at + float(rng.exponential(spread)), lasted, side=which, lots=lots)


def _open(rows: Rows, rng: np.random.Generator, account: str, at: float) -> None:
    symbol, side = str(rng.choice(SYMBOLS)), int(rng.choice([-1, 1]))
    lots, lasted = float(np.round(rng.uniform(0.2, 3), 2)), float(rng.exponential(1_800) + 60)
    rows.trade(account, at, lasted, symbol=symbol, side=side, lots=lots, profit=float(rng.normal(0, 200)))
