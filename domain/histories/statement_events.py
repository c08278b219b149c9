"""Converts a statement into the events of an account under a product: trades, money and resets in order of time.

The account starts with the first deposit of the statement. Later deposits are set aside, because they are no trading
result. Withdrawals first take back what was set aside; the rest counts as payouts on a funded account, and is set aside
too in an evaluation. With quotes, every quote while a position is open is an event with its equity. Without quotes the
equity is known only while no position is open.
"""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, NamedTuple, TypedDict

from domain.clocks import Clock
from domain.errors import RateMissing
from domain.file_errors import StatementInvalid
from domain.histories.statement_fills import Entry, money_before_trading
from domain.histories.statement_fills import entries as entries_of
from domain.histories.statement_sums import Discrepancy, brought_forward
from domain.histories.statements import Statement
from domain.proofs.sheets import Movement
from domain.rules.events import Clocked, Closed, Event, Marked, Opened, OpenResult, PaidOut, Rolled
from domain.rules.marking import Instrument, Position, QuoteBoard, profit_minor

Purpose = Literal["trading_day", "loss_snapshot", "both"]
_MICROSECOND: Final = timedelta(microseconds=1)


class _Money(TypedDict):
    """The fields that every event has."""

    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int | None
    positions: tuple[OpenResult, ...] | None


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


_Timed = tuple[datetime, int, int, "Entry | Quote | Purpose"]


def initial_minor(statement: Statement, stated: int | None = None) -> int:
    """Returns the initial balance: `stated` by the caller, else the deposits before the first trade, or the balance
    that the report brings forward. Raises StatementInvalid when there is none of them."""
    if stated is not None:
        return stated
    initial = brought_forward(statement) + sum(row.amount_minor for row in money_before_trading(statement))
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
        self.set_aside, self.aside_minor = False, 0
        self.difference: Discrepancy | None = None
        self._pending = dict[str, int]()
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
        entries = entries_of(self.statement)
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

    def _event_of(self, at: datetime, item: "Entry | Quote | Purpose") -> Event | None:
        if isinstance(item, Quote):
            return self._quoted(item)
        if isinstance(item, str):
            return self._rolled(at, item)
        happens = {"money": self._moved, "open": self._opened, "close": self._closed}[item.what]
        event = happens(item)
        self._compare(item)
        return event

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
        equity, results = None, self._results()
        if results is not None:
            equity = self.balance_minor + sum(self._pending.values()) + sum(each.pnl_minor for each in results)
        return {
            "seq": self.seq,
            "at": at,
            "balance_minor": self.balance_minor,
            "equity_minor": equity,
            "positions": results,
        }

    def _results(self) -> tuple[OpenResult, ...] | None:
        """Returns what each open position makes, without its costs; None while a price is unknown."""
        if not self._left:
            return ()
        if self.market is None or self._unmarked:
            return None
        instruments, currency = self.market.instruments, self.statement.currency
        try:
            return tuple(
                OpenResult(
                    position_id=held.position_id,
                    symbol=held.symbol,
                    pnl_minor=profit_minor(held, self.board, instruments, currency),
                )
                for held in self.positions.values()
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

    def _booked(self, entry: Entry, reference: str, amount: int, kind: Literal["deal", "balance"]) -> None:
        self.balance_minor += amount
        if amount:
            self.movements.append(
                Movement(seq=self.seq + 1, at=entry.at, kind=kind, reference=reference, amount_minor=amount)
            )

    def _name(self, symbol: str) -> str:
        return self.market.name(symbol) if self.market else symbol.upper()

    def _opened(self, entry: Entry) -> Event:
        name, position_id = self._name(entry.symbol), entry.position_id
        self._booked(entry, position_id, entry.booked_minor, "deal")
        held = self.positions.get(position_id)
        self._left[position_id] = self._left.get(position_id, Decimal(0)) + entry.lots
        self._pending[position_id] = self._pending.get(position_id, 0) + entry.pending_minor
        if entry.price is None or not entry.lots:
            self._unmarked.add(position_id)
        else:
            lots, opened_at = self._left[position_id], entry.opened_at or entry.at
            price = entry.price
            if entry.adds and held is not None:
                price = (held.open_price * held.lots + price * entry.lots) / lots
            self.positions[position_id] = Position(position_id, name, entry.side, lots, price, opened_at)
        return Opened(
            **self._money(entry.at),
            position_id=position_id,
            symbol=name,
            side=entry.side,
            lots=entry.lots,
            price=entry.price,
            stop_price=entry.stop_price,
            commission_minor=entry.commission_minor,
            adds=entry.adds,
        )

    def _closed(self, entry: Entry) -> Event:
        name, position_id = self._name(entry.symbol), entry.position_id
        held = self.positions.get(position_id)
        self._booked(entry, position_id, entry.booked_minor, "deal")
        self._pending[position_id] = self._pending.get(position_id, 0) - entry.pending_minor
        if entry.lots_left > 0:
            self._left[position_id] = entry.lots_left
            if held is not None:
                self.positions[position_id] = replace(held, lots=entry.lots_left)
        else:
            self._left.pop(position_id, None)
            self.positions.pop(position_id, None)
            self._pending.pop(position_id, None)
            self._unmarked.discard(position_id)
        return Closed(
            **self._money(entry.at),
            position_id=position_id,
            symbol=name,
            side=entry.side,
            lots=entry.lots,
            lots_left=entry.lots_left,
            opened_at=entry.opened_at,
            pnl_minor=entry.net_minor,
            gross_minor=entry.gross_minor,
            commission_minor=entry.commission_minor,
            swap_minor=entry.swap_minor,
            action=entry.ending,
        )

    def _moved(self, entry: Entry) -> Event | None:
        """Handles money without a trade after the first trade: a cost or an income of trading moves the balance, a
        deposit is set aside, a withdrawal may be a payout. Returns None when the money is set aside."""
        assert entry.money is not None
        amount = entry.money.amount_minor
        if entry.money.result:
            self._booked(entry, entry.money.reference, amount, "balance")
            return Marked(**self._money(entry.at))
        if amount >= 0 or not self.funded:
            self.aside_minor += amount
            self.set_aside = True
            return None
        taken = min(-amount, max(self.aside_minor, 0))
        self.aside_minor -= taken
        paid = -amount - taken
        if not paid:
            return None
        self._booked(entry, entry.money.reference, -paid, "balance")
        return PaidOut(**self._money(entry.at), gross_minor=paid, stage="settled", leaves=True)

    def _compare(self, entry: Entry) -> None:
        """Notes the first row after which the judged balance differs from the running balance of the report."""
        judged = self.balance_minor + self.aside_minor
        if entry.stated_minor is not None and self.difference is None and entry.stated_minor != judged:
            self.difference = Discrepancy(f"balance after row {entry.row}", entry.stated_minor, judged)
