"""Recorded quotes: zip files of LEAN tick lines. Every file is checked before the replay begins.

A file `<anything>__tick__<symbol>__<yyyymmdd>_quote.zip` holds one CSV: milliseconds since midnight UTC
(may be fractional), bid, ask. A jump in price is no error here: the monitor judges it.
"""

import re
import zipfile
import zlib
from array import array
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Final, NamedTuple, Protocol

from domain.file_errors import PriceFileInvalid
from sandbox.instants import DAY, to_us

_LINE: Final = re.compile(r"(\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?),(-?\d+(?:\.\d+)?)", re.ASCII)
_MAX_BYTES: Final = 1 << 30
_SHOWN: Final = 5


class Quote(NamedTuple):
    at_us: int
    symbol: str
    bid: Decimal
    ask: Decimal


class Feed(Protocol):
    """A source of quotes in time order. It can be stopped and resumed. Times are microseconds since 1970."""

    @property
    def ends_at(self) -> int | None:
        """Market time of the last quote; None for an endless source."""
        ...

    def next_at(self) -> int | None:
        """Returns the market time of the next quote, or None at the end."""
        ...

    def take(self, until_us: int, limit: int) -> list[Quote]:
        """Returns the next quotes up to and including `until_us`, at most `limit`."""
        ...

    def skip_to(self, us: int) -> None:
        """Skip quotes before `us`, if the source allows it."""
        ...

    def state(self) -> dict[str, object]: ...

    def restore(self, state: dict[str, object]) -> None: ...


class Recording:
    """Quotes of several symbols, merged in time order. Quotes of the same time keep the order of the symbols."""

    def __init__(self, symbols: Sequence[str], times: "array[int]", owners: "array[int]", prices: list[str]) -> None:
        self._symbols, self._times, self._owners, self._prices = symbols, times, owners, prices
        self._cursor = 0

    @classmethod
    def load(cls, folder: Path, symbols: Sequence[str], dates: Sequence[date]) -> "Recording":
        """Read and check every file. Raises PriceFileInvalid with file, line and remedy."""
        times, owners, prices = array("q"), array("b"), list[str]()
        for day in dates:
            midnight = to_us(datetime(day.year, day.month, day.day, tzinfo=UTC))
            rows: list[tuple[int, int, str]] = []
            for owner, symbol in enumerate(symbols):
                path = find_file(folder, symbol, day)
                rows.extend((midnight + at, owner, price) for at, price in read_file(path))
            rows.sort(key=lambda row: row[:2])
            for at, owner, price in rows:
                times.append(at)
                owners.append(owner)
                prices.append(price)
        return cls(symbols, times, owners, prices)

    def __len__(self) -> int:
        return len(self._times)

    @property
    def starts_at(self) -> int:
        return self._times[0]

    @property
    def ends_at(self) -> int | None:
        return self._times[-1]

    def next_at(self) -> int | None:
        return self._times[self._cursor] if self._cursor < len(self._times) else None

    def take(self, until_us: int, limit: int) -> list[Quote]:
        start, end = self._cursor, self._cursor
        last = min(len(self._times), start + limit)
        while end < last and self._times[end] <= until_us:
            end += 1
        self._cursor = end
        return [self._quote(index) for index in range(start, end)]

    def _quote(self, index: int) -> Quote:
        bid, _, ask = self._prices[index].partition(",")
        return Quote(self._times[index], self._symbols[self._owners[index]], Decimal(bid), Decimal(ask))

    def skip_to(self, us: int) -> None:
        """Does nothing: a recording is replayed whole."""

    def state(self) -> dict[str, object]:
        return {"cursor": self._cursor}

    def restore(self, state: dict[str, object]) -> None:
        self._cursor = int(str(state["cursor"]))


def recorded_dates(folder: Path, symbols: Sequence[str]) -> list[date]:
    """Returns the dates for which every symbol has a tick file, oldest first. Raises PriceFileInvalid if none."""
    found: set[date] | None = None
    for symbol in symbols:
        names = (path.stem for path in folder.glob(f"*__tick__{symbol.lower()}__*_quote.zip"))
        days = {date.fromisoformat(match[1]) for name in names if (match := re.search(r"__(\d{8})_", name))}
        found = days if found is None else found & days
    if not found:
        raise PriceFileInvalid(
            f"There is no date in {folder} with tick files for {', '.join(symbols)}.",
            field="market_dir",
            remedy="Name a folder with files such as forex__oanda__tick__eurusd__20140502_quote.zip.",
        )
    return sorted(found)


def find_file(folder: Path, symbol: str, day: date) -> Path:
    """Returns the tick file of `symbol` on `day`. Raises PriceFileInvalid unless there is exactly one."""
    pattern = f"*__tick__{symbol.lower()}__{day:%Y%m%d}_quote.zip"
    paths = sorted(folder.glob(pattern))
    if len(paths) != 1:
        problem = "There is no file" if not paths else f"There are {len(paths)} files"
        raise PriceFileInvalid(
            f"{problem} {pattern} in {folder}.",
            field="market_dir",
            remedy="Keep exactly one tick file per symbol and date in the folder, or choose another date.",
        )
    return paths[0]


def read_file(path: Path) -> Iterator[tuple[int, str]]:
    """Returns the lines of one file as (microseconds since midnight, "bid,ask"). Raises PriceFileInvalid."""
    text = _unzip(path)
    last, wrong, wrong_total, rows = -1, list[str](), 0, list[tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            raise _invalid(path, number, f"is not 'milliseconds,bid,ask': {line[:60]!r}")
        at = round(float(match[1]) * 1000)
        if at >= DAY:
            raise _invalid(path, number, f"lies beyond the day: {match[1]} ms")
        if at < last:
            raise _invalid(path, number, "is earlier than the line before it")
        last = at
        bid, ask = Decimal(match[2]), Decimal(match[3])
        if bid <= 0 or ask <= 0 or bid > ask:
            wrong_total += 1
            if len(wrong) < _SHOWN:
                wrong.append(f"line {number}: bid {bid}, ask {ask}")
        rows.append((at, f"{match[2]},{match[3]}"))
    if wrong:
        more = f" and {wrong_total - len(wrong)} more" if wrong_total > len(wrong) else ""
        raise PriceFileInvalid(
            f"{path.name} has prices that are zero, negative or crossed ({'; '.join(wrong)}{more}).",
            field="market_dir",
            remedy="Remove or correct those lines; a bid is above zero and never above its ask.",
        )
    if not rows:
        raise _invalid(path, 1, "is missing: the file has no quotes")
    return iter(rows)


def _unzip(path: Path) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            if len(members) != 1 or members[0].file_size > _MAX_BYTES:
                raise _invalid(path, 1, "cannot be found: the zip must hold exactly one CSV below 1 GB")
            return archive.read(members[0]).decode("ascii")
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, NotImplementedError, RuntimeError) as exc:
        raise _invalid(path, 1, f"cannot be read: the zip is damaged ({exc})") from exc
    except UnicodeDecodeError as exc:
        line = exc.object[: exc.start].count(b"\n") + 1
        raise _invalid(path, line, "is not plain text") from exc


def _invalid(path: Path, line: int, problem: str) -> PriceFileInvalid:
    return PriceFileInvalid(
        f"{path.name}: line {line} {problem}.",
        field="market_dir",
        remedy=f"Correct line {line}, or fetch the file again from where it was recorded.",
    )
