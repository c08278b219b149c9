"""The MT5 terminal's history report (HTML). Its labels are translated, so sections are known by the shape of their
rows: how many cells, and what is in them.

    positions       time, ticket, symbol, side, volume, price, sl, tp, time, price, commission, swap, profit
    orders          time, ticket, symbol, type, filled / wanted, price, sl, tp, time or price, state, comment
    deals           time, ticket, symbol, side, direction, volume, price, order, commission, [fee,] swap, profit,
                    balance, comment; money in and out has no symbol
    open positions  time, ticket, symbol, side, volume, price, sl, tp, market price, swap, profit, comment
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final, Literal

from adapters.statements.html import Row
from adapters.statements.sides import Sides, learned
from adapters.statements.tables import Line, Sheet, instant, is_instant, pairs, summary_money
from domain.errors import StatementInvalid
from domain.statements import BalanceRow, Ending, Statement, StatementDeal, StatementPosition, StatementSummary

_ACCOUNT: Final = re.compile(r"(\d{3,})\s*\(\s*([A-Z]{3})\b.*\)")
_WHOLE: Final = re.compile(r"\d+")
Section = Literal["positions", "orders", "deals", "open"]
_BY_WIDTH: Final[dict[int, Section]] = {11: "orders", 12: "open", 14: "deals"}


@dataclass(slots=True)
class _Sections:
    positions: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    deals: list[Row] = field(default_factory=list)
    open: list[Row] = field(default_factory=list)
    after: list[Row] = field(default_factory=list)


def knows(sheet: Sheet) -> bool:
    """Whether one of the first rows says account and currency as MT5 does: 70358000 (EUR, server, kind)."""
    return _account(sheet) is not None


def read(sheet: Sheet) -> Statement:
    """The whole report. Raises StatementInvalid for the first row that does not fit."""
    account = _account(sheet)
    assert account is not None
    number, currency = account
    parts = _split(sheet)
    if not parts.deals and not parts.positions and not parts.open:
        raise StatementInvalid(
            f"{sheet.name} is an MT5 report without deals and positions.",
            remedy="Show the whole history in the terminal before saving the report.",
        )
    sides = learned(_lessons(sheet, parts, currency), sheet.given_sides)
    closed = [_closed(sheet.line(row, currency), sides) for row in parts.positions]
    held = [_open(sheet.line(row, currency), sides) for row in parts.open]
    deals, money = _deals(sheet, parts.deals, currency, sides, {p.position_id for p in (*closed, *held)})
    endings = _endings(parts.orders, deals)
    return Statement(
        source="mt5",
        account=number,
        currency=currency,
        zone=sheet.zone.key,
        printed_at=_printed(sheet),
        closed=tuple(p.model_copy(update={"ending": endings.get(_key(p), "close")}) for p in closed),
        open_positions=tuple(held),
        deals=tuple(deals),
        balance_rows=tuple(money),
        pending_orders=sum(1 for row in parts.orders if not is_instant(row.texts[8])),
        summary=_summary(sheet, parts.after, currency),
    )


def _account(sheet: Sheet) -> tuple[str, str] | None:
    for row in sheet.rows[:12]:
        for text in row.texts:
            if match := _ACCOUNT.fullmatch(text):
                return match[1], match[2]
    return None


def _printed(sheet: Sheet) -> datetime | None:
    found = (text for row in sheet.rows[:12] if row.cells and row.cells[0].heading for text in row.texts)
    return next((instant(text, sheet.zone) for text in found if is_instant(text)), None)


def _split(sheet: Sheet) -> _Sections:
    """Rows by section. A section begins with its header row (shaded, every cell bold) and ends at a row that does not
    begin with a time."""
    parts, section, waiting = _Sections(), None, None
    last = 0
    for index, row in enumerate(sheet.rows):
        if _is_header(row):
            waiting, section = row, None
            continue
        if waiting is not None:
            section, waiting = _kind(sheet, waiting, row), None
        if section is None or not any(row.texts):
            section = None if not any(row.texts) else section
            continue
        if not row.texts[0] and not (section == "deals" and len(row.cells) >= 13):
            section = None  # its sum
            last = index
            continue
        if len(row.cells) < 11:
            raise sheet.line(row, "").problem(f"it has {len(row.cells)} cells, too few for a row of {section}")
        getattr(parts, section).append(row)
        last = index
    parts.after = sheet.rows[last + 1 :]
    return parts


def _is_header(row: Row) -> bool:
    return len(row.cells) >= 11 and row.shade is not None and all(cell.bold or not cell.text for cell in row.cells)


def _kind(sheet: Sheet, header: Row, first: Row) -> Section | None:
    """What a header's rows are, by its width; 13 cells are positions, or deals of a build without fees."""
    width = len(header.cells)
    if width == 13:
        if len(first.cells) < 13:
            return None
        return "positions" if is_instant(first.texts[8]) else "deals"
    if width not in _BY_WIDTH:
        raise sheet.line(header, "").problem(f"a table with {width} columns is not known in an MT5 report")
    return _BY_WIDTH[width] if first.cells and is_instant(first.texts[0]) else None


def _lessons(sheet: Sheet, parts: _Sections, currency: str) -> Iterator[tuple]:  # type: ignore[type-arg]
    for row in parts.positions:
        line = sheet.line(row, currency)
        _expect(line, 13)
        yield row.texts[3], line.number(12), line.price(5), line.price(9)
    for row in parts.open:
        line = sheet.line(row, currency)
        _expect(line, 12)
        yield row.texts[3], line.number(10), line.price(5), line.price(8)


def _expect(line: Line, cells: int) -> None:
    if len(line.row.cells) != cells:
        raise line.problem(f"it has {len(line.row.cells)} cells where {cells} belong")
