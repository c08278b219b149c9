"""Reads a CSV file of closed trades. A mapping describes its columns."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from adapters.statements.money_words import KNOWN as KNOWN_MONEY
from adapters.statements.money_words import MoneyWords
from adapters.statements.numbers import NotANumber, number
from adapters.statements.sides import KNOWN, Sides
from adapters.statements.tables import Origin
from domain.errors import StatementInvalid
from domain.histories.statements import BalanceRow, Side, Statement, StatementPosition, StatementSummary
from domain.money import Currency, ExactDecimal, is_exact, to_minor

Column = str | Annotated[int, Field(ge=1)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class SideWords(_Part):
    """The report's words or codes for each side, in any case.

    `money` marks deposits (positive) and withdrawals (negative), `result` costs and income of trading without a trade,
    such as interest. `skip` marks other rows, such as cancelled orders.
    """

    buy: tuple[str, ...] = ()
    sell: tuple[str, ...] = ()
    money: tuple[str, ...] = ()
    result: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()


class Columns(_Part):
    """Each column, by heading or by number from 1. Leave out columns that the file does not have."""

    ticket: Column
    symbol: Column
    side: Column
    opened_at: Column
    closed_at: Column
    profit: Column
    lots: Column | None = None
    opening_price: Column | None = None
    closing_price: Column | None = None
    commission: Column | None = None
    taxes: Column | None = None
    swap: Column | None = None

    @property
    def given(self) -> dict[str, Column]:
        return {name: column for name, column in self if column is not None}


class Contract(_Part):
    """The contract of a symbol. `market` is its name in the folder of quotes, if that differs."""

    contract_size: Annotated[ExactDecimal, Field(gt=0)]
    quote_currency: Annotated[str, Field(pattern=r"^[A-Z]{3,5}$")]  # prices only, never an account's money
    market: str | None = None


class Mapping(_Part):
    """A CSV needs `columns`, `currency` and `initial_balance`. `side_words` and `symbols` work for every report."""

    account: Annotated[str, Field(min_length=1)] = "unnamed"
    currency: Currency | None = None
    initial_balance: Annotated[ExactDecimal, Field(gt=0)] | None = None
    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    decimal: Literal[".", ","] = "."
    heading: bool = True
    date_format: str = "%Y.%m.%d %H:%M:%S"
    columns: Columns | None = None
    only: dict[str | int, str] = {}
    side_words: SideWords = SideWords()
    symbols: dict[str, Contract] = {}

    @property
    def sides(self) -> Sides:
        words: dict[str, Side] = {word.lower(): "buy" for word in self.side_words.buy}
        words |= {word.lower(): "sell" for word in self.side_words.sell}
        return Sides(KNOWN.words | words)

    @property
    def money_words(self) -> MoneyWords:
        return KNOWN_MONEY.with_words(transfers=self.side_words.money, results=self.side_words.result)


class _Table:
    """The rows of one file. Values are read by the mapping's field names."""

    def __init__(self, text: str, name: str, mapping: Mapping) -> None:
        self.name, self.mapping = name, mapping
        assert mapping.columns is not None
        try:
            rows = list(csv.reader(io.StringIO(text, newline=""), delimiter=mapping.delimiter, strict=True))
        except csv.Error as exc:
            raise StatementInvalid(f"{name} is no CSV: {exc}.", remedy="Check the mapping's delimiter.") from exc
        self._heading = [cell.strip().lower() for cell in rows[0]] if mapping.heading else None
        self._rows = list(enumerate(rows, start=1))[1 if mapping.heading else 0 :]
        self._at = {field: self._place(field, column) for field, column in mapping.columns.given.items()}
        self._only = {self._place("only", column): value for column, value in mapping.only.items()}

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

    def lines(self) -> Iterator["_Line"]:
        for number_, cells in self._rows:
            if not any(cell.strip() for cell in cells):
                continue
            line = _Line(self, number_, cells)
            if all(line.cell(place) == value for place, value in self._only.items()):
                yield line

    def place(self, field: str) -> int | None:
        return self._at.get(field)


class _Line:
    """One row. A value that cannot be read raises StatementInvalid."""

    def __init__(self, table: _Table, row: int, cells: list[str]) -> None:
        self.table, self.row, self._cells = table, row, cells

    def problem(self, why: str) -> StatementInvalid:
        content = self.table.mapping.delimiter.join(self._cells)[:120]
        return StatementInvalid(
            f"{self.table.name}: row {self.row} cannot be read: {why}. The row: {content}",
            field=f"row {self.row}",
            remedy="Nothing was imported. Correct the row, or the mapping.",
        )

    def cell(self, place: int) -> str:
        if place >= len(self._cells):
            raise self.problem(f"it has {len(self._cells)} columns; column {place + 1} is wanted")
        return self._cells[place].strip()

    def text(self, field: str) -> str:
        place = self.table.place(field)
        text = "" if place is None else self.cell(place)
        if place is not None and not text:
            raise self.problem(f"{field} is empty")
        return text

    def number(self, field: str) -> Decimal | None:
        place = self.table.place(field)
        text = "" if place is None else self.cell(place)
        if not text:
            return None
        try:
            return number(text, self.table.mapping.decimal)
        except NotANumber as exc:
            raise self.problem(f"{field}: {exc}") from exc

    def money(self, field: str, currency: str) -> int:
        amount = self.number(field) or Decimal(0)
        if not is_exact(amount, currency):
            raise self.problem(f"{field}: {amount} is not an amount in {currency}")
        return to_minor(amount, currency)

    def at(self, field: str, zone: tzinfo) -> datetime:
        text = self.text(field)
        try:
            moment = datetime.strptime(text, self.table.mapping.date_format)
        except ValueError as exc:
            wanted = self.table.mapping.date_format
            raise self.problem(f"{field}: {text!r} is not written as {wanted} (mapping: date_format)") from exc
        if not 1990 <= moment.year <= 2100:
            raise self.problem(f"{field}: {text!r} is not a year that anybody traded in")
        return (moment if moment.tzinfo else moment.replace(tzinfo=zone)).astimezone(UTC)


def read(text: str, origin: Origin, mapping: Mapping) -> Statement:
    """Returns the history in a CSV. The account begins with `initial_balance`. Raises StatementInvalid."""
    name, zone = origin.file, origin.zone
    missing = [field for field in ("currency", "initial_balance") if getattr(mapping, field) is None]
    if missing or mapping.currency is None or mapping.initial_balance is None:
        raise StatementInvalid(
            f"The mapping does not say {' and '.join(missing)}, and {name} cannot.",
            field=missing[0],
            remedy="Add it to the mapping.",
        )
    currency = mapping.currency
    trades, money = list[StatementPosition](), list[BalanceRow]()
    kinds = {word.lower(): "money" for word in mapping.side_words.money}
    kinds |= {word.lower(): "skip" for word in mapping.side_words.skip}
    for line in _Table(text, name, mapping).lines():
        kind = kinds.get(line.text("side").lower())
        if kind is None:
            trades.append(_trade(line, zone, mapping, currency))
        elif kind == "money":
            money.append(_money(line, zone, currency))
    if not trades:
        raise StatementInvalid(f"{name} holds no trades.", remedy="Check the mapping's `only` and `heading`.")
    first = min([trade.opened_at for trade in trades] + [row.at for row in money])
    deposit = BalanceRow(row=0, reference="initial", at=first, amount_minor=to_minor(mapping.initial_balance, currency))
    return Statement(
        source="csv",
        account=mapping.account,
        currency=currency,
        **origin.named,
        printed_at=None,
        closed=tuple(trades),
        open_positions=(),
        deals=(),
        balance_rows=(deposit, *money),
        summary=StatementSummary(),
    )


def _trade(line: _Line, zone: tzinfo, mapping: Mapping, currency: str) -> StatementPosition:
    side = mapping.sides.of(line.text("side"))
    if side is None:
        raise line.problem(f"{line.text('side')!r} is neither known as buy nor as sell (mapping: side_words)")
    opened, closed, lots = line.at("opened_at", zone), line.at("closed_at", zone), line.number("lots")
    if closed < opened:
        raise line.problem("the trade closes before it opens")
    if lots is not None and lots <= 0:
        raise line.problem(f"a trade of {lots} lots is none")
    if line.number("profit") is None:
        raise line.problem("profit is empty")
    return StatementPosition(
        row=line.row,
        position_id=line.text("ticket"),
        symbol=line.text("symbol"),
        side=side,
        lots=lots,
        opened_at=opened,
        opening_price=line.number("opening_price"),
        closed_at=closed,
        closing_price=line.number("closing_price"),
        commission_minor=line.money("commission", currency),
        taxes_minor=line.money("taxes", currency),
        swap_minor=line.money("swap", currency),
        profit_minor=line.money("profit", currency),
    )


def _money(line: _Line, zone: tzinfo, currency: str) -> BalanceRow:
    return BalanceRow(
        row=line.row,
        reference=line.text("ticket"),
        at=line.at("opened_at", zone),
        amount_minor=line.money("profit", currency),
    )
