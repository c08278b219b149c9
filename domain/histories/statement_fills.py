"""The entries of a statement in order of time: what opened, what closed, and what moved the balance.

A report with deals is read deal by deal: each fill books its own costs at its own time. A close takes a share of the
costs of its position, by lots; the balance moved when they were booked. A report with trades only books the costs of a
trade at its close.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from domain.file_errors import StatementInvalid
from domain.histories.statements import (
    BalanceRow,
    Ending,
    Side,
    Statement,
    StatementDeal,
    StatementPosition,
)
from domain.money import half_up


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """An entry of a statement. `rank` orders entries of the same second. `booked_minor` moves the balance;
    `net_minor` is the result of what was closed, with its share of the costs of opening. `pending_minor`: costs that
    the report books only at the close. `stated_minor`: the running balance of the report after this row."""

    at: datetime
    rank: int
    row: int
    what: Literal["open", "close", "money"]
    position_id: str = ""
    symbol: str = ""
    side: Side = "buy"
    lots: Decimal = Decimal(0)
    lots_left: Decimal = Decimal(0)
    adds: bool = False
    price: Decimal | None = None
    stop_price: Decimal | None = None
    opened_at: datetime | None = None
    booked_minor: int = 0
    net_minor: int = 0
    gross_minor: int = 0
    commission_minor: int = 0
    swap_minor: int = 0
    pending_minor: int = 0
    ending: Ending = "close"
    stated_minor: int | None = None
    money: BalanceRow | None = None


@dataclass(slots=True)
class _Held:
    """An open position while the deals are read. `costs_minor`: costs booked at its fills and not yet shared."""

    position_id: str
    symbol: str
    side: Side
    lots: Decimal
    price: Decimal
    opened_at: datetime
    stop_price: Decimal | None = None
    costs_minor: int = 0


def entries(statement: Statement) -> list[Entry]:
    """Returns everything that happened, in order. Raises StatementInvalid for a statement without trades."""
    found = list(_of_deals(statement)) if statement.deals else list(_of_trades(statement))
    if not found:
        raise StatementInvalid("The statement contains no trades: there is nothing to judge.")
    # by deals, the order of the rows is the order of the fills
    found.sort(key=lambda entry: (entry.at, entry.row if statement.deals else entry.rank, entry.row, entry.rank))
    later = [row for row in statement.balance_rows if not row.credit and not _is_before(row, found[0], statement)]
    found += [
        Entry(
            at=row.at,
            rank=0,
            row=row.row,
            what="money",
            booked_minor=row.amount_minor,
            stated_minor=row.stated_balance_minor,
            money=row,
        )
        for row in later
    ]
    return sorted(found, key=lambda entry: (entry.at, entry.row if statement.deals else entry.rank, entry.row))


def money_before_trading(statement: Statement) -> list[BalanceRow]:
    """Returns the money in and out before the first trade, without credit."""
    money = [row for row in statement.balance_rows if not row.credit]
    opened = [(deal.at, deal.row) for deal in statement.deals]
    opened += [] if opened else [(trade.opened_at, 0) for trade in (*statement.closed, *statement.open_positions)]
    if not opened:
        return money
    at, row = min(opened)
    return [each for each in money if _is_before(each, Entry(at=at, rank=0, row=row, what="open"), statement)]


def _is_before(row: BalanceRow, first: Entry, statement: Statement) -> bool:
    """Whether money moved before the first trade. Deals are in the order of their rows, trades only in that of time."""
    return (row.at, row.row) < (first.at, first.row) if statement.deals else row.at <= first.at


def closed_by_deals(statement: Statement) -> tuple[StatementPosition, ...]:
    """Returns the closed trades of a report that lists deals and no positions: one for each close."""
    found = []
    opened: dict[str, Entry] = {}
    for entry in _of_deals(statement):
        if entry.what == "open":
            opened.setdefault(entry.position_id, entry)
            continue
        begun = opened.get(entry.position_id)
        found.append(
            StatementPosition(
                row=entry.row,
                position_id=entry.position_id,
                symbol=entry.symbol,
                side=entry.side,
                lots=entry.lots,
                opened_at=entry.opened_at or entry.at,
                opening_price=begun.price if begun else None,
                closed_at=entry.at,
                closing_price=entry.price,
                commission_minor=entry.net_minor - entry.gross_minor - entry.swap_minor,
                swap_minor=entry.swap_minor,
                profit_minor=entry.gross_minor,
                ending=entry.ending,
            )
        )
    return tuple(found)


# trades


def _of_trades(statement: Statement) -> Iterator[Entry]:
    """Rows with the same id, symbol, side and opening are parts of one position; other rows with its id are not."""
    rows: dict[tuple[str, str, Side, datetime], list[StatementPosition]] = {}
    for trade in (*statement.closed, *statement.open_positions):
        rows.setdefault((trade.position_id, trade.symbol, trade.side, trade.opened_at), []).append(trade)
    seen = set[str]()
    for (position_id, *_), parts in rows.items():
        parts.sort(key=lambda part: (part.closed_at is None, part.closed_at or part.opened_at, part.row))
        name = position_id if position_id not in seen else f"{position_id} (row {parts[0].row})"
        seen.add(position_id)
        yield from _of_one_position(name, parts)


def _of_one_position(name: str, parts: list[StatementPosition]) -> Iterator[Entry]:
    """Yields the opening and the closes of one position. Without lots, each row is an equal part of it."""
    sized = all(part.lots for part in parts)
    lots = [part.lots if sized and part.lots else Decimal(0) for part in parts]
    first = min(parts, key=lambda part: (part.opened_at, part.row))
    opening = Entry(
        at=first.opened_at,
        rank=1,
        row=first.row,
        what="open",
        position_id=name,
        symbol=first.symbol,
        side=first.side,
        lots=sum(lots, Decimal(0)),
        price=first.opening_price,
        stop_price=first.stop_price,
        opened_at=first.opened_at,
        pending_minor=sum(part.commission_minor + part.taxes_minor for part in parts),
    )
    yield opening
    for number, part in enumerate(parts, start=1):
        if part.closed_at is not None:
            left = sum(lots[number:], Decimal(0)) if sized else Decimal(len(parts) - number)
            yield _closed_trade(opening, part, lots[number - 1], left)


def _closed_trade(opening: Entry, part: StatementPosition, lots: Decimal, left: Decimal) -> Entry:
    assert part.closed_at is not None
    costs = part.commission_minor + part.taxes_minor
    return replace(
        opening,
        at=part.closed_at,
        rank=2 if part.closed_at == part.opened_at else 0,
        row=part.row,
        what="close",
        lots=lots,
        lots_left=left,
        price=part.closing_price,
        opened_at=part.opened_at,
        booked_minor=part.net_minor,
        net_minor=part.net_minor,
        gross_minor=part.profit_minor,
        commission_minor=costs,
        swap_minor=part.swap_minor,
        pending_minor=costs,
        ending=part.ending,
    )


# deals


def _of_deals(statement: Statement) -> Iterator[Entry]:
    book = _Book(statement)
    for deal in sorted(statement.deals, key=lambda deal: (deal.at, deal.row)):
        yield from book.take(deal)


@dataclass(slots=True)
class _Book:
    """The open positions while the deals of a report are read."""

    statement: Statement
    held: dict[str, _Held] = field(default_factory=dict)
    rows: dict[str, list[StatementPosition]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for row in (*self.statement.closed, *self.statement.open_positions):
            self.rows.setdefault(row.position_id, []).append(row)

    @property
    def netting(self) -> bool:
        """Whether the account has one position for each symbol. Where the report does not say, a reversal does."""
        stated = self.statement.netting
        return any(deal.reverses for deal in self.statement.deals) if stated is None else stated

    def take(self, deal: StatementDeal) -> Iterator[Entry]:
        if deal.opens:
            yield self._opened(deal, deal.lots, deal.net_minor, deal.commission_minor + deal.fee_minor)
            return
        held = self._closed_by(deal)
        wanted = sum((each.lots for each in held), Decimal(0))
        rest = deal.lots - wanted if deal.reverses else Decimal(0)
        # the share of the costs that belongs to the new position of a reversal
        costs = deal.commission_minor + deal.fee_minor
        opening = half_up(Decimal(costs) * rest / deal.lots) if rest > 0 else 0
        yield from self._closes(deal, held, deal.lots - rest, opening)
        if rest > 0:
            yield self._opened(deal, rest, opening, opening)

    def _opened(self, deal: StatementDeal, lots: Decimal, booked: int, costs: int) -> Entry:
        held = self._adds_to(deal)
        if held is None:
            position_id = deal.order_id or deal.deal_id
            stop = next((row.stop_price for row in self.rows.get(position_id, ())), None)
            held = _Held(position_id, deal.symbol, deal.side, Decimal(0), deal.price, deal.at, stop)
            self.held[position_id] = held
        adds = held.lots > 0
        held.price = (held.price * held.lots + deal.price * lots) / (held.lots + lots) if adds else deal.price
        held.lots += lots
        held.costs_minor += booked
        return Entry(
            at=deal.at,
            rank=1,
            row=deal.row,
            what="open",
            position_id=held.position_id,
            symbol=deal.symbol,
            side=deal.side,
            lots=lots,
            lots_left=held.lots,
            adds=adds,
            price=deal.price,
            stop_price=held.stop_price,
            opened_at=held.opened_at,
            booked_minor=booked,
            commission_minor=costs,
            stated_minor=deal.stated_balance_minor,
        )

    def _adds_to(self, deal: StatementDeal) -> _Held | None:
        """Returns the open position that an opening deal adds to; None when it opens a new one."""
        own = self.held.get(deal.order_id)
        if own is not None and own.side == deal.side:
            return own
        if deal.order_id in self.rows or not (self.netting or self.rows):
            return None
        same = (each for each in self.held.values() if (each.symbol, each.side) == (deal.symbol, deal.side))
        return next(same, None)

    def _closed_by(self, deal: StatementDeal) -> list[_Held]:
        """Returns the positions that a deal closes, the likeliest first: the one that the report says was closed at
        that instant, then one of just that size, then the oldest."""
        other = [each for each in self.held.values() if each.symbol == deal.symbol and each.side != deal.side]
        other.sort(key=lambda each: (not self._ended_at(each, deal), each.lots != deal.lots, each.opened_at))
        taken, lots = list[_Held](), Decimal(0)
        for each in other:
            if lots >= deal.lots:
                break
            taken.append(each)
            lots += each.lots
        return taken

    def _ended_at(self, held: _Held, deal: StatementDeal) -> bool:
        return any(
            row.closed_at == deal.at and row.lots in (None, deal.lots) for row in self.rows.get(held.position_id, ())
        )

    def _closes(self, deal: StatementDeal, held: list[_Held], lots: Decimal, opening: int) -> Iterator[Entry]:
        """Yields one close for each position. The last one takes what rounding leaves of the deal's figures."""
        if not held:  # opened before the report begins, or never
            yield self._closed(deal, None, lots, _Part(deal, 1, opening, booked=0))
            return
        left, booked = lots, 0
        for number, each in enumerate(held, start=1):
            closes = min(each.lots, left)
            last = number == len(held)
            part = _Part(deal, 1 if last and len(held) == 1 else closes / lots, opening, booked=booked, last=last)
            yield self._closed(deal, each, closes, part)
            booked, left = booked + part.net_minor, left - closes

    def _closed(self, deal: StatementDeal, held: _Held | None, lots: Decimal, part: "_Part") -> Entry:
        share, left, opened_at = 0, Decimal(0), None
        if held is not None:
            share = half_up(Decimal(held.costs_minor) * lots / held.lots)
            held.costs_minor -= share
            held.lots -= lots
            left, opened_at = held.lots, held.opened_at
            if not left:
                del self.held[held.position_id]
        return Entry(
            at=deal.at,
            rank=0,
            row=deal.row,
            what="close",
            position_id=held.position_id if held else deal.order_id or deal.deal_id,
            symbol=deal.symbol,
            side="sell" if deal.side == "buy" else "buy",
            lots=lots,
            lots_left=left,
            price=deal.price,
            opened_at=opened_at,
            booked_minor=part.net_minor,
            net_minor=part.net_minor + share,
            gross_minor=part.profit_minor,
            commission_minor=part.net_minor - part.profit_minor - part.swap_minor,
            swap_minor=part.swap_minor,
            ending=deal.ending,
            stated_minor=deal.stated_balance_minor if part.last and not deal.reverses else None,
        )


@dataclass(frozen=True, slots=True)
class _Part:
    """The part of a closing deal that belongs to one position. `opening`: costs that belong to the position that the
    deal opens. `booked`: the net of the parts before it."""

    deal: StatementDeal
    share: Decimal | int
    opening: int
    booked: int
    last: bool = True

    @property
    def profit_minor(self) -> int:
        return half_up(Decimal(self.deal.profit_minor) * self.share)

    @property
    def swap_minor(self) -> int:
        return half_up(Decimal(self.deal.swap_minor) * self.share)

    @property
    def net_minor(self) -> int:
        whole = self.deal.net_minor - self.opening
        return whole - self.booked if self.last else half_up(Decimal(whole) * self.share)
