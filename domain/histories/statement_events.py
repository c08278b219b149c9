"""Converts a statement into the events of an account under a product: trades, money and resets in order of time.

The account starts with the first deposit of the statement. Later deposits are set aside, because they are no trading
result. Withdrawals first take back what was set aside; the rest counts as payouts on a funded account, and is set aside
too in an evaluation. With quotes, every quote while a position is open is an event with its equity. Without quotes the
equity is known only while no position is open.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypedDict

from domain.clocks import Clock
from domain.errors import RateMissing, StatementInvalid
from domain.histories.statement_sums import brought_forward, sums
from domain.histories.statements import BalanceRow, Statement, StatementPosition
from domain.proofs.sheets import Movement
from domain.rules.events import Clocked, Closed, Event, Marked, Opened, PaidOut, Rolled
from domain.rules.marking import Instrument, Position, QuoteBoard, equity_minor

Purpose = Literal["trading_day", "loss_snapshot", "both"]
_MICROSECOND: Final = timedelta(microseconds=1)


class _Money(TypedDict):
    """The fields that every event has."""

    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int | None


class Quote(NamedTuple):
    """A quote of a market symbol. `prices` None: from here on the symbol is not quoted, and its price is unknown."""

    at: datetime
    symbol: str
    prices: tuple[Decimal, Decimal] | None


@dataclass(frozen=True, slots=True)
class MarketData:
    """Quotes in order of time, and the contracts of their symbols. `names`: market symbol by the symbol of the
    statement, where they differ by more than case."""

    quotes: Iterable[Quote] = ()
    instruments: Mapping[str, Instrument] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)

    def name(self, symbol: str) -> str:
        return self.names.get(symbol, symbol.upper())


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a statement. `rank` orders entries of the same second."""

    at: datetime
    rank: int
    row: int
    what: Literal["open", "close", "money"]
    trade: StatementPosition | None = None
    money: BalanceRow | None = None
    lots: Decimal = Decimal(0)
    booked_minor: int = 0


_Timed = tuple[datetime, int, int, "_Entry | Quote | Purpose"]


def initial_minor(statement: Statement, stated: int | None = None) -> int:
    """Returns the initial balance: `stated` by the caller, else the deposits before the first trade, or the balance
    that the report brings forward. Raises StatementInvalid when there is none of them."""
    if stated is not None:
        return stated
    first = min((trade.opened_at for trade in (*statement.closed, *statement.open_positions)), default=None)
    early = (row for row in statement.balance_rows if not row.credit and (first is None or row.at <= first))
    initial = brought_forward(statement) + sum(row.amount_minor for row in early)
    own = statement.summary.balance_minor
    if initial <= 0 and own is not None:
        rows = sums(statement)
        initial += own - rows.balance_minor
    if initial <= 0:
        raise StatementInvalid(
            "The statement has no initial balance: there is no deposit before its first trade.",
            field="initial_balance",
            remedy="Export the whole history, or set initial_balance in a mapping.",
        )
    return initial


class Timeline:
    """Yields the events of one statement. Between two events its attributes describe the account at the last one."""

    def __init__(
        self,
        statement: Statement,
        clock: Clock,
        loss_clock: Clock | None,
        *,
        initial: int,
        funded: bool,
        market: MarketData | None,
    ) -> None:
        self.statement, self.clock, self.loss_clock = statement, clock, loss_clock
        self.funded, self.market = funded, market
        self.board, self.positions = QuoteBoard(), dict[str, Position]()
        self.balance_minor, self.seq = initial, 0
        self.day_opening: tuple[int, datetime | None, int] = (initial, None, 0)
        self.movements: list[Movement] = []
        self.set_aside = False
        self._aside, self._pending = 0, dict[str, int]()
        self._left: dict[str, Decimal] = {}
        self._unmarked: set[str] = set()

    @property
    def instruments(self) -> Mapping[str, Instrument]:
        return self.market.instruments if self.market else {}

    @property
    def held(self) -> int:
        """The number of open positions, including those without a price or a size, which are not in `positions`."""
        return len(self._left)

    @property
    def open_costs(self) -> tuple[tuple[str, int], ...]:
        """Costs of open positions that the venue books only at their close, by position."""
        return tuple((name, minor) for name, minor in self._pending.items() if minor)

    def events(self) -> Iterator[Event]:
        entries = _entries(self.statement)
        start = entries[0].at
        last = max(entries[-1].at, self.statement.printed_at or entries[-1].at)
        since = start - timedelta(days=1)  # includes the last quotes before the first position opened
        quotes = (q for q in (self.market.quotes if self.market else ()) if q.at >= since)
        streams: tuple[Iterator[_Timed], ...] = (
            ((at, 0, n, purpose) for n, (at, purpose) in enumerate(self._resets(start))),
            ((quote.at, 1, n, quote) for n, quote in enumerate(quotes)),
            ((entry.at, 2, n, entry) for n, entry in enumerate(entries)),
        )
        for at, _, _, item in heapq.merge(*streams, key=lambda timed: timed[:3]):
            if at > last:
                break
            event = self._event_of(at, item)
            if event is not None:
                yield event
        yield Clocked(**self._printed(last), open_positions=len(self._left))

    def _printed(self, at: datetime) -> _Money:
        """Returns the money when the report was made, with its own figures for open positions."""
        money = self._money(at)
        held = self.statement.open_positions
        if money["equity_minor"] is None and set(self._left) == {trade.position_id for trade in held}:
            money["equity_minor"] = self.balance_minor + sum(trade.net_minor for trade in held)
        return money

    def _event_of(self, at: datetime, item: "_Entry | Quote | Purpose") -> Event | None:
        if isinstance(item, Quote):
            return self._quoted(item)
        if isinstance(item, str):
            return self._rolled(at, item)
        if item.what == "money":
            return self._moved(item)
        return self._opened(item) if item.what == "open" else self._closed(item)

    def _resets(self, start: datetime) -> Iterator[tuple[datetime, Purpose]]:
        """Yields every reset after `start`, without end, with its purpose."""
        at = start
        while True:
            day = self.clock.next_reset(at)
            loss = self.loss_clock.next_reset(at) if self.loss_clock else day
            at = min(day, loss)
            yield at, "both" if day == loss else "trading_day" if at == day else "loss_snapshot"

    def _money(self, at: datetime) -> _Money:
        self.seq += 1
        return {"seq": self.seq, "at": at, "balance_minor": self.balance_minor, "equity_minor": self._equity()}

    def _equity(self) -> int | None:
        if not self._left:
            return self.balance_minor
        if self.market is None or self._unmarked:
            return None
        worth = self.balance_minor + sum(self._pending.values())
        try:
            return equity_minor(
                worth, self.positions.values(), self.board, self.market.instruments, self.statement.currency
            )
        except RateMissing:
            return None

    def _quoted(self, quote: Quote) -> Event | None:
        if quote.prices is None:
            known = self.board.prices.pop(quote.symbol, None) is not None
            return Marked(**self._money(quote.at)) if known and self._left else None
        self.board.put(quote.symbol, *quote.prices, self.seq + 1, quote.at)
        return Marked(**self._money(quote.at)) if self._left else None

    def _rolled(self, at: datetime, purpose: Purpose) -> Event:
        event = Rolled(**self._money(at), day=self.clock.trading_day(at - _MICROSECOND), purpose=purpose)
        if purpose != "loss_snapshot":
            self.day_opening, self.movements = (self.balance_minor, at, event.seq), []
        return event

    def _booked(self, entry: _Entry, reference: str, amount: int, kind: Literal["deal", "balance"]) -> None:
        self.balance_minor += amount
        if amount:
            self.movements.append(
                Movement(seq=self.seq + 1, at=entry.at, kind=kind, reference=reference, amount_minor=amount)
            )

    def _opened(self, entry: _Entry) -> Event:
        trade = entry.trade
        assert trade is not None
        name = self.market.name(trade.symbol) if self.market else trade.symbol.upper()
        self._booked(entry, trade.position_id, entry.booked_minor, "deal")
        self._left[trade.position_id] = entry.lots
        if not self.statement.deals:
            self._pending[trade.position_id] = trade.commission_minor + trade.taxes_minor
        if trade.opening_price is None or not entry.lots:
            self._unmarked.add(trade.position_id)
        else:
            self.positions[trade.position_id] = Position(
                trade.position_id, name, trade.side, entry.lots, trade.opening_price, trade.opened_at
            )
        return Opened(
            **self._money(entry.at),
            position_id=trade.position_id,
            symbol=name,
            side=trade.side,
            lots=entry.lots,
            price=trade.opening_price,
            stop_price=trade.stop_price,
            commission_minor=entry.booked_minor,
        )

    def _closed(self, entry: _Entry) -> Event:
        trade = entry.trade
        assert trade is not None
        name = self.market.name(trade.symbol) if self.market else trade.symbol.upper()
        left = self._left[trade.position_id] - entry.lots
        held = self.positions.get(trade.position_id)
        self._booked(entry, trade.position_id, trade.net_minor - entry.booked_minor, "deal")
        if left > 0 and held is not None:
            self.positions[trade.position_id] = Position(
                held.position_id, name, held.side, left, held.open_price, held.opened_at
            )
        if left <= 0:
            for book in (self._left, self.positions, self._pending):
                book.pop(trade.position_id, None)
            self._unmarked.discard(trade.position_id)
        else:
            self._left[trade.position_id] = left
        return Closed(
            **self._money(entry.at),
            position_id=trade.position_id,
            symbol=name,
            side=trade.side,
            lots=entry.lots,
            lots_left=max(left, Decimal(0)),
            opened_at=trade.opened_at,
            pnl_minor=trade.net_minor,
            gross_minor=trade.profit_minor,
            commission_minor=trade.commission_minor + trade.taxes_minor - entry.booked_minor,
            swap_minor=trade.swap_minor,
            action=trade.ending,
        )

    def _moved(self, entry: _Entry) -> Event | None:
        """Handles money in or out after the first deposit. Returns a payout, or None when the money is set aside."""
        assert entry.money is not None
        amount = entry.money.amount_minor
        if amount >= 0 or not self.funded:
            self._aside += amount
            self.set_aside = True
            return None
        taken = min(-amount, max(self._aside, 0))
        self._aside -= taken
        paid = -amount - taken
        if not paid:
            return None
        self._booked(entry, entry.money.reference, -paid, "balance")
        return PaidOut(**self._money(entry.at), gross_minor=paid, stage="settled", leaves=True)


def _entries(statement: Statement) -> list[_Entry]:
    """Returns trades and later money in order of time; in the same second, closes come before opens."""
    opening = {deal.order_id: deal.net_minor for deal in statement.deals if deal.opens}
    rows: dict[str, list[StatementPosition]] = {}
    for trade in (*statement.closed, *statement.open_positions):
        rows.setdefault(trade.position_id, []).append(trade)
    entries = []
    for name, parts in rows.items():
        parts.sort(key=lambda part: (part.closed_at is None, part.closed_at or part.opened_at, part.row))
        lots = sum((part.lots or Decimal(0) for part in parts), Decimal(0))
        cost = opening.get(name, 0)
        entries.append(
            _Entry(parts[0].opened_at, 1, parts[0].row, "open", trade=parts[0], lots=lots, booked_minor=cost)
        )
        for part in parts:
            if part.closed_at is None:
                continue
            rank = 2 if part.closed_at == part.opened_at else 0
            entries.append(
                _Entry(
                    part.closed_at, rank, part.row, "close", trade=part, lots=part.lots or Decimal(0), booked_minor=cost
                )
            )
            cost = 0  # the cost of opening is part of the result of the first close
    if not entries:
        raise StatementInvalid("The statement contains no trades: there is nothing to judge.")
    first = min(entry.at for entry in entries)
    entries += [
        _Entry(row.at, 0, row.row, "money", money=row)
        for row in statement.balance_rows
        if row.at > first and not row.credit
    ]
    return sorted(entries, key=lambda entry: (entry.at, entry.rank, entry.row))
