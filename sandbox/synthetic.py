"""Write a made-up day in the format of recorded quotes, for machines that have no recording.

A day has hours that are quiet and hours that are not, a burst of news at 12:30 UTC with a lasting move behind it,
and ends at 21:00 UTC. It is made for rehearsing a firm, not for studying markets.
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
_NEWS_MS: Final = 45_000_000
_NEWS_LASTS_MS: Final = 240_000


def _activity(ms: int) -> float:
    """How much prices move at this time of day, 1 at its busiest outside news."""
    hour = ms // 3_600_000
    return 1.0 if 12 <= hour < 17 else 0.7 if 7 <= hour < 20 else 0.3


def _lines(symbol: str, seed: int, end_ms: int) -> list[str]:
    instrument = INSTRUMENTS[symbol]
    rng = Random(f"synthetic/{seed}/{symbol}")
    digits, spread = instrument.spec.digits, instrument.model_spread
    price, ms = float(instrument.model_price), 0
    lines: list[str] = []
    # the share of the price it moves in a square-root second: about 1.2 % over a whole day
    step = 0.000055
    drift = rng.choice((-1, 1)) * 0.000018
    while True:
        news = _NEWS_MS <= ms < _NEWS_MS + _NEWS_LASTS_MS
        wait = rng.randint(40, 160) if news else rng.randint(600, 3400)
        ms += wait
        if ms >= end_ms:
            return lines
        size = step * (6.0 if news else _activity(ms))
        trend = drift * (3.0 if news else 0.02 if ms > _NEWS_MS else 0.0)
        price *= 1 + rng.gauss(0, 1) * size * sqrt(wait / 1000) + trend * wait / 1000
        width = spread * (rng.randint(2, 5) if news else 1)
        bid = round(price)
        lines.append(f"{ms},{_written(bid, digits)},{_written(bid + width, digits)}")


def _written(points: int, digits: int) -> str:
    whole, rest = divmod(points, 10**digits)
    return f"{whole}.{rest:0{digits}d}"


def write_day(folder: Path, symbols: Sequence[str], day: date, seed: int, end_ms: int = _END_MS) -> None:
    """One zip of ticks per symbol in `folder`; the same arguments write the same quotes. BadInput names an unknown symbol."""
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
            archive.writestr(name, "\n".join(_lines(symbol, seed, end_ms)))
