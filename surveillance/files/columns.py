"""Reads a CSV file into columns: names as text, numbers as float64, times as int64 microseconds in UTC.

A million rows are read in pieces, so that their text is never in memory as a whole.
"""

import csv
import gzip
import io
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt
import pandas as pd

from domain.file_errors import SurveillanceFileInvalid
from surveillance.book import UNKNOWN
from surveillance.files.problems import Problems

Array: TypeAlias = npt.NDArray[Any]

_PIECE: Final = 200_000
_SKIPPED: Final = re.compile(r"Skipping line (\d+)")
_WITH_ZONE: Final = re.compile(r"(?:[zZ]|[+-]\d\d(?::?\d\d)?)\s*$")
_SEPARATORS: Final = ",;\t"
NOT_TOLD: Final = int(np.iinfo(np.int64).min)  # a time that the file does not tell


@dataclass(frozen=True)
class Format:
    """What a file is made of: its columns by type, and those without which it cannot be read."""

    what: str  # such as "trades"
    text: tuple[str, ...]
    numbers: tuple[str, ...]
    times: tuple[str, ...]
    required: tuple[str, ...]

    @property
    def columns(self) -> frozenset[str]:
        return frozenset((*self.text, *self.numbers, *self.times))


@dataclass(frozen=True)
class Read:
    """The columns of a file; a column that it does not have is empty. `row`: of each row in the file, the header is 1.
    Numbers that are not told are NaN, times NOT_TOLD, text ""."""

    file: str
    columns: Mapping[str, Array]
    row: npt.NDArray[np.int64]
    problems: Problems

    def __getitem__(self, name: str) -> Array:
        return self.columns[name]

    def __len__(self) -> int:
        return len(self.row)

    def rows(self, chosen: Array) -> "Read":
        kept = {name: values[chosen] for name, values in self.columns.items()}
        return Read(self.file, kept, self.row[chosen], self.problems)

    def report(self, kind: str, column: str, which: Array, values: Array | None = None) -> None:
        """Counts the rows of `which` (flags) as a problem of this kind. `values`: shown instead of the column."""
        rows = np.flatnonzero(which)
        shown = self.columns[column] if values is None else values
        examples = ((int(self.row[n]), column, _shown(shown[n])) for n in rows[:5])
        self.problems.add(kind, self.file, len(rows), examples)

    def without(self, kind: str, column: str, which: Array) -> "Read":
        """Sets the rows of `which` aside and counts them."""
        if not which.any():
            return self
        self.report(kind, column, which)
        return self.rows(~which)


def read_columns(path: Path, form: Format, problems: Problems, on_rows: Callable[[int], None] | None = None) -> Read:
    """Returns the columns of a file (CSV, also compressed by gzip). Columns may stand in any order, others are ignored.

    Raises SurveillanceFileInvalid when there is no such file, when it is no CSV, or when a required column is missing.
    `on_rows`: told how many rows have been read.
    """
    separator, header = _header(path, form)
    _check(path, form, header)
    pieces, skipped, count = list[dict[str, Array]](), list[int](), 0
    with _complaints(skipped):
        for frame in _frames(path, form, separator, header):
            first, count = count, count + len(frame)
            pieces.append(_typed(frame, form, path.name, first, problems))
            if on_rows is not None:
                on_rows(count)
    row = _rows(count, skipped)
    columns = {name: _together(name, form, pieces) for name in form.columns}
    problems.files[path.name] = {"rows": count + len(skipped), "used": count}
    problems.add("too_many_fields", path.name, len(skipped), ((line, "", "") for line in skipped))
    return Read(path.name, columns, row, problems)


def _frames(path: Path, form: Format, separator: str, header: Sequence[str]) -> Iterator[pd.DataFrame]:
    """Yields the columns of the format that the file has, in pieces."""
    wanted = {name: header.index(name) for name in form.columns if name in header}
    try:
        with (
            _opened(path, separator, len(header)) as file,
            pd.read_csv(
                file,
                sep=separator,
                dtype=object,
                na_filter=False,
                keep_default_na=False,
                encoding="utf-8-sig",
                encoding_errors="replace",
                on_bad_lines="warn",
                chunksize=_PIECE,
                index_col=False,
            ) as reader,
        ):
            for number, frame in enumerate(reader):
                rows = frame.iloc[0 if number else 1 :, list(wanted.values())]  # without the row of _opened
                yield rows.set_axis(list(wanted), axis=1)
    except pd.errors.EmptyDataError:
        return
    except (OSError, EOFError, zlib.error, pd.errors.ParserError, ValueError) as exc:
        raise SurveillanceFileInvalid(
            f"The file of {form.what} {path.name} cannot be read: {exc}.",
            field=form.what,
            remedy="Write it as CSV in UTF-8, with one header line.",
        ) from exc


@contextmanager
def _opened(path: Path, separator: str, columns: int) -> Iterator[io.BufferedReader]:
    """Opens the file with an empty row put after the header: pandas measures rows by the one before them, and the first
    row must be measured, too."""
    with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as file:
        header = file.readline().rstrip(b"\r\n")
        empty = (separator * (columns - 1)).encode()
        yield io.BufferedReader(_Joined(header + b"\n" + empty + b"\n", file), 1 << 20)


class _Joined(io.RawIOBase):
    """Some bytes, and then a file."""

    def __init__(self, first: bytes, file: IO[bytes] | gzip.GzipFile) -> None:
        self._first, self._file = first, file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        given = self._first[: len(buffer)] or self._file.read(len(buffer))
        self._first = self._first[len(given) :]
        buffer[: len(given)] = given
        return len(given)


def _header(path: Path, form: Format) -> tuple[str, list[str]]:
    """Returns (separator, names of the columns)."""
    try:
        with gzip.open(path, "rb") if _is_gzip(path) else path.open("rb") as file:
            line = file.readline(1 << 16).decode("utf-8-sig", errors="replace").strip("\r\n")
    except (OSError, EOFError, zlib.error) as exc:
        raise SurveillanceFileInvalid(
            f"The file of {form.what} {path} cannot be read: {getattr(exc, 'strerror', None) or exc}.",
            field=form.what,
            remedy=f"Name a CSV file of {form.what}.",
        ) from exc
    separator = max(_SEPARATORS, key=line.count)
    return separator, [_plain(name) for row in csv.reader([line], delimiter=separator) for name in row]


def header_of(path: Path, form: Format) -> list[str]:
    """Returns the names of the columns. Raises SurveillanceFileInvalid when the file cannot be read."""
    return _header(path, form)[1]


def _check(path: Path, form: Format, header: Sequence[str]) -> None:
    missing = [name for name in form.required if name not in header]
    if missing:
        raise SurveillanceFileInvalid(
            f"The file of {form.what} {path.name} has no column {', '.join(missing)}.",
            field=missing[0],
            remedy=f"Add it to the header line. Required are {', '.join(form.required)};"
            " a value that is not known stays empty.",
        )


def _plain(name: str) -> str:
    return name.strip().lower()


def _is_gzip(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


@contextmanager
def _complaints(skipped: list[int]) -> Iterator[None]:
    """Collects the lines that pandas leaves out because they have more fields than the header."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", pd.errors.ParserWarning)
        yield
    for each in caught:
        skipped += [int(line) - 1 for line in _SKIPPED.findall(str(each.message))]  # without the row of _opened


def _rows(count: int, skipped: Sequence[int]) -> npt.NDArray[np.int64]:
    """Returns the row of each row that was read, where some of the file were skipped."""
    every = np.arange(2, count + len(skipped) + 2, dtype=np.int64)
    return every[~np.isin(every, skipped)][:count] if skipped else every


def _typed(frame: pd.DataFrame, form: Format, file: str, first: int, problems: Problems) -> dict[str, Array]:
    found: dict[str, Array] = {}
    for name in map(str, frame.columns):
        values = np.asarray(frame[name], dtype=object)
        if name in form.numbers:
            found[name] = numbers(values, name, file, first, problems)
        elif name in form.times:
            found[name] = times(values, name, file, first, problems)
        else:
            found[name] = _stripped(values)
    return found


def numbers(values: Array, name: str, file: str, first: int, problems: Problems) -> npt.NDArray[np.float64]:
    """Returns float64, NaN for what is empty or, counted, no finite number. `first`: the number of the first row."""
    found = np.asarray(pd.to_numeric(values, errors="coerce"), dtype=np.float64)
    wrong = ~np.isfinite(found)
    if wrong.any():
        told = np.flatnonzero(wrong)
        told = told[[bool(str(values[n]).strip()) for n in told]]
        found[wrong] = np.nan
        problems.add("not_a_number", file, len(told), ((first + n + 2, name, values[n]) for n in told[:5]))
    return found


def times(values: Array, name: str, file: str, first: int, problems: Problems) -> npt.NDArray[np.int64]:
    """Returns microseconds since 1970 in UTC, NOT_TOLD for what is empty or, counted, no time. A time without an offset
    is counted and taken as UTC."""
    found = pd.to_datetime(values, format="ISO8601", utc=True, errors="coerce").as_unit("us")
    micros = np.asarray(found.asi8, dtype=np.int64).copy()
    lacking = micros == NOT_TOLD
    told = np.flatnonzero(lacking)
    told = told[[bool(str(values[n]).strip()) for n in told]] if len(told) else told
    problems.add("not_a_time", file, len(told), ((first + n + 2, name, values[n]) for n in told[:5]))
    naive = [
        n
        for n, value in enumerate(values.tolist())
        if not value.endswith("Z") and value and not _WITH_ZONE.search(value)
    ]
    naive = [n for n in naive if not lacking[n]]
    problems.add("naive_time", file, len(naive), ((first + n + 2, name, values[n]) for n in naive[:5]))
    return micros


def _stripped(values: Array) -> Array:
    """Returns the text without blanks around it. Few names repeat often, so each is stripped once."""
    codes, found = pd.factorize(values)
    clean = np.array([str(name).strip() for name in found], dtype=object)
    return clean[codes] if len(clean) else values


def _together(name: str, form: Format, pieces: Sequence[Mapping[str, Array]]) -> Array:
    if pieces and name in pieces[0]:
        return np.concatenate([piece[name] for piece in pieces])
    count = sum(len(next(iter(piece.values()))) for piece in pieces)
    if name in form.numbers:
        return np.full(count, np.nan)
    if name in form.times:
        return np.full(count, NOT_TOLD, dtype=np.int64)
    return np.full(count, "", dtype=object)


def minor(values: Array, scale: Array, otherwise: int = UNKNOWN) -> npt.NDArray[np.int64]:
    """Returns amounts in minor units; what is not told becomes `otherwise`. `scale`: minor units of one unit."""
    scaled = np.rint(values * scale)
    usable = np.isfinite(scaled) & (np.abs(scaled) < 2.0**53)
    return np.where(usable, scaled, otherwise).astype(np.int64)


def _shown(value: object) -> object:
    if isinstance(value, np.int64):  # a time
        return "" if value == NOT_TOLD else str(np.datetime64(int(value), "us")) + "Z"
    return value
