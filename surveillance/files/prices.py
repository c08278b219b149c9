"""A folder of recorded quotes: one zip per symbol and day, `<anything>__<resolution>__<symbol>__<yyyymmdd>_quote.zip`.

The resolution is tick, second or minute. A line of ticks: milliseconds since midnight UTC, bid, ask. A line of bars:
milliseconds, bid open, high, low, close, bid size, ask open, high, low, close, ask size. A zip of futures holds a file
per expiry: the one with most lines is taken. On a day with ticks the bars of that symbol are not read.
"""

import re
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.file_errors import PriceFileInvalid
from surveillance.book import DAY, Quotes, Resolution
from surveillance.files.problems import Problems

_NAME: Final = re.compile(r".*__(tick|second|minute)__([a-z0-9.]+)__(\d{8})_quote", re.IGNORECASE)
_FINEST: Final[tuple[Resolution, ...]] = ("tick", "second", "minute")
_TICK: Final = ("ms", "bid", "ask")
_BAR: Final = (
    *("ms", "bid_open", "bid_high", "bid_low", "bid", "bid_size"),
    *("ask_open", "ask_high", "ask_low", "ask", "ask_size"),
)
_MOST_BYTES: Final = 1 << 30


@dataclass(frozen=True)
class _File:
    path: Path
    symbol: str
    day: date
    resolution: Resolution


def read_prices(
    folder: Path, main_name: Callable[[str], str | None], problems: Problems, on_file: Callable[[str], None]
) -> dict[str, Quotes]:
    """Returns the quotes by the name of the main symbol. `main_name`: of a symbol that a file names; None when nobody
    trades it, and its files are not read. Raises PriceFileInvalid for a folder without any such files."""
    found = _files(folder, problems)
    days: dict[tuple[str, Resolution], list[npt.NDArray[np.float64]]] = defaultdict(list)
    for file in found:
        name = main_name(file.symbol)
        if name is None:
            problems.add("file_ignored", file.path.name, 1, [(1, "symbol", file.symbol)])
            continue
        on_file(file.path.name)
        lines = _lines(file, problems)
        if len(lines):
            days[name, file.resolution].append(lines)
    quotes: dict[str, Quotes] = {}
    for resolution in reversed(_FINEST):
        for (name, which), parts in sorted(days.items()):
            if which == resolution:
                made = _quotes(np.concatenate(parts), resolution)
                quotes[name] = replace(made, coarser=quotes.get(name))
    return quotes


def _files(folder: Path, problems: Problems) -> list[_File]:
    """Returns the files to read: of a symbol's day the finest alone."""
    if not folder.is_dir():
        raise PriceFileInvalid(
            f"There is no folder of prices {folder}.", field="prices", remedy="Name a folder with zip files of quotes."
        )
    best: dict[tuple[str, str], _File] = {}
    for path in sorted(folder.iterdir()):
        match = _NAME.fullmatch(path.stem) if path.suffix == ".zip" else None
        try:
            day = date.fromisoformat(match[3]) if match else None
        except ValueError:
            day = None
        if match is None or day is None:
            problems.add("file_ignored", path.name, 1, [(1, "name", path.name)])
            continue
        file = _File(path, match[2].upper(), day, _FINEST[_FINEST.index(match[1].lower())])
        known = best.get((file.symbol, match[3]))
        if known is None or _FINEST.index(file.resolution) < _FINEST.index(known.resolution):
            best[file.symbol, match[3]] = file
    if not best:
        raise PriceFileInvalid(
            f"{folder} holds no recorded quotes.",
            field="prices",
            remedy="Name a folder with files such as forex__venue__tick__eurusd__20140502_quote.zip.",
        )
    return sorted(best.values(), key=lambda file: (file.symbol, file.day))


def _lines(file: _File, problems: Problems) -> npt.NDArray[np.float64]:
    """Returns rows of (microseconds, bid, ask, bid low, bid high, ask low, ask high), in the order of time."""
    names = _TICK if file.resolution == "tick" else _BAR
    frame = _frame(file, names)
    values = frame.apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
    ms, columns = values[:, 0], {name: values[:, n] for n, name in enumerate(names)}
    bid, ask = columns["bid"], columns["ask"]
    low, high = columns.get("bid_low", bid), columns.get("bid_high", bid)
    ask_low, ask_high = columns.get("ask_low", ask), columns.get("ask_high", ask)
    with np.errstate(invalid="ignore"):
        good = (
            (bid > 0) & (ask >= bid) & (ms >= 0) & (ms < DAY / 1000) & (low > 0) & (high >= low) & (ask_high >= ask_low)
        )
    wrong = np.flatnonzero(~good)
    examples = [(int(n) + 1, "bid, ask", ",".join(map(str, values[n, :3]))) for n in wrong[:5]]
    problems.add("bad_price", file.path.name, len(wrong), examples)
    problems.add("out_of_order", file.path.name, int((np.diff(ms[good]) < 0).sum()), [(1, "ms", "")])
    midnight = np.datetime64(file.day, "us").astype(np.int64)
    at = midnight + np.rint(ms * 1000)
    rows = np.column_stack((at, bid, ask, low, high, ask_low, ask_high))[good]
    problems.files[file.path.name] = {"rows": len(values), "used": len(rows)}
    return np.asarray(rows[np.argsort(rows[:, 0], kind="stable")], dtype=np.float64)


def _frame(file: _File, names: Sequence[str]) -> pd.DataFrame:
    try:
        with zipfile.ZipFile(file.path) as archive:
            members = [member for member in archive.infolist() if not member.is_dir()]
            if not members:
                raise ValueError("the zip is empty")
            largest = max(members, key=lambda member: (member.file_size, member.filename))
            if largest.file_size > _MOST_BYTES:
                raise ValueError(f"{largest.filename} is larger than 1 GB")
            with archive.open(largest) as lines:
                kinds: dict[str, Any] = dict.fromkeys(names, object)
                return pd.read_csv(lines, header=None, names=list(names), dtype=kinds, usecols=list(range(len(names))))
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=list(names))
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, RuntimeError, ValueError) as exc:
        raise PriceFileInvalid(
            f"{file.path.name} cannot be read: {exc}.",
            field="prices",
            remedy="Fetch the file again from where it was recorded, or take it out of the folder.",
        ) from exc


def _quotes(rows: npt.NDArray[np.float64], resolution: Resolution) -> Quotes:
    columns = [np.ascontiguousarray(rows[:, n]) for n in range(3 if resolution == "tick" else 7)]
    at, bid, ask = columns[0].astype(np.int64), columns[1], columns[2]
    low, high, ask_low, ask_high = (bid, bid, ask, ask) if resolution == "tick" else columns[3:]
    return Quotes(at, bid, ask, low, high, ask_low, ask_high, resolution=resolution)
