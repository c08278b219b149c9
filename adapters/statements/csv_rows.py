"""The rows of a CSV file, with their values read by the mapping's field names."""

import csv
import io
import re
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Final

from adapters.statements.csv_mapping import Column, Mapping
from adapters.statements.numbers import NotANumber, amount
from domain.file_errors import StatementInvalid
from domain.money import from_minor, is_exact, to_minor

_TOTAL: Final = re.compile(r"(grand |sub)?(totals?|sum|summe|gesamt|итого|всего|合计|合計|合計額)\b.*", re.IGNORECASE)
_HEADING_WITHIN: Final = 30
_SAME_HEADINGS: Final = 4
_FLOAT_NOISE: Final = Decimal("0.000001")  # a double that was printed with all its digits
_TIMES: Final = ("opened_at", "closed_at", "bought_at", "sold_at", "at")


class Table:
    """The rows of one file. The heading may stand below a few rows of a title."""

    def __init__(self, text: str, name: str, mapping: Mapping) -> None:
        self.name, self.mapping = name, mapping
        assert mapping.columns is not None
        rows = rows_of(text, name, mapping.delimiter)
        columns = [column for each in mapping.columns.given.values() for column in each]
        named = {column.strip().lower() for column in columns if isinstance(column, str)}
        at = (mapping.heading_row or _heading_at(rows, named) + 1) - 1 if mapping.heading else -1
        self._heading = [cell.strip().lower() for cell in rows[at]] if mapping.heading and rows else None
        self._rows = list(enumerate(rows, start=1))[at + 1 :]
        self._at = {
            field: tuple(self._place(field, column) for column in columns)
            for field, columns in mapping.columns.given.items()
        }
        self._only = {self._place("only", column): value for column, value in mapping.only.items()}
        self._formats: dict[str, tuple[str, ...]] = {}

    def _place(self, field: str, column: Column) -> int:
        if isinstance(column, int):
            return column - 1
        if self._heading is None or column.strip().lower() not in self._heading:
            there = ", ".join(self._heading) if self._heading else "none: the mapping says `heading: false`"
            raise StatementInvalid(
                f"{self.name} has no column headed {column!r} (mapping: {field}). Its headings: {there}.",
                field=f"columns.{field}",
                remedy="Correct the mapping, or name the column by its number, counted from 1.",
            )
        return self._heading.index(column.strip().lower())

    def lines(self) -> Iterator["Line"]:
        """Yields the rows of values. Empty rows, notes and repeated headings are left out; the heading of another table
        ends this one."""
        for number, cells in self._rows:
            filled = [cell.strip().lower() for cell in cells if cell.strip()]
            if self._heading is not None and len(set(filled) & set(self._heading)) >= _SAME_HEADINGS:
                if filled == [cell for cell in self._heading if cell]:
                    continue
                return
            if len(filled) < 2:
                continue
            line = Line(self, number, cells)
            if all(line.cell(place) == value for place, value in self._only.items()):
                yield line

    def places(self, field: str) -> tuple[int, ...]:
        return self._at.get(field, ())

    def formats(self, field: str) -> tuple[str, ...]:
        """Returns the formats of a column of times: those that read each of its values. Raises StatementInvalid if two
        of them disagree, so that 03/04 may be a day in March or in April."""
        given = self.mapping.date_format
        if isinstance(given, str):
            return (given,)
        if field not in self._formats:
            texts = {line.optional(field) for line in self.lines() if not line.is_total} - {""}
            fitting = tuple(each for each in given if all(_read_time(text, each) for text in texts)) or given
            readings = {tuple(_read_time(text, each) for text in sorted(texts)) for each in fitting}
            if len(readings) > 1 and fitting is not given:
                raise StatementInvalid(
                    f"{self.name}: the times in {field} can be read in two ways: {' and '.join(fitting)}.",
                    field="date_format",
                    remedy="Say the right one in a mapping: date_format.",
                )
            self._formats[field] = fitting
        return self._formats[field]


class Line:
    """One row. A value that cannot be read raises StatementInvalid."""

    def __init__(self, table: Table, row: int, cells: list[str]) -> None:
        self.table, self.row, self._cells = table, row, cells

    def problem(self, why: str) -> StatementInvalid:
        content = self.table.mapping.delimiter.join(self._cells)[:120]
        return StatementInvalid(
            f"{self.table.name}: row {self.row} cannot be read: {why}. The row: {content}",
            field=f"row {self.row}",
            remedy="Nothing was imported. Correct the row, or the mapping.",
        )

    @property
    def is_total(self) -> bool:
        """Whether the row is the sum of others: it begins with such a word, and has no time."""
        first = next((cell.strip() for cell in self._cells if cell.strip()), "")
        return bool(_TOTAL.fullmatch(first)) and not any(self.optional(field) for field in _TIMES)

    def cell(self, place: int) -> str:
        if place >= len(self._cells):
            raise self.problem(f"it has {len(self._cells)} columns; column {place + 1} is wanted")
        return self._cells[place].strip()

    def optional(self, field: str) -> str:
        """Returns the text of a field; empty if the row or the file does not have it."""
        places = self.table.places(field)
        return "-".join(self._cells[place].strip() for place in places if place < len(self._cells))

    def text(self, field: str) -> str:
        text = "-".join(self.cell(place) for place in self.table.places(field))
        if self.table.places(field) and not text.strip("-"):
            raise self.problem(f"{field} is empty")
        return text

    def number(self, field: str) -> Decimal | None:
        places = self.table.places(field)
        text = self.cell(places[0]) if places else ""
        if not text:
            return None
        try:
            return amount(text, self.table.mapping.decimal)
        except NotANumber as exc:
            raise self.problem(f"{field}: {exc}") from exc

    def money(self, field: str, currency: str) -> int:
        value = self.number(field) or Decimal(0)
        if value.adjusted() < 15:
            minor = to_minor(value, currency)
            if is_exact(value, currency) or abs(value - from_minor(minor, currency)) < _FLOAT_NOISE:
                return minor
        raise self.problem(f"{field}: {value} is not an amount in {currency}")

    def at(self, field: str, zone: tzinfo) -> datetime:
        text = self.text(field)
        formats = self.table.formats(field)
        moment = next((read for each in formats if (read := _read_time(text, each)) is not None), None)
        if moment is None:
            raise self.problem(f"{field}: {text!r} is not written as {' or '.join(formats)} (mapping: date_format)")
        if not 1990 <= moment.year <= 2100:
            raise self.problem(f"{field}: {text!r} is not a year that anybody traded in")
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def rows_of(text: str, name: str, delimiter: str) -> list[list[str]]:
    """Returns the cells of every row. Raises StatementInvalid."""
    try:
        return list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True))
    except csv.Error as exc:
        raise StatementInvalid(f"{name} is no CSV: {exc}.", remedy="Check the mapping's delimiter.") from exc


def _heading_at(rows: list[list[str]], named: set[str]) -> int:
    """Returns the index of the row with all named headings; 0 if there is none."""
    for index, cells in enumerate(rows[:_HEADING_WITHIN]):
        if named and named <= {cell.strip().lower() for cell in cells}:
            return index
    return 0


def _read_time(text: str, written: str) -> datetime | None:
    try:
        return datetime.strptime(text, written)
    except ValueError:
        return None
