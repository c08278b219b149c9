"""What the messages of DXtrade say. It has no clock and no network: a recorded day can be run again.

The channels are ours: one for each list that is asked for, one for each socket, and `end` messages behind a list.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final, TypeVar

from pydantic import ValidationError

from adapters.dxtrade import shapes, wire
from adapters.dxtrade.accounts import settled
from adapters.dxtrade.errors import document
from adapters.dxtrade.fields import field, price, time_of
from adapters.dxtrade.figures import account_snapshot, login_of, minor, rounded_minor
from adapters.dxtrade.history import Instruments, OrderFill, fills_of, money_of, pending_order, version_of
from adapters.dxtrade.waiting import Newer, Settlements
from ports.venue import (
    CONNECTED,
    SYMBOLS,
    Access,
    CaughtUp,
    Cursor,
    Fact,
    Fill,
    Halt,
    Message,
    Money,
    Quote,
    Snapshot,
    State,
    Stops,
    Unreadable,
    VenueTime,
)

SINCE: Final = "since"
INSTRUMENTS: Final = "instruments"
ACCOUNTS: Final = "accounts"
TRADABLE: Final = "tradable"
METRICS: Final = "metrics"
PORTFOLIOS: Final = "portfolios"
STOPS: Final = "stops"
ORDERS: Final = "orders"
TRANSFERS: Final = "transfers"
ORDERS_END: Final = "orders end"
TRANSFERS_END: Final = "transfers end"
CAUGHT_UP: Final = "caught up"
CLOCK: Final = "clock"
PUSHED: Final = "pushed"
QUOTED: Final = "quoted"


_S = TypeVar("_S", bound=shapes.Shape)
_Stops = tuple[Decimal | None, Decimal | None]
_NONE: Final[_Stops] = (None, None)


class DxtradeDecoder:
    """A Decoder for the messages of one connection. `clearing`: of the firm's accounts; all others are passed over."""

    def __init__(self, clearing: str) -> None:
        self._clearing = clearing
        self._instruments: Instruments = {}
        self._accounts: dict[int, shapes.Account] = {}
        self._metrics: dict[int, shapes.Metrics] = {}
        self._halted: dict[str, bool] = {}
        self._listed = False
        self._held: set[str] = set()  # positions that the gateway knows: of a snapshot, or of a fill
        self._stops: dict[str, _Stops] = {}
        self._settled: set[str] = set()
        self._newest: dict[str, datetime] = {}
        self._unread: set[str] = set()  # lists with a row that could not be read
        self._versions: dict[int, int] = {}  # of the portfolios that were told
        self._orders: dict[str, int] = {}  # versions of orders, since the connection has caught up
        self._cursors: dict[str, str] = {}
        self._newer, self._unsettled = Newer(), Settlements()
        self._from_the_beginning = self._is_caught_up = False
        self._readers: dict[str, Callable[[Any], Iterator[Fact]]] = {
            SINCE: self._read_since,
            INSTRUMENTS: self._read_instruments,
            ACCOUNTS: self._read_accounts,
            TRADABLE: self._read_tradable,
            METRICS: self._keep_metrics,
            PORTFOLIOS: self._read_portfolios,
            STOPS: self._read_stops,
            ORDERS: self._read_orders,
            TRANSFERS: self._read_transfers,
            ORDERS_END: self._end_orders,
            TRANSFERS_END: self._end_transfers,
            CAUGHT_UP: self._caught_up,
            CLOCK: self._read_clock,
            PUSHED: self._read_pushed,
            QUOTED: self._read_pushed,
        }

    def facts(self, message: Message) -> Iterator[Fact]:
        if message.channel in (CONNECTED, SYMBOLS):
            return
        reader = self._readers.get(message.channel)
        if reader is None:
            raise Unreadable(f"channel: {message.channel[:40]!r} is not known")
        try:
            found = document(message.body)
        except (ValueError, RecursionError):
            raise Unreadable(f"{message.channel}: no JSON document") from None
        yield from reader(found)

    # lists that were asked for

    def _read_since(self, found: Any) -> Iterator[Fact]:
        """The cursors that the connection begins with."""
        if not isinstance(found, dict):
            raise Unreadable("since: no cursors")
        self._cursors = {str(name): str(value) for name, value in found.items()}
        self._from_the_beginning = not found
        return iter(())

    def _read_instruments(self, found: Any) -> Iterator[Fact]:
        self._instruments = {each.symbol: each for each in _as(shapes.Instruments, found).instruments}
        return iter(())

    def _read_accounts(self, found: Any) -> Iterator[Fact]:
        """A list, or one account. The first list of a connection tells no changes: snapshots follow it."""
        whole = isinstance(found, list)
        try:
            yield from self._rows(ACCOUNTS, shapes.Account, found if whole else [found], self._account_told)
        finally:
            self._listed = self._listed or whole

    def _account_told(self, account: shapes.Account) -> Iterator[Fact]:
        login = login_of(account.name, self._clearing)
        if login is None:
            return
        known = self._accounts.get(login)
        self._accounts[login] = account
        if self._listed:
            yield from _access(login, known, account)
        yield from self._settlements(login, account)

    def _settlements(self, login: int, account: shapes.Account) -> Iterator[Fact]:
        for key, at in settled(account):
            if key not in self._settled:
                self._settled.add(key)
                yield Money(f"settled {key}", login, "payout_settled", key, 0, time_of(at))

    def _read_tradable(self, found: Any) -> Iterator[Fact]:
        """The first list of a connection tells every symbol: one may have been halted, or go on, since the last."""

        def tell(each: shapes.Tradable) -> Iterator[Fact]:
            halted = each.trading_status == "NO"
            if self._halted.get(each.symbol) != halted:
                self._halted[each.symbol] = halted
                yield Halt(each.symbol, halted, None)

        name = "instruments" if isinstance(found, dict) and "instruments" in found else "instrumentDetails"
        return self._rows(TRADABLE, shapes.Tradable, field(found, name), tell)

    def _keep_metrics(self, found: Any) -> Iterator[Fact]:
        def keep(metrics: shapes.Metrics) -> Iterator[Fact]:
            login = login_of(metrics.account, self._clearing)
            if login is not None:
                self._metrics[login] = metrics
            return iter(())

        return self._rows(METRICS, shapes.Metrics, field(found, "metrics"), keep)

    def _read_portfolios(self, found: Any) -> Iterator[Fact]:
        return self._rows(PORTFOLIOS, shapes.Portfolio, field(found, "portfolios"), self._whole)

    def _whole(self, portfolio: shapes.Portfolio) -> Iterator[Fact]:
        """Tells a snapshot, if the account's metrics came before and are of the same version."""
        login = login_of(portfolio.account, self._clearing)
        if login is None:
            return
        account, metrics = self._accounts.get(login), self._metrics.get(login)
        if account is None or metrics is None or metrics.version != portfolio.version:
            return
        whole = account_snapshot(login, account, metrics, portfolio, self._instruments)
        yield Snapshot(whole, None, str(portfolio.version))
        self._newer.snapshot(login, portfolio.version)
        self._held.update(each.position_code for each in portfolio.positions)
        yield from self._changes(login, portfolio)

    def _read_stops(self, found: Any) -> Iterator[Fact]:
        """Portfolios that were asked for because orders do not say stops."""

        def tell(portfolio: shapes.Portfolio) -> Iterator[Fact]:
            login = login_of(portfolio.account, self._clearing)
            return iter(()) if login is None else self._changes(login, portfolio)

        return self._rows(STOPS, shapes.Portfolio, field(found, "portfolios"), tell)

    def _read_orders(self, found: Any) -> Iterator[Fact]:
        def tell(order: shapes.Order) -> Iterator[Fact]:
            yield from self._order(order)
            self._seen(ORDERS, order.transaction_time)

        return self._rows(ORDERS, shapes.Order, field(found, "orders"), tell)

    def _order(self, order: shapes.Order) -> Iterator[Fact]:
        """An answer may be older than what was read before it: that of an order is passed over."""
        login, version = login_of(order.account, self._clearing), version_of(order)
        if login is None or version < self._orders.get(order.order_code, 0):
            return
        pending = pending_order(login, order, self._instruments)
        if pending is not None and not self._newer.keeps(login, order.version, pending):
            yield pending
        if order.executions:
            currency = self._currency(login, [each.currency for each in order.cash_transactions])
            for found in fills_of(login, currency, order, self._instruments):
                if not self._newer.keeps(login, found.version, found):
                    yield from self._fill(found)
        if self._is_caught_up:
            self._orders[order.order_code] = version

    def _fill(self, found: OrderFill) -> Iterator[Fact]:
        """A fresh journal only remembers what was before it, and there it must be before its snapshots: no settlement
        is waited for."""
        remembered = self._from_the_beginning and not self._is_caught_up
        if remembered or not self._unsettled.keeps(found):
            yield self._with_stops(found.fill)

    def _with_stops(self, fill: Fill) -> Fill:
        stop_loss, take_profit = self._stops.get(fill.position_id, _NONE)
        self._held.add(fill.position_id)
        return replace(fill, stop_loss=stop_loss, take_profit=take_profit)

    def _read_transfers(self, found: Any) -> Iterator[Fact]:
        return self._rows(TRANSFERS, shapes.CashTransfer, field(found, "cashTransfers"), self._transfer)

    def _transfer(self, transfer: shapes.CashTransfer) -> Iterator[Fact]:
        login = login_of(transfer.account, self._clearing)
        if login is not None:
            currency = self._currency(login, [each.currency for each in transfer.cash_transactions])
            money = money_of(login, currency, transfer)
            if money is not None and not self._newer.keeps(login, version_of(transfer), money):
                yield money
        self._seen(TRANSFERS, transfer.transaction_time)

    def _rows(self, name: str, shape: type[_S], rows: Any, tell: Callable[[_S], Iterator[Fact]]) -> Iterator[Fact]:
        """Tells each row of a list. One that cannot be read does not hide the others: it is raised at the end, and the
        list's cursor stays where it is."""
        if not isinstance(rows, list):
            raise Unreadable(f"{name}: no list")
        first: Unreadable | None = None
        for row in rows:
            try:
                yield from tell(_as(shape, row))
            except Unreadable as error:
                first = first or error
                self._unread.add(name)
        if first is not None:
            raise first

    def _seen(self, name: str, at: datetime) -> None:
        self._newest[name] = max(at, self._newest.get(name, at))

    def _end_orders(self, _found: Any) -> Iterator[Fact]:
        yield from map(self._with_stops, self._unsettled.swept())
        yield from self._end(ORDERS, self._unsettled.oldest)

    def _end_transfers(self, _found: Any) -> Iterator[Fact]:
        return self._end(TRANSFERS)

    def _caught_up(self, _found: Any) -> Iterator[Fact]:
        yield CaughtUp()
        self._is_caught_up = True
        for found in self._newer.caught_up():
            if isinstance(found, OrderFill):
                yield from self._fill(found)
            else:
                yield found

    def _end(self, name: str, waits: datetime | None = None) -> Iterator[Fact]:
        """`waits`: the time of the oldest that is not told yet. The cursor stays before it, and never goes back."""
        if name not in self._newest or name in self._unread:
            return
        newest = self._newest[name] if waits is None else min(waits, self._newest[name])
        value = newest.astimezone(UTC).isoformat(timespec="milliseconds")
        if value >= self._cursors.get(name, value):
            self._cursors[name] = value
            yield Cursor(name, value)

    def _read_clock(self, found: Any) -> Iterator[Fact]:
        yield VenueTime(time_of(str(field(found, "at"))))

    # sockets

    def _read_pushed(self, found: Any) -> Iterator[Fact]:
        kind, payload = field(found, "type"), found.get("payload")
        if kind == wire.MARKET_DATA:
            return self._quotes(payload)
        if kind == wire.METRICS:
            return self._states(payload, found.get("timestamp"))
        if kind == wire.PORTFOLIOS:
            return self._rows(PUSHED, shapes.Portfolio, field(payload, "portfolios"), self._portfolio)
        if kind == wire.TRANSFERS:
            return self._read_transfers(payload)
        if kind == wire.PING_REQUEST:
            return iter((VenueTime(time_of(str(field(found, "timestamp")))),))
        if kind in (wire.EVENTS, wire.REJECT):
            return iter(())  # what they are about comes as fills and states, or ends the connection
        raise Unreadable(f"type: {str(kind)[:40]!r} is not known")

    def _quotes(self, payload: Any) -> Iterator[Fact]:
        events = field(payload, "events")
        for event in events if isinstance(events, list) else ():
            if field(event, "type") != "Quote":
                continue
            symbol, bid, ask = field(event, "symbol"), price(event, "bid"), price(event, "ask")
            yield Quote(str(symbol), bid, ask, time_of(str(event["time"])) if event.get("time") else None)

    def _states(self, payload: Any, timestamp: Any) -> Iterator[Fact]:
        at = None if timestamp is None else time_of(str(timestamp))

        def tell(metrics: shapes.Metrics) -> Iterator[Fact]:
            login = login_of(metrics.account, self._clearing)
            account = None if login is None else self._accounts.get(login)
            if login is not None and account is not None and metrics.version >= self._versions.get(login, 0):
                currency = account.currency
                balance = minor(metrics.balance, currency, "balance")
                yield State(login, balance, rounded_minor(metrics.equity, currency, "equity"), at)

        return self._rows(METRICS, shapes.Metrics, field(payload, "metrics"), tell)

    def _portfolio(self, portfolio: shapes.Portfolio) -> Iterator[Fact]:
        """One that came after a newer one is passed over. One of an account that no list has told yet says that the
        account was opened."""
        login = login_of(portfolio.account, self._clearing)
        if login is None or self._is_older(login, portfolio):
            return
        if login not in self._accounts:
            yield Access(login, "opened", None)
        yield from self._changes(login, portfolio)
        for order in portfolio.orders:
            yield from self._order(order)

    def _is_older(self, login: int, portfolio: shapes.Portfolio) -> bool:
        return portfolio.version < self._versions.get(login, 0)

    def _changes(self, login: int, portfolio: shapes.Portfolio) -> Iterator[Fact]:
        """Tells stops that changed, and those of every position at the first time, also that there are none: they may
        have been removed while nobody listened. Those of a position that no fill has told yet go with its fill. Of a
        portfolio that came after a newer one nothing is told."""
        if self._is_older(login, portfolio):
            return
        self._versions[login] = portfolio.version
        for position in portfolio.positions:
            code, stops = position.position_code, (position.stop_loss_price, position.take_profit_price)
            if code in self._held and stops != self._stops.get(code):
                yield Stops(login, code, *stops, position.last_update_time or position.open_time)
            self._stops[code] = stops

    def _currency(self, login: int, named: Sequence[str]) -> str:
        """Returns the currency of an account: of one that no list has told yet, the one that its money names."""
        account = self._accounts.get(login)
        return account.currency if account is not None else named[0] if named else ""


def _access(login: int, known: shapes.Account | None, account: shapes.Account) -> Iterator[Fact]:
    able = account.status == wire.FULL_TRADING
    if known is None:
        yield Access(login, "opened", None)
    if able != (known is not None and known.status == wire.FULL_TRADING):
        yield Access(login, "enabled" if able else "disabled", None)


def _as(shape: type[_S], found: Any) -> _S:
    try:
        return shape.model_validate(found)
    except ValidationError as exc:
        place = ".".join(str(part) for part in exc.errors(include_input=False, include_url=False)[0]["loc"])
        raise Unreadable(f"{place or shape.__name__}: not as the venue describes it") from None
