"""What the fake venue knows: clients, accounts, positions, orders, money, instruments, quotes and end-of-day figures.

Amounts and prices are Decimal inside and JSON numbers on the wire, as at the venue.
"""

import itertools
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal
from typing import Any, Final

CENT: Final = Decimal("0.01")
WORKING: Final = frozenset({"ACCEPTED", "WORKING"})


class Refused(Exception):
    """The venue refuses a call. `status`: of HTTP; `code`: the venue's own, invented here because no list of them is
    public."""

    def __init__(self, status: int, code: int, text: str) -> None:
        super().__init__(text)
        self.status, self.code, self.text = status, code, text


@dataclass(frozen=True)
class Instrument:
    """`lot_size`: units of one lot. A quantity on the wire is in units."""

    symbol: str
    type: str
    currency: str
    lot_size: Decimal
    multiplier: Decimal
    price_increment: Decimal
    commission_per_lot: Decimal = Decimal(0)

    def shown(self) -> dict[str, Any]:
        return {
            "type": self.type,
            "symbol": self.symbol,
            "version": 1,
            "description": self.symbol,
            "priceIncrement": float(self.price_increment),
            "pipSize": float(self.price_increment * 10),
            "currency": self.currency,
            "lotSize": float(self.lot_size),
            "multiplier": float(self.multiplier),
        }


@dataclass
class Position:
    code: str
    symbol: str
    side: str
    quantity: Decimal
    open_price: Decimal
    opened_at: datetime
    updated_at: datetime
    version: int
    stop_loss: Decimal | None = None
    take_profit: Decimal | None = None


@dataclass
class Order:
    """`executions` and `cash` are in the words of the wire."""

    account: str
    order_id: int
    code: str
    client_id: str
    type: str
    symbol: str
    side: str
    quantity: Decimal
    effect: str
    position_code: str
    price: Decimal | None
    issued_at: datetime
    changed_at: datetime
    version: int
    status: str = "WORKING"
    executions: list[dict[str, Any]] = field(default_factory=list)
    cash: list[dict[str, Any]] = field(default_factory=list)


@dataclass
class Account:
    """`revision`: of what the administration sets, for ETags. `version`: of what trading changes."""

    clearing: str
    code: str
    broker: str
    owner: str
    currency: str
    status: str
    metadata: dict[str, str]
    categories: dict[str, str]
    opened_at: datetime
    revision: int = 1
    version: int = 0
    balance: Decimal = Decimal(0)
    positions: dict[str, Position] = field(default_factory=dict)
    orders: dict[str, Order] = field(default_factory=dict)
    transfers: list[dict[str, Any]] = field(default_factory=list)
    requests: dict[str, dict[str, Any]] = field(default_factory=dict)  # money, by kind/id
    statuses: list[str] = field(default_factory=list)  # every status it was given
    lowest: Decimal | None = None  # equity since the first trade

    @property
    def name(self) -> str:
        return f"{self.clearing}:{self.code}"

    def moved(self) -> int:
        """Counts a change by trading. Returns the new version."""
        self.version += 1
        return self.version


@dataclass(frozen=True)
class Session:
    token: str
    user: str


class Venue:
    """`clock` gives the venue's time. `on_change(account, kind)`: told after each change; kind is `portfolio`,
    `metrics` or a transfer."""

    def __init__(
        self,
        instruments: Iterable[Instrument],
        users: dict[str, str],
        clearing: str = "default",
        categories: Iterable[str] = (),
    ) -> None:
        self.instruments = {each.symbol: each for each in instruments}
        self.users = users  # "domain/username" -> password
        self.clearing = clearing
        self.known_categories = set(categories)  # values that exist; empty: every value does
        self.clients: dict[str, dict[str, Any]] = {}
        self.accounts: dict[str, Account] = {}  # by "clearing:code"
        self.quotes: dict[str, tuple[Decimal, Decimal, datetime]] = {}
        self.rates: dict[tuple[str, str], Decimal] = {}
        self.halted: set[str] = set()
        self.day_ends: dict[str, dict[str, dict[str, Any]]] = {}  # by date, by account
        self.sessions: dict[str, Session] = {}
        self.now: datetime | None = None  # None: the wall clock
        self.holds_orders = False  # market orders wait for the control interface
        self.on_change: Callable[[Account, str, Any], None] = _nobody
        self._numbers = itertools.count(1)

    def time(self) -> datetime:
        return self.now or datetime.now(UTC)

    def number(self) -> int:
        return next(self._numbers)

    # sessions

    def login(self, domain: str, username: str, password: str) -> str:
        """Returns a token. Raises Refused."""
        if self.users.get(f"{domain}/{username}") != password:
            raise Refused(401, 3, "Incorrect credentials")
        token = secrets.token_hex(12)
        self.sessions[token] = Session(token, f"{domain}/{username}")
        return token

    def expire(self) -> None:
        """Ends every session."""
        self.sessions.clear()

    # looking up

    def account(self, clearing: str, code: str) -> Account:
        found = self.accounts.get(f"{clearing}:{code}")
        if found is None:
            raise Refused(404, 30404, "Account not found")
        return found

    def by_name(self, name: str) -> Account:
        clearing, _, code = name.partition(":")
        return self.account(clearing, code)

    # worth

    def open_profit(self, account: Account, position: Position) -> Decimal:
        """The floating profit of a position in the account's currency; zero without a quote."""
        if position.symbol not in self.quotes:
            return Decimal(0)
        bid, ask, _ = self.quotes[position.symbol]
        now = bid if position.side == "BUY" else ask
        return self.profit(account, position, now, position.quantity)

    def profit(self, account: Account, position: Position, price: Decimal, quantity: Decimal) -> Decimal:
        instrument = self.instruments[position.symbol]
        move = price - position.open_price if position.side == "BUY" else position.open_price - price
        rate = self.rate(instrument.currency, account.currency)
        return (move * quantity * instrument.multiplier * rate).quantize(CENT, ROUND_HALF_UP)

    def rate(self, source: str, target: str) -> Decimal:
        if source == target:
            return Decimal(1)
        if (source, target) not in self.rates:
            raise Refused(409, 30077, f"No conversion rate from {source} to {target}")
        return self.rates[source, target]

    def equity(self, account: Account) -> Decimal:
        return account.balance + sum(
            (self.open_profit(account, position) for position in account.positions.values()), Decimal(0)
        )

    def note_worth(self, account: Account) -> None:
        """Keeps the lowest equity of an account, after a quote or a fill."""
        worth = self.equity(account)
        account.lowest = worth if account.lowest is None else min(account.lowest, worth)

    # money

    def book(self, account: Account, type: str, amount: Decimal, comment: str, **about: str) -> dict[str, Any]:
        """Moves money and returns the cash transaction."""
        version, at = account.moved(), self.time()
        account.balance += amount
        transaction = {
            "account": account.name,
            "transactionCode": f"T{self.number()}",
            "version": version,
            "type": type,
            "value": float(amount),
            "currency": account.currency,
            "transactionTime": instant(at),
            **about,
        }
        transfer = {
            "account": account.name,
            "version": version,
            "transferCode": f"C{self.number()}",
            "comment": comment,
            "transactionTime": instant(at),
            "cashTransactions": [transaction],
        }
        account.transfers.append(transfer)
        self.on_change(account, "transfer", transfer)
        return transaction

    def end_day(self, date: str) -> None:
        """Keeps the end-of-day figures of every account."""
        self.day_ends[date] = {
            name: {
                "account": name,
                "version": account.version,
                "accountBaseCurrency": account.currency,
                "equity": float(self.equity(account)),
                "balance": float(account.balance),
                "openPl": float(self.equity(account) - account.balance),
                "openPositionsCount": len(account.positions),
                "openOrdersCount": sum(order.status in WORKING for order in account.orders.values()),
            }
            for name, account in self.accounts.items()
        }


def instant(at: datetime) -> str:
    """The venue's form of a time: milliseconds, UTC."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"


def read_instant(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _nobody(account: Account, kind: str, what: Any) -> None:
    """Is told of changes while nobody else is."""
