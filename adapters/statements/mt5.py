"""Reads the MT5 terminal's history report (HTML). Labels are translated, so sections are recognised by the shape of
their rows: the number of cells and their contents.

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
from decimal import Decimal
from typing import Final, Literal

from adapters.statements.html import Row
from adapters.statements.sides import Sides, SideSample, learn_sides
from adapters.statements.tables import Line, Sheet, instant, is_instant, pairs, summary_money
from domain.file_errors import StatementInvalid
from domain.histories.statement_fills import closed_by_deals
from domain.histories.statements import (
    BalanceRow,
    Ending,
    Statement,
    StatementDeal,
    StatementPosition,
    StatementSummary,
)
from domain.money import known_currency

_ACCOUNT: Final = re.compile(r"(\d{3,})\s*\(\s*([A-Z]{3,5})\b(.*)\)")
_REVERSES: Final = re.compile(r"\S+\s*/\s*\S+")  # "in/out", in any language
_WHOLE: Final = re.compile(r"\d+")
Section = Literal["positions", "orders", "deals", "open"]
Close = tuple[datetime | None, str, Decimal | None]
_BY_WIDTH: Final[dict[int, Section]] = {11: "orders", 12: "open", 14: "deals", 15: "deals"}


@dataclass(slots=True)
class _Sections:
    positions: list[Row] = field(default_factory=list)
    orders: list[Row] = field(default_factory=list)
    deals: list[Row] = field(default_factory=list)
    open: list[Row] = field(default_factory=list)
    after: list[Row] = field(default_factory=list)


def is_mt5(sheet: Sheet) -> bool:
    """Returns whether a first row has account and currency as in MT5: 70358000 (EUR, server, kind)."""
    return _account(sheet) is not None


def read(sheet: Sheet) -> Statement:
    """Returns the whole report. Raises StatementInvalid for the first row that cannot be read."""
    account = _account(sheet)
    assert account is not None
    number, currency, kind = account
    known_currency(currency)
    parts = _split(sheet)
    if not parts.deals and not parts.positions and not parts.open:
        raise StatementInvalid(
            f"{sheet.origin.file} is an MT5 report without deals and positions.",
            remedy="Show the whole history in the terminal before saving the report.",
        )
    sides = learn_sides(_side_samples(sheet, parts, currency), sheet.given_sides)
    closed, told = _positions(sheet, parts.positions, currency, sides)
    held = [_open(sheet.line(row, currency), sides) for row in parts.open]
    deals, money = _deals(sheet, parts.deals, currency, sides, {p.position_id for p in (*closed, *held)})
    endings: dict[Close, list[StatementDeal]] = {}
    for deal in deals:
        if not deal.opens:
            endings.setdefault((deal.at, deal.symbol, deal.price), []).append(deal)
    found = Statement(
        source="mt5",
        account=number,
        currency=currency,
        **sheet.origin.named,
        printed_at=_printed(sheet),
        closed=tuple(_with_ending(p, endings.get((p.closed_at, p.symbol, p.closing_price), [])) for p in closed),
        open_positions=tuple(held),
        deals=tuple(deals),
        balance_rows=tuple(money if parts.deals else told),
        pending_orders=sum(1 for row in parts.orders if len(row.cells) > 8 and not is_instant(row.texts[8])),
        netting=_netting(kind),
        summary=_summary(sheet, parts.after, currency),
    )
    # a report of deals only: the trades follow from them
    return found if closed or not deals else found.model_copy(update={"closed": closed_by_deals(found)})


def _account(sheet: Sheet) -> tuple[str, str, str] | None:
    """Returns (account, currency, the rest: server and kind of account), or None."""
    for row in sheet.rows[:12]:
        for text in row.texts:
            if match := _ACCOUNT.fullmatch(text):
                return match[1], match[2], match[3]
    return None


def _netting(kind: str) -> bool | None:
    """Returns whether the account has one position for each symbol; None when the report does not say."""
    words = re.findall(r"[a-z]+", kind.lower())
    return True if "netting" in words else False if "hedge" in words or "hedging" in words else None


def _printed(sheet: Sheet) -> datetime | None:
    found = (text for row in sheet.rows[:12] if row.cells and row.cells[0].heading for text in row.texts)
    return next((instant(text, sheet.origin.zone) for text in found if is_instant(text)), None)


def _split(sheet: Sheet) -> _Sections:
    """Returns the rows by section.

    A section begins after its header row (shaded, every cell bold). It ends at an empty row, or at a title or sum: a
    row with a first cell that spans many columns.
    """
    parts, section, header, last = _Sections(), None, None, -1
    for index, row in enumerate(sheet.rows):
        if _is_header(row):
            section, header, last = None, row, index
            continue
        if header is not None:
            section, header = _kind(sheet, header, row), None
        if section is None:
            continue
        last = index
        if not any(row.texts) or row.cells[0].span > 5:
            section = None
        else:
            getattr(parts, section).append(row)
    parts.after = sheet.rows[last + 1 :]
    return parts


def _is_header(row: Row) -> bool:
    return len(row.cells) >= 11 and row.shade is not None and all(cell.bold or not cell.text for cell in row.cells)


def _kind(sheet: Sheet, header: Row, first: Row) -> Section | None:
    """Returns the section of a header, by its width. 13 cells are positions, or deals of a build without fees."""
    if not any(first.texts) or first.cells[0].span > 5:
        return None
    width = len(header.cells)
    if width == 13:
        return "positions" if len(first.cells) > 8 and is_instant(first.texts[8]) else "deals"
    if width not in _BY_WIDTH:
        raise sheet.line(header, "USD").problem(f"a table with {width} columns is not known in an MT5 report")
    return _BY_WIDTH[width]


def _side_samples(sheet: Sheet, parts: _Sections, currency: str) -> Iterator[SideSample]:
    """Yields the trades from which side words are learned."""
    for rows, width, profit, closing in ((parts.positions, 13, 12, 9), (parts.open, 12, 10, 8)):
        for row in rows:
            line = sheet.line(row, currency)
            if _is_money(row):
                continue
            _expect(line, width)
            yield row.texts[3], line.number(profit), line.price(5), line.price(closing)


def _expect(line: Line, *cells: int) -> None:
    if len(line.row.cells) not in cells:
        wanted = " or ".join(map(str, cells))
        raise line.problem(f"it has {len(line.row.cells)} cells where {wanted} belong")


def _ticket(line: Line, cell: int) -> str:
    if not _WHOLE.fullmatch(line.row.texts[cell]):
        raise line.problem(f"cell {cell + 1}: {line.row.texts[cell]!r} is not a ticket number")
    return line.row.texts[cell]


def _positions(
    sheet: Sheet, rows: list[Row], currency: str, sides: Sides
) -> tuple[list[StatementPosition], list[BalanceRow]]:
    """Returns the closed positions, and the money rows among them, which the deals tell again."""
    closed, money = list[StatementPosition](), list[BalanceRow]()
    for row in rows:
        line = sheet.line(row, currency)
        if _is_money(row):
            kind = line.money_kind(3)
            money.append(
                BalanceRow(
                    row=row.number,
                    reference=_ticket(line, 1),
                    at=line.at(0),
                    amount_minor=line.money(-1),
                    credit=kind == "credit",
                    result=kind == "result",
                )
            )
        else:
            closed.append(_closed(line, sides))
    return closed, money


def _is_money(row: Row) -> bool:
    """Whether a row among the positions is money: the cells of the trade are one wide comment."""
    return len(row.cells) < 13 and len(row.cells) > 4 and not row.texts[2]


def _closed(line: Line, sides: Sides) -> StatementPosition:
    position = StatementPosition(
        row=line.row.number,
        position_id=_ticket(line, 1),
        symbol=line.text(2),
        side=line.side(3, sides),
        lots=line.lots(4),
        opened_at=line.at(0),
        opening_price=line.price(5),
        stop_price=line.price(6),
        take_price=line.price(7),
        closed_at=line.at(8),
        closing_price=line.price(9),
        commission_minor=line.money(10),
        swap_minor=line.money(11),
        profit_minor=line.money(12),
    )
    if position.closed_at is not None and position.closed_at < position.opened_at:
        raise line.problem("the position closes before it opens")
    return position


def _open(line: Line, sides: Sides) -> StatementPosition:
    return StatementPosition(
        row=line.row.number,
        position_id=_ticket(line, 1),
        symbol=line.text(2),
        side=line.side(3, sides),
        lots=line.lots(4),
        opened_at=line.at(0),
        opening_price=line.price(5),
        stop_price=line.price(6),
        take_price=line.price(7),
        closing_price=line.price(8),
        swap_minor=line.money(9),
        profit_minor=line.money(10),
    )


def _deals(
    sheet: Sheet, rows: list[Row], currency: str, sides: Sides, positions: set[str]
) -> tuple[list[StatementDeal], list[BalanceRow]]:
    deals, money = list[StatementDeal](), list[BalanceRow]()
    lines = [sheet.line(row, currency) for row in rows]
    for line in lines:
        _expect(line, 13, 14, 15)
    openings = _openings(lines, positions)
    balance = 0
    for line in lines:
        if not line.row.texts[2]:
            money.append(_balance_row(line, balance))
        elif sheet.money_words.of(line.row.texts[3]) != "cancelled":  # a cancelled deal is no fill
            deals.append(_deal(line, sides, openings))
        balance = line.money(-2)
    return deals, money


def _openings(lines: list[Line], positions: set[str]) -> set[str]:
    """Returns the words of deals that open: "in", and words of deals with an order that numbers a position."""
    seen: dict[str, list[bool]] = {}
    for line in lines:
        if line.row.texts[2]:
            seen.setdefault(line.row.texts[4].lower(), []).append(line.row.texts[7] in positions)
    known = {"in", "out", "in/out", "out by"}
    taught = {word for word, opens in seen.items() if word not in known and sum(opens) * 2 > len(opens)}
    return taught | {"in"}


def _deal(line: Line, sides: Sides, openings: set[str]) -> StatementDeal:
    width = len(line.row.cells)
    first = 9 if width == 15 else 8  # with 15 cells, one column is the cost of the spread, which is not booked
    direction = line.text(4).lower()
    return StatementDeal(
        row=line.row.number,
        deal_id=_ticket(line, 1),
        order_id=line.row.texts[7],
        at=line.at(0),
        symbol=line.text(2),
        side=line.side(3, sides),
        opens=direction in openings,
        reverses=_REVERSES.fullmatch(direction) is not None,
        lots=line.lots(5),
        price=line.number(6),
        commission_minor=line.money(first),
        fee_minor=line.money(first + 1) if width > 13 else 0,
        swap_minor=line.money(-4),
        profit_minor=line.money(-3),
        stated_balance_minor=line.money(-2),
        ending=_ending(line.row.texts[-1]),
    )


def _ending(comment: str) -> Ending:
    marks: tuple[tuple[str, Ending], ...] = (("[sl", "stop_loss"), ("[tp", "take_profit"))
    return next((ending for mark, ending in marks if mark in comment.lower()), "close")


def _balance_row(line: Line, before: int) -> BalanceRow:
    """Returns money without a trade, by its word. An amount that does not change the running balance is credit."""
    kind = line.money_kind(3)
    costs = range(9 if len(line.row.cells) == 15 else 8, len(line.row.cells) - 2)
    amount = sum(line.money(cell) for cell in costs)
    return BalanceRow(
        row=line.row.number,
        reference=_ticket(line, 1),
        at=line.at(0),
        amount_minor=amount,
        credit=amount != 0 and line.money(-2) == before,
        result=kind == "result",
        stated_balance_minor=line.money(-2),
    )


def _with_ending(position: StatementPosition, deals: list[StatementDeal]) -> StatementPosition:
    ending = next((deal.ending for deal in deals if deal.lots == position.lots), "close")
    return position.model_copy(update={"ending": ending}) if ending != "close" else position


def _summary(sheet: Sheet, rows: list[Row], currency: str) -> StatementSummary:
    """Read the two blocks below the tables.

    The first block has balance, credit, floating result and equity, each as the first value of its row. The second
    begins with net profit, gross profit and gross loss. The number of trades is in its first row of a whole number
    followed by shares in brackets.
    """
    found = [(row, values) for row, values in pairs(rows)]
    blocks: list[list[tuple[Row, list[str]]]] = []
    previous = None
    for row, values in found:
        if previous is None or row.number > previous + 1:
            blocks.append([])
        blocks[-1].append((row, values))
        previous = row.number
    figures: dict[str, int] = {}

    def put(name: str, place: tuple[Row, list[str]], value: int = 0) -> None:
        figures[name] = summary_money(sheet, place[0], place[1][value], currency)

    for block in blocks:
        if len(block) == 4 and len(block[-1][1]) == 1 and "balance_minor" not in figures:
            for name, place in zip(
                ("balance_minor", "credit_minor", "floating_minor", "equity_minor"), block, strict=True
            ):
                put(name, place)
        elif len(block[0][1]) == 3 and len(block) <= 3 and "closed_profit_minor" not in figures:
            for value, name in enumerate(("closed_profit_minor", "gross_profit_minor", "gross_loss_minor")):
                put(name, block[0], value)
    counts = (values for _, values in found if len(values) == 3 and _WHOLE.fullmatch(values[0]) and "(" in values[1])
    trades = next((int(values[0]) for values in counts), None)
    return StatementSummary(**figures, trades=trades)
