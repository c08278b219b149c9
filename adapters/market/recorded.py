"""Recorded quotes of a period: zip files of tick lines, or of minute bars where a day has no ticks.

`<anything>__tick__<symbol>__<yyyymmdd>_quote.zip` holds lines of milliseconds since midnight UTC, bid, ask;
`<anything>__minute__<symbol>__<yyyymmdd>_quote.zip` holds milliseconds, bid open, high, low, close, bid size, ask open,
high, low, close, ask size. A bar becomes four quotes: open, low and high (the nearer to the open first), close;
each has the bid and ask of that field.
"""

import heapq
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Final

from domain.file_errors import PriceFileInvalid
from domain.histories.statement_events import Quote

_NAME: Final = re.compile(r".*__(tick|minute)__([a-z0-9]+)__(\d{8})_quote", re.IGNORECASE)
_MOST_BYTES: Final = 1 << 30
_DAY_MS: Final = 86_400_000
_BAR_STEPS: Final = (0, 20_000, 40_000, 59_999)


class PriceFolder:
    """The quote files of one folder. Raises PriceFileInvalid for a folder without any."""

    def __init__(self, folder: Path) -> None:
        self._files: dict[tuple[str, date], Path] = {}
        for path in sorted(folder.glob("*_quote.zip"), reverse=True):  # tick files replace minute files of the same day
            if match := _NAME.fullmatch(path.stem):
                day = date.fromisoformat(match[3])
                if match[1].lower() == "tick" or (match[2].upper(), day) not in self._files:
                    self._files[match[2].upper(), day] = path
        if not self._files:
            raise PriceFileInvalid(
                f"{folder} holds no recorded quotes.",
                field="market",
                remedy="Name a folder with files such as forex__oanda__tick__eurusd__20140502_quote.zip.",
            )

    @property
    def symbols(self) -> frozenset[str]:
        return frozenset(symbol for symbol, _ in self._files)

    def missing(self, symbols: Iterable[str], first: date, last: date) -> dict[str, list[date]]:
        """Returns the weekdays from `first` to `last` without a file, by symbol. Complete symbols are left out."""
        days = [first + timedelta(n) for n in range((last - first).days + 1)]
        lacking = {s: [day for day in days if day.weekday() < 5 and (s, day) not in self._files] for s in symbols}
        return {symbol: days for symbol, days in lacking.items() if days}

    def quotes(self, symbols: Iterable[str], first: date, last: date) -> Iterator[Quote]:
        """Yields every quote of `symbols` in time order. A weekday without a file yields one quote without prices."""
        names = sorted(symbols)
        for offset in range((last - first).days + 1):
            day = first + timedelta(offset)
            yield from heapq.merge(*(self._day(name, day) for name in names), key=lambda quote: quote.at)

    def _day(self, symbol: str, day: date) -> Iterator[Quote]:
        path = self._files.get((symbol, day))
        midnight = datetime.combine(day, time(), tzinfo=UTC)
        if path is None:
            if day.weekday() < 5:
                yield Quote(midnight, symbol, None)
            return
        bars = "__minute__" in path.name.lower()
        last = -1
        for number, line in enumerate(_lines(path), start=1):
            for ms, bid, ask in _bar(path, number, line) if bars else _tick(path, number, line):
                if not last <= ms < _DAY_MS:
                    raise _invalid(path, number, "is earlier than the line before it, or beyond the day")
                if not 0 < bid <= ask:
                    raise _invalid(path, number, f"has a price that is zero, negative or crossed: bid {bid}, ask {ask}")
                last = ms
                yield Quote(midnight + timedelta(milliseconds=ms), symbol, (bid, ask))


def _tick(path: Path, number: int, line: str) -> Iterator[tuple[int, Decimal, Decimal]]:
    ms, bid, ask = _values(path, number, line, 3)
    yield int(ms), bid, ask


def _bar(path: Path, number: int, line: str) -> Iterator[tuple[int, Decimal, Decimal]]:
    ms, *rest = _values(path, number, line, 11)
    bids, asks = rest[:4], rest[5:9]
    order = (0, 1, 2, 3) if bids[1] - bids[0] < bids[0] - bids[2] else (0, 2, 1, 3)
    for step, which in zip(_BAR_STEPS, order, strict=True):
        yield int(ms) + step, bids[which], asks[which]


def _values(path: Path, number: int, line: str, count: int) -> list[Decimal]:
    try:
        values = [Decimal(part) for part in line.split(",")]
    except InvalidOperation as exc:
        raise _invalid(path, number, f"holds something that is no number: {line[:60]!r}") from exc
    if len(values) != count or not all(value.is_finite() for value in values):
        raise _invalid(path, number, f"does not have its {count} figures: {line[:60]!r}")
    return values


def _lines(path: Path) -> list[str]:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size > _MOST_BYTES:
                raise _invalid(path, 1, "cannot be found: the zip must hold exactly one CSV below 1 GB")
            return archive.read(members[0]).decode("ascii").splitlines()
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as exc:
        raise _invalid(path, 1, f"cannot be read: {exc}") from exc


def _invalid(path: Path, line: int, problem: str) -> PriceFileInvalid:
    return PriceFileInvalid(
        f"{path.name}: line {line} {problem}.",
        field="market",
        remedy="Correct that line, or fetch the file again from where it was recorded.",
    )
