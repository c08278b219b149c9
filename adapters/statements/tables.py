"""Shared by the readers of both terminals: cells read as times, money and sides, and errors that name the row."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from itertools import pairwise
from typing import Final

from adapters.statements.html import Row
from adapters.statements.money_words import KNOWN, MoneyKind, MoneyWords
from adapters.statements.numbers import Mark, NotANumber, decimal_mark, number
from adapters.statements.sides import Sides
from domain.file_errors import StatementInvalid
from domain.histories.statements import Side
from domain.money import is_exact, to_minor

_YEAR_FIRST: Final = re.compile(r"(\d{4})([./-])(\d{1,2})\2(\d{1,2})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?(?:\.\d+)?)?")
_DAY_FIRST: Final = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4})(?:[ T]+(\d{1,2}):(\d{2})(?::(\d{2}))?)?")


def is_instant(text: str) -> bool:
    """Whether `text` is a date and time that exists."""
    try:
        instant(text, UTC)
    except ValueError:
        return False
    return True


def instant(text: str, zone: tzinfo) -> datetime:
    """Returns a date and time of the server's `zone` as UTC; year first or day first. Raises ValueError."""
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day = match[1], match[3], match[4]
    elif match := _DAY_FIRST.fullmatch(text):
        year, month, day = match[4], match[3], match[1]
    else:
        raise ValueError(f"{text!r} is not a date and time such as 2024.01.31 09:30:00")
    if not 1990 <= int(year) <= 2100:
        raise ValueError(f"{text!r} is not a year that anybody traded in")
    hour, minute, second = (int(part or 0) for part in match.groups()[4:7])
    return datetime(int(year), int(month), int(day), hour, minute, second, tzinfo=zone).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Origin:
    """The file of a statement, and the time zone of its times."""

    file: str
    sha256: str
    zone: tzinfo
    zone_name: str

    @property
    def named(self) -> dict[str, str]:
        """Returns the fields of `Statement` that name its origin."""
        return {"file": self.file, "sha256": self.sha256, "zone": self.zone_name}


@dataclass(slots=True)
class Sheet:
    """The rows of one report. `mark` is its decimal mark, found from its amounts."""

    origin: Origin
    rows: list[Row]
    given_sides: Sides | None = None
    money_words: MoneyWords = KNOWN
    mark: Mark = field(init=False)

    def __post_init__(self) -> None:
        self.mark = decimal_mark(text for row in self.rows for text in row.texts)

    def line(self, row: Row, currency: str) -> "Line":
        return Line(self, row, currency)


@dataclass(frozen=True, slots=True)
class Line:
    """One data row, read by cell (counted from 0). A cell that cannot be read raises StatementInvalid."""

    sheet: Sheet
    row: Row
    currency: str

    def problem(self, why: str) -> StatementInvalid:
        content = " | ".join(text for text in self.row.texts if text)[:120]
        return StatementInvalid(
            f"{self.sheet.origin.file}: row {self.row.number} cannot be read: {why}. The row: {content}",
            field=f"row {self.row.number}",
            remedy="Nothing was imported. Export the report again, or correct that row.",
        )

    def text(self, cell: int) -> str:
        text = self.row.texts[cell]
        if not text:
            raise self.problem(f"cell {cell + 1} is empty")
        return text

    def at(self, cell: int) -> datetime:
        try:
            return instant(self.row.texts[cell], self.sheet.origin.zone)
        except ValueError as exc:
            raise self.problem(f"cell {cell + 1}: {exc}") from exc

    def side(self, cell: int, sides: Sides) -> Side:
        side = sides.of(self.row.texts[cell])
        if side is None:
            raise self.problem(
                f"cell {cell + 1}: {self.row.texts[cell]!r} is neither known as buy nor as sell, and no trade with a "
                "profit shows which; say it in a mapping's `side_words`"
            )
        return side

    def money_kind(self, cell: int) -> MoneyKind:
        """Returns the kind of a row of money without a trade, by its word."""
        word = self.row.texts[cell]
        kind = self.sheet.money_words.of(word)
        if kind is None:
            raise self.problem(
                f"cell {cell + 1}: {word!r} is no known kind of money row; say it in a mapping's `side_words`, under "
                "`money` if it is a deposit or a withdrawal, under `result` if it is a cost or an income of trading"
            )
        return kind

    def number(self, cell: int) -> Decimal:
        try:
            return number(self.row.texts[cell], self.sheet.mark)
        except NotANumber as exc:
            raise self.problem(f"cell {cell + 1}: {exc}") from exc

    def price(self, cell: int) -> Decimal | None:
        """Returns a price, or None for an empty cell or zero."""
        return (self.number(cell) or None) if self.row.texts[cell] else None

    def lots(self, cell: int) -> Decimal:
        lots = self.number(cell)
        if lots <= 0:
            raise self.problem(f"cell {cell + 1}: a trade of {lots} lots is none")
        return lots

    def money(self, cell: int) -> int:
        """Returns an amount in minor units. An empty cell is 0."""
        if not self.row.texts[cell]:
            return 0
        amount = self.number(cell)
        if not is_exact(amount, self.currency):
            raise self.problem(f"cell {cell + 1}: {amount} is not an amount in {self.currency}")
        return to_minor(amount, self.currency)


def pairs(rows: Sequence[Row]) -> Iterator[tuple[Row, list[str]]]:
    """Yields each summary row with its values: the texts that follow a label. Labels end with a colon of any script."""
    for row in rows:
        texts = row.texts
        values = [text for label, text in pairwise(texts) if is_label(label) and not is_label(text) and text]
        if values:
            yield row, values


def is_label(text: str) -> bool:
    return text.endswith((":", "\uff1a"))


def summary_money(sheet: Sheet, row: Row, text: str, currency: str) -> int:
    """Returns an amount of a summary in minor units. Raises StatementInvalid."""
    line = sheet.line(row, currency)
    try:
        amount = number(text, sheet.mark)
    except NotANumber as exc:
        raise line.problem(str(exc)) from exc
    if amount.adjusted() > 14:
        raise line.problem(f"{text!r} is not an amount in {currency}")
    return to_minor(amount, currency)
