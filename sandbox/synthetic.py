"""Writes an artificial day in the format of recorded quotes, for machines without a recording.

A day has quiet and busy hours, bursts of ticks as at US releases with a lasting move after the first, and ends at
21:00 UTC. It is meant for rehearsing a firm, not for studying markets: prices move about as much money per lot as on
a busy recorded day.
"""

import zipfile
from collections.abc import Sequence
from datetime import date
from math import sqrt
from pathlib import Path
from random import Random
from typing import Final

from domain.errors import BadInput
from sandbox.symbols import INSTRUMENTS

_END_MS: Final = 21 * 3600 * 1000
_BURSTS: Final = ((45_000_000, 240_000), (50_400_000, 180_000), (54_600_000, 120_000))  # begin and length, ms
_NEWS_MS: Final = _BURSTS[0][0]
_TREND_ENDS_MS: Final = 16 * 3_600_000
_GAP: Final = 1.6e-4  # of the price, at the release, for each unit of the instrument's volatility
_STEP: Final = 2.1e-6  # of the price in a square-root second, for each unit of the instrument's volatility
_TREND: Final = 3.0e-8  # of the price in a second, for each unit of the instrument's volatility


def _activity(ms: int) -> float:
    """Returns how much prices move at this time of day: 1 in the busiest hours outside bursts."""
    hour = ms // 3_600_000
    return 1.0 if 12 <= hour < 17 else 0.7 if 7 <= hour < 20 else 0.3


def _lines(symbol: str, seed: int, begin_ms: int, end_ms: int) -> list[str]:
    instrument = INSTRUMENTS[symbol]
    rng = Random(f"synthetic/{seed}/{symbol}")
    digits, spread = instrument.spec.digits, instrument.model_spread
    price, ms, last_ms = float(instrument.model_price), begin_ms, begin_ms
    lines: list[str] = []
    step, drift = instrument.volatility * _STEP, rng.choice((-1, 1)) * instrument.volatility * _TREND
    while True:
        if last_ms < _NEWS_MS <= ms:  # the release: nobody trades between the last price and this one
            price *= 1 + rng.choice((-1, 1)) * instrument.volatility * _GAP
        last_ms = ms
        bursting = any(begin <= ms < begin + length for begin, length in _BURSTS)
        wait = rng.randint(20, 80) if bursting else rng.randint(600, 3400)
        ms += wait
        if ms >= end_ms:
            return lines
        size = step * (4.0 if bursting else _activity(ms))
        trend = drift * (8.0 if bursting else 1.0) if _NEWS_MS <= ms < _TREND_ENDS_MS else 0.0
        price *= 1 + rng.gauss(0, 1) * size * sqrt(wait / 1000) + trend * wait / 1000
        width = spread * (rng.randint(2, 5) if bursting else 1)
        bid = round(price)
        lines.append(f"{ms},{_format_price(bid, digits)},{_format_price(bid + width, digits)}")


def _format_price(points: int, digits: int) -> str:
    whole, rest = divmod(points, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


def write_day(
    folder: Path, symbols: Sequence[str], day: date, seed: int, *, begin_ms: int = 0, end_ms: int = _END_MS
) -> None:
    """Write one zip of ticks per symbol into `folder`. The same arguments write the same quotes. `begin_ms`, `end_ms`:
    of the quotes, since midnight UTC; the first release is at 12:30.

    Raises BadInput for an unknown symbol.
    """
    unknown = [symbol for symbol in symbols if symbol not in INSTRUMENTS]
    if unknown:
        raise BadInput(
            f"The sandbox does not quote {', '.join(unknown)}.",
            field="symbols",
            remedy=f"Choose among {', '.join(INSTRUMENTS)}.",
        )
    folder.mkdir(parents=True, exist_ok=True)
    for symbol in symbols:
        name = f"{day:%Y%m%d}_{symbol.lower()}_tick_quote.csv"
        path = folder / f"synthetic__tick__{symbol.lower()}__{day:%Y%m%d}_quote.zip"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr(name, "\n".join(_lines(symbol, seed, begin_ms, end_ms)))
