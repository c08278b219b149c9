"""What the fake trade server holds: groups, users, positions, orders, deals, quotes, and its own clock."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from domain.errors import BadInput
from ports.platform import SymbolSpec
from sandbox.mt5 import values

_FIRST_TICKET: Final = 100_001
# The server sets these itself. What else a record is when nothing was sent comes next.
_SERVER_FIELDS: Final = ("Login", "Registration", "LastAccess")
_MONEY: Final = ("Balance", "Credit")  # an update does not change them
_EMPTY: Final = {
    **dict.fromkeys(("Group", "Name", "Comment", "Company", "Country", "City", "EMail", "Phone", "Status"), ""),
    **dict.fromkeys(("Rights", "Leverage", "Color", "Agent"), "0"),
}


@dataclass
class Deal:
    ticket: int
    login: int
    at: int  # milliseconds of server time
    action: int
    profit: Decimal
    symbol: str = ""
    entry: int = values.IN
    order: int = 0
    position: int = 0
    volume: int = 0  # in VolumeExt
    closed: int = 0  # in VolumeExt
    price: Decimal = Decimal(0)
    commission: Decimal = Decimal(0)
    storage: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    reason: int = values.BY_CLIENT
    comment: str = ""
    expert: int = 0
    stop_loss: Decimal = Decimal(0)
    take_profit: Decimal = Decimal(0)
    bid: Decimal = Decimal(0)
    ask: Decimal = Decimal(0)

    @property
    def effect(self) -> Decimal:
        return self.profit + self.commission + self.storage + self.fee


@dataclass
class Position:
    ticket: int
    login: int
    symbol: str
    action: int
    volume: int  # in VolumeExt
    price: Decimal
    at: int
    changed: int
    stop_loss: Decimal = Decimal(0)
    take_profit: Decimal = Decimal(0)


@dataclass
class Order:
    ticket: int
    login: int
    symbol: str
    type: int
    volume: int  # in VolumeExt
    price: Decimal
    at: int
    done: int = 0
    state: int = values.ORDER_PLACED


@dataclass
class User:
    record: dict[str, Any]
    balance: Decimal = Decimal(0)
    credit: Decimal = Decimal(0)
    active: bool = False  # traded since the server started: only then it has a trade state
    lowest: Decimal | None = None  # equity since the first trade
    passwords: list[str] = field(default_factory=list)  # each that it had, the present one last

    @property
    def rights(self) -> int:
        return int(self.record["Rights"])


@dataclass
class State:
    """`clock`: now in milliseconds of server time. `groups`: currency by name."""

    specs: dict[str, SymbolSpec]
    groups: dict[str, str]
    clock: Callable[[], int]
    logins: range
    users: dict[int, User] = field(default_factory=dict)
    positions: dict[int, Position] = field(default_factory=dict)
    orders: dict[int, Order] = field(default_factory=dict)
    history: dict[int, Order] = field(default_factory=dict)
    deals: dict[int, Deal] = field(default_factory=dict)
    quotes: dict[str, tuple[Decimal, Decimal, int]] = field(default_factory=dict)
    closed_markets: set[str] = field(default_factory=set)
    rights_written: list[tuple[int, int, int]] = field(default_factory=list)  # (login, before, after)

    def __post_init__(self) -> None:
        self._tickets = itertools.count(_FIRST_TICKET)

    def ticket(self) -> int:
        return next(self._tickets)

    # users

    def add_user(self, login: int, record: dict[str, Any]) -> User:
        own = {"Login": str(login), "Registration": str(self.clock() // 1000), "LastAccess": "0"}
        user = User({**_EMPTY, **record, **own})
        self.users[login] = user
        return user

    def update_user(self, user: User, sent: dict[str, Any]) -> None:
        """The record becomes what was sent, and a field that was not sent becomes empty: whoever sends less than the
        whole record loses the rest."""
        before = user.rights
        kept: dict[str, Any] = {name: user.record[name] for name in _SERVER_FIELDS}
        user.record = {**_EMPTY, **{name: sent[name] for name in sent if name not in _MONEY}, **kept}
        if user.rights != before:
            self.rights_written.append((int(user.record["Login"]), before, user.rights))

    def currency(self, user: User) -> str:
        return self.groups[user.record["Group"]]

    def equity(self, login: int) -> Decimal:
        user = self.users[login]
        return user.balance + user.credit + sum(map(self.profit, self.positions_of(login)), Decimal(0))

    def note_worth(self, login: int) -> None:
        """Keeps the lowest equity of an account, after a quote or a trade."""
        worth, user = self.equity(login), self.users[login]
        user.lowest = worth if user.lowest is None else min(user.lowest, worth)

    # trading

    def positions_of(self, login: int) -> list[Position]:
        return [each for each in self.positions.values() if each.login == login]

    def quote(self, symbol: str) -> tuple[Decimal, Decimal]:
        if symbol not in self.quotes:
            raise BadInput(f"The fake has no quote of {symbol!r}.", field="symbol", remedy="Push a quote first.")
        return self.quotes[symbol][:2]

    def profit(self, position: Position) -> Decimal:
        """At the current quote, in the symbol's profit currency, in cents."""
        bid, ask = self.quote(position.symbol)
        change = bid - position.price if position.action == values.BUY else position.price - ask
        return self._worth(position.symbol, position.volume, change)

    def _worth(self, symbol: str, volume: int, change: Decimal) -> Decimal:
        lots = Decimal(volume) / values.LOTS_EXACT
        return (change * lots * self.specs[symbol].contract_size).quantize(Decimal("0.01"))

    def book(self, deal: Deal) -> Deal:
        user = self.users[deal.login]
        self.deals[deal.ticket] = deal
        user.active = True
        if deal.action == values.CREDIT:
            user.credit += deal.effect
        else:
            user.balance += deal.effect
        if deal.symbol:
            self.note_worth(deal.login)
        return deal

    def open(
        self,
        login: int,
        symbol: str,
        action: int,
        volume: int,
        *,
        order: int = 0,
        stop_loss: Decimal = Decimal(0),
        take_profit: Decimal = Decimal(0),
        **more: Any,
    ) -> Deal:
        """A new position, as on a hedging account. `more`: fields of the deal."""
        bid, ask = self.quote(symbol)
        price, now, ticket = (ask if action == values.BUY else bid), self.clock(), order or self.ticket()
        opened = Position(ticket, login, symbol, action, volume, price, now, now, stop_loss, take_profit)
        self.positions[ticket] = opened
        lots = Decimal(volume) / values.LOTS_EXACT
        commission = -(lots * self.specs[symbol].commission_minor_per_lot / 100).quantize(Decimal("0.01"))
        deal = Deal(self.ticket(), login, now, action, Decimal(0), symbol, values.IN, ticket, ticket, volume)
        deal.price, deal.commission, deal.bid, deal.ask = price, commission, bid, ask
        deal.stop_loss, deal.take_profit = stop_loss, take_profit
        return self.book(_with(deal, more))

    def close(self, position: Position, volume: int, *, order: int = 0, **more: Any) -> Deal:
        """All or a part of a position at market. `more`: fields of the deal."""
        bid, ask = self.quote(position.symbol)
        buys = position.action == values.BUY
        price, volume = (bid if buys else ask), min(volume, position.volume)
        change = price - position.price if buys else position.price - price
        profit, now = self._worth(position.symbol, volume, change), self.clock()
        position.volume, position.changed = position.volume - volume, now
        if not position.volume:
            del self.positions[position.ticket]
        deal = Deal(self.ticket(), position.login, now, values.SELL if buys else values.BUY, profit)
        deal.symbol, deal.entry, deal.order = position.symbol, values.OUT, order or self.ticket()
        deal.position, deal.volume, deal.closed = position.ticket, volume, volume
        deal.price, deal.bid, deal.ask = price, bid, ask
        return self.book(_with(deal, more))

    def end_order(self, order: Order, state: int) -> None:
        order.state, order.done = state, self.clock()
        self.history[order.ticket] = self.orders.pop(order.ticket)


def _with(deal: Deal, more: dict[str, Any]) -> Deal:
    for name, value in more.items():
        setattr(deal, name, value)
    return deal


def server_clock(now: Callable[[], datetime]) -> Callable[[], int]:
    """Returns a clock of milliseconds since 1970 on the wall of the server: it counts as if its zone were UTC.
    `now`: an aware time in the server's zone."""

    def clock() -> int:
        local = now()
        offset = local.utcoffset()
        assert offset is not None
        return int((local.timestamp() + offset.total_seconds()) * 1000)

    return clock
