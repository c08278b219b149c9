"""Reads the MT4 terminal's statement (HTML). Labels are translated, so rows are recognised by their shape.

closed trade    ticket, time, side, lots, symbol, price, sl, tp, time, price, commission, taxes, swap, profit
cancelled order the same up to the second price, then one cell for the rest
money           ticket, time, word, comment over many columns, amount
open trade      as a closed one, without the second time
working order   ticket, time, type, lots, symbol, price, sl, tp, market price, comment
"""

import re
from collections.abc import Iterator
from datetime import datetime
from typing import Final, Literal

from adapters.statements.html import Row
from adapters.statements.sides import Sides, SideSample, learn_sides
from adapters.statements.tables import Line, Sheet, instant, is_instant, pairs, summary_money
from domain.file_errors import StatementInvalid
from domain.histories.statements import BalanceRow, Ending, Statement, StatementPosition, StatementSummary
from domain.money import known_currency

_AFTER_COLON: Final = re.compile(r"[^:\uff1a]+[:\uff1a]\s*(.+)")
_MONTHS: Final = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_PRINTED: Final = re.compile(r"(\d{4}) ([A-Za-z]{3})[a-z]* (\d{1,2}), (\d{1,2}:\d{2})")
_CURRENCY: Final = re.compile(r"[A-Z]{3,5}")
_TICKET: Final = re.compile(r"\d{2,}")
_TRADE_CELLS: Final = (13, 14)
Kind = Literal["closed", "open", "cancelled", "working", "money"]


def is_mt4(sheet: Sheet) -> bool:
    """Returns whether a first row has account and currency as in MT4: `Account: 123`, ..., `Currency: USD`."""
    return _account(sheet) is not None


def read(sheet: Sheet) -> Statement:
    """Returns the whole statement. Raises StatementInvalid for the first row that cannot be read."""
    account = _account(sheet)
    assert account is not None
    number, currency = account
    known_currency(currency)
    lines = [sheet.line(row, currency) for row in sheet.rows if _is_data(row)]
    if not lines:
        raise StatementInvalid(
            f"{sheet.origin.file} is an MT4 statement without trades.",
            remedy="Show the whole history in the terminal before saving the report.",
        )
    kinds = [(_kind(line), line) for line in lines]
    sides = learn_sides(_side_samples(kinds), sheet.given_sides)
    last = max(line.row.number for line in lines)
    return Statement(
        source="mt4",
        account=number,
        currency=currency,
        **sheet.origin.named,
        printed_at=_printed(sheet),
        closed=tuple(_trade(line, sides, closed=True) for kind, line in kinds if kind == "closed"),
        open_positions=tuple(_trade(line, sides, closed=False) for kind, line in kinds if kind == "open"),
        deals=(),
        balance_rows=tuple(_money(line) for kind, line in kinds if kind == "money"),
        cancelled_orders=sum(1 for kind, _ in kinds if kind == "cancelled"),
        pending_orders=sum(1 for kind, _ in kinds if kind == "working"),
        summary=_summary(sheet, [row for row in sheet.rows if row.number > last], currency),
    )


def _account(sheet: Sheet) -> tuple[str, str] | None:
    """Returns (account, currency) from the first row that has a whole number and a currency code, or None."""
    for row in sheet.rows[:5]:
        values = [match[1].strip() for text in row.texts if (match := _AFTER_COLON.fullmatch(text))]
        number = next((value for value in values if _TICKET.fullmatch(value)), None)
        currency = next((value for value in values if _CURRENCY.fullmatch(value)), None)
        if number and currency:
            return number, currency
    return None


def _printed(sheet: Sheet) -> datetime | None:
    """Returns the time of the statement, if it is written in figures or in English, else None."""
    for text in (text for row in sheet.rows[:5] for text in row.texts):
        match, written = _PRINTED.fullmatch(text), text
        if match and match[2].lower() in _MONTHS:
            month = _MONTHS.index(match[2].lower()) + 1
            written = f"{match[1]}.{month:02}.{int(match[3]):02} {match[4]}"
        if is_instant(written):
            return instant(written, sheet.origin.zone)
    return None


def _is_data(row: Row) -> bool:
    """Returns whether a row holds data: it begins with a ticket, or has a time in its second cell."""
    if len(row.cells) < 5:
        return False
    return bool(_TICKET.fullmatch(row.texts[0])) or is_instant(row.texts[1])


def _kind(line: Line) -> Kind:
    """Returns the kind of a data row, by the number of its cells. Raises StatementInvalid for another shape."""
    texts, cells = line.row.texts, line.row.cells
    if not _TICKET.fullmatch(texts[0]):
        raise line.problem(f"cell 1: {texts[0]!r} is not a ticket number")
    if not is_instant(texts[1]):
        raise line.problem(f"cell 2: {texts[1]!r} is not a date and time")
    if len(cells) in _TRADE_CELLS:
        return "closed" if texts[8] else "open"
    if len(cells) == 5 and cells[3].span > 5:
        return "money"
    if len(cells) == 11 and is_instant(texts[8]):
        return "cancelled"
    if len(cells) in (10, 11):
        return "working"
    raise line.problem(f"it has {len(cells)} cells, which fits no row of an MT4 statement")


def _side_samples(kinds: list[tuple[Kind, Line]]) -> Iterator[SideSample]:
    for kind, line in kinds:
        if kind in ("closed", "open"):
            yield line.row.texts[2], line.number(-1), line.price(5), line.price(9)


def _trade(line: Line, sides: Sides, *, closed: bool) -> StatementPosition:
    with_taxes = len(line.row.cells) == 14
    position = StatementPosition(
        row=line.row.number,
        position_id=line.text(0),
        symbol=line.text(4),
        side=line.side(2, sides),
        lots=line.lots(3),
        opened_at=line.at(1),
        opening_price=line.price(5),
        stop_price=line.price(6),
        take_price=line.price(7),
        closed_at=line.at(8) if closed else None,
        closing_price=line.price(9),
        commission_minor=line.money(10),
        taxes_minor=line.money(11) if with_taxes else 0,
        swap_minor=line.money(-2),
        profit_minor=line.money(-1),
        ending=_ending(line.row),
    )
    if position.closed_at is not None and position.closed_at < position.opened_at:
        raise line.problem("the trade closes before it opens")
    return position


def _ending(row: Row) -> Ending:
    tip = row.cells[0].title.lower()
    return "stop_loss" if "[sl]" in tip else "take_profit" if "[tp]" in tip else "close"


def _money(line: Line) -> BalanceRow:
    kind = line.money_kind(2)
    return BalanceRow(
        row=line.row.number,
        reference=line.text(0),
        at=line.at(1),
        amount_minor=line.money(-1),
        credit=kind == "credit",
        result=kind == "result",
    )


def _summary(sheet: Sheet, rows: list[Row], currency: str) -> StatementSummary:
    """Reads the summary: the first three rows together with two figures or more (deposits, credit; closed and
    floating result, margin; balance, equity, free margin). A detailed report has a block of other figures below."""
    found = [(row, values) for row, values in pairs(rows) if len(values) >= 2]
    together = (index for index in range(len(found) - 2) if found[index + 2][0].number - found[index][0].number == 2)
    index = next(together, None)
    if index is None:
        return StatementSummary()
    first, second, third = found[index : index + 3]
    return StatementSummary(
        deposits_net_minor=summary_money(sheet, first[0], first[1][0], currency),
        credit_minor=summary_money(sheet, first[0], first[1][1], currency),
        closed_profit_minor=summary_money(sheet, second[0], second[1][0], currency),
        floating_minor=summary_money(sheet, second[0], second[1][1], currency),
        balance_minor=summary_money(sheet, third[0], third[1][0], currency),
        equity_minor=summary_money(sheet, third[0], third[1][1], currency),
    )
