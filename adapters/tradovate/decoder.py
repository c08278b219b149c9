"""What the venue's messages say. Frames of the web sockets come as they were received; answers to questions are put
together by the feed, one account a message, from the venue's own rows.

A number, a field or a word that cannot be read makes its message, or its part of it, unreadable, and never a fact.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from adapters.tradovate.history import History, add_versions
from adapters.tradovate.ledger import Ledger
from adapters.tradovate.library import Listed, listed
from adapters.tradovate.shapes import as_json, as_row, as_rows, readable
from adapters.tradovate.wire import (
    ACTIONS,
    BY_LIMIT,
    TRADING_ACTIONS,
    Account,
    CashBalance,
    CashEntry,
    CashSnapshot,
    Contract,
    CurrencyRow,
    Fill,
    FillFee,
    Instant,
    Maturity,
    Number,
    Order,
    OrderVersion,
    Position,
    Product,
    ReplayClock,
    RiskStatus,
    Row,
    minor,
)
from ports.platform import AccountSnapshot
from ports.venue import Access, CaughtUp, Cursor, Fact, Message, Quote, Snapshot, Unreadable, VenueTime

USER: Final = "user"  # a socket with the changes of accounts; several are user/0, user/1
QUOTES: Final = "quotes"  # the socket with prices
LIBRARY: Final = "library"  # contracts, maturities, products, currencies
HISTORY: Final = "history"  # all orders, fills, fees and cash entries of one account
SNAPSHOT: Final = "snapshot"  # one account whole
CAUGHT_UP: Final = "caught up"

# Types of entities that say nothing we use.
_UNUSED: Final = frozenset(
    {
        *("fillPair", "userAccountAutoLiq", "contract", "contractMaturity", "product", "exchange", "currency", "user"),
        *("command", "commandReport", "executionReport", "marginSnapshot", "orderStrategy", "orderStrategyLink"),
        *("property", "userProperty", "userPlugin", "contractGroup", "adminAlertSignal", "tradingPermission"),
    }
)


class _Price(Row):
    price: Number


class _Quote(Row):
    timestamp: Instant
    contractId: int  # noqa: N815  the venue's name
    entries: dict[str, Any]


class TradovateDecoder:
    """`prefix` and `currency`: of our accounts. `unlisted`: contracts that it needs and does not know yet.
    `differing`: accounts of which something was missed."""

    def __init__(self, prefix: str, currency: str) -> None:
        self._prefix, self._currency = prefix, currency
        self._ledgers: dict[int, Ledger] = {}
        self._contracts: dict[int, Listed] = {}
        self._currency_ids: set[int] = set()
        self._order_logins: dict[int, int | None] = {}  # None: of an account that is not ours
        self._fill_orders: dict[int, int] = {}
        self._early: defaultdict[int, list[Row]] = defaultdict(list)  # by the order they wait for
        self._early_fees: dict[int, FillFee] = {}
        self._last: dict[int, tuple[Any, Any]] = {}
        self._touched: dict[int, dict[int, Position]] = {}  # accounts of this frame, with the positions it brought
        self.unlisted: set[int] = set()
        self.differing: set[int] = set()
        self._channels: Mapping[str, Callable[[Any], Iterator[Fact]]] = {
            LIBRARY: self._library,
            HISTORY: self._history,
            SNAPSHOT: self._snapshot,
            CAUGHT_UP: self._caught_up,
        }
        self._entities: Mapping[str, Callable[[Any], Iterator[Fact]]] = {
            "account": self._account,
            "accountRiskStatus": self._status,
            "cashBalance": self._cash,
            "order": self._order,
            "orderVersion": self._version,
            "fill": self._fill,
            "fillFee": self._fee,
            "position": self._position,
        }

    def facts(self, message: Message) -> Iterable[Fact]:
        """Facts first; then Unreadable if a part could not be read."""
        kind = message.channel.partition("/")[0]
        if kind in (USER, QUOTES):
            return self._frame(message.body)
        if kind not in self._channels:
            raise Unreadable(f"There is no channel {message.channel[:40]!r}.")
        return readable(self._channels[kind], as_json(message.body))

    # frames

    def _frame(self, body: bytes) -> Iterator[Fact]:
        """`o` opens, `h` is a heartbeat, `c` closes; `a` brings a list of messages."""
        if body[:1] in (b"o", b"h", b"c"):
            return
        if body[:1] != b"a":
            raise Unreadable("A frame of an unknown kind.")
        messages = as_json(body[1:])
        if not isinstance(messages, list):
            raise Unreadable("A frame without a list.")
        faults: list[str] = []
        self._touched = {}
        for message in messages:
            try:
                yield from self._one(message)
            except Unreadable as exc:
                faults.append(str(exc))
        for login, positions in self._touched.items():
            try:
                yield from self._settle(self._ledgers[login], positions)
            except Unreadable as exc:
                faults.append(str(exc))
        if faults:
            raise Unreadable("; ".join(faults[:3]))

    def _settle(self, ledger: Ledger, positions: Mapping[int, Position]) -> Iterator[Fact]:
        self.unlisted |= {fill.contractId for fill in ledger.waiting.values()} - self._contracts.keys()
        try:
            yield from readable(lambda held: held.settle(self._contracts, positions), ledger)
        finally:
            self._note(ledger)

    def _note(self, ledger: Ledger) -> None:
        if ledger.differs:
            self.differing.add(ledger.login)
        else:
            self.differing.discard(ledger.login)

    def _one(self, message: Any) -> Iterator[Fact]:
        if not isinstance(message, dict):
            raise Unreadable("A message that is no object.")
        if "i" in message:
            if message.get("s") != 200:
                raise Unreadable(f"A request was refused ({str(message.get('s'))[:10]}).")
            return
        event, data = message.get("e"), message.get("d")
        if event == "clock":
            clock = as_row(ReplayClock, data, "clock")
            yield VenueTime(clock.t, stands=not clock.s)
        elif event in ("md", "props") and isinstance(data, dict):
            yield from readable(self._quotes, data) if event == "md" else self._change(data)
        elif event != "shutdown":
            raise Unreadable(f"A message of the unknown kind {str(event)[:40]!r}.")

    def _change(self, data: dict[str, Any]) -> Iterator[Fact]:
        kind, entity = str(data.get("entityType")), data.get("entity")
        if kind in self._entities:
            yield from readable(self._entities[kind], entity)
        elif kind not in _UNUSED:
            raise Unreadable(f"An entity of the unknown type {kind[:40]!r}.")

    def _touch(self, ledger: Ledger) -> dict[int, Position]:
        return self._touched.setdefault(ledger.login, {})

    def _quotes(self, data: dict[str, Any]) -> Iterator[Fact]:
        for item in data.get("quotes", ()):
            quote = as_row(_Quote, item, "quote")
            if quote.contractId not in self._contracts:
                self.unlisted.add(quote.contractId)
                continue
            bid, ask = self._last.get(quote.contractId, (None, None))
            if "Bid" in quote.entries:
                bid = as_row(_Price, quote.entries["Bid"], "Bid").price
            if "Offer" in quote.entries:
                ask = as_row(_Price, quote.entries["Offer"], "Offer").price
            if bid is None or ask is None:
                self._last[quote.contractId] = (bid, ask)
                continue
            if bid <= 0 or ask < bid:
                raise Unreadable(f"A quote of {bid} to {ask}.")
            self._last[quote.contractId] = (bid, ask)
            yield Quote(self._contracts[quote.contractId].symbol, bid, ask, quote.timestamp)

    # entities

    def _account(self, entity: Any) -> Iterator[Fact]:
        account = as_row(Account, entity, "account")
        if self._is_ours(account) and account.id not in self._ledgers:
            ledger = self._ledger(account.id)
            ledger.expected, ledger.opening = 0, True
            yield Access(account.id, "opened", account.timestamp)

    def _status(self, entity: Any) -> Iterator[Fact]:
        status = as_row(RiskStatus, entity, "accountRiskStatus")
        if status.adminAction not in ACTIONS:
            raise Unreadable(f"The unknown action {status.adminAction[:40]!r}.")
        ledger = self._ledgers.get(status.id)
        if ledger is None:
            return
        yield from ledger.take_access(status)
        self._note(ledger)

    def _cash(self, entity: Any) -> Iterator[Fact]:
        cash = as_row(CashBalance, entity, "cashBalance")
        ledger = self._ledgers.get(cash.accountId)
        if ledger is not None and (not self._currency_ids or cash.currencyId in self._currency_ids):
            ledger.stated = minor(cash.amount, self._currency)
            self._touch(ledger)
        yield from ()

    def _position(self, entity: Any) -> Iterator[Fact]:
        position = as_row(Position, entity, "position")
        ledger = self._ledgers.get(position.accountId)
        if ledger is not None:
            self._touch(ledger)[position.contractId] = position
        yield from ()

    def _order(self, entity: Any) -> Iterator[Fact]:
        order = as_row(Order, entity, "order")
        ledger = self._ledgers.get(order.accountId)
        self._order_logins[order.id] = None if ledger is None else order.accountId
        early = self._early.pop(order.id, ())
        if ledger is None:
            return
        ledger.take_order(order)
        for row in early:
            if isinstance(row, OrderVersion):
                add_versions(ledger.versions, [row])
            elif isinstance(row, Fill):
                yield from self._take_fill(ledger, row)
        yield from ledger.order_facts(order.id, self._contracts)

    def _version(self, entity: Any) -> Iterator[Fact]:
        version = as_row(OrderVersion, entity, "orderVersion")
        if version.orderId not in self._order_logins:
            self._early[version.orderId].append(version)
            return
        ledger = self._of_order(version.orderId)
        if ledger is not None:
            add_versions(ledger.versions, [version])
            self._touch(ledger)
            yield from ledger.order_facts(version.orderId, self._contracts)

    def _fill(self, entity: Any) -> Iterator[Fact]:
        fill = as_row(Fill, entity, "fill")
        if fill.qty <= 0:
            raise Unreadable("fill: qty")
        self._fill_orders[fill.id] = fill.orderId
        ledger = self._of_order(fill.orderId)
        if fill.orderId not in self._order_logins:
            self._early[fill.orderId].append(fill)
        elif ledger is None:
            self._early_fees.pop(fill.id, None)
        else:
            yield from self._take_fill(ledger, fill)

    def _take_fill(self, ledger: Ledger, fill: Fill) -> Iterator[Fact]:
        if fill.id in self._early_fees:
            ledger.fees[fill.id] = self._early_fees.pop(fill.id)
        self._touch(ledger)
        yield from ledger.take_fill(fill)

    def _fee(self, entity: Any) -> Iterator[Fact]:
        fee = as_row(FillFee, entity, "fillFee")
        order_id = self._fill_orders.get(fee.id)
        if order_id is None or order_id not in self._order_logins:
            self._early_fees[fee.id] = fee
            return
        ledger = self._of_order(order_id)
        if ledger is not None:
            self._touch(ledger)
            yield from ledger.take_fee(fee, self._contracts)

    def _of_order(self, order_id: int) -> Ledger | None:
        login = self._order_logins.get(order_id)
        return None if login is None else self._ledgers[login]

    # answers that the feed put together

    def _library(self, body: Any) -> Iterator[Fact]:
        currencies = as_rows(CurrencyRow, body, "currencies")
        found = listed(
            as_rows(Contract, body, "contracts"),
            as_rows(Maturity, body, "maturities"),
            as_rows(Product, body, "products"),
            currencies,
        )
        self._currency_ids = {each.id for each in currencies if each.name == self._currency}
        self._contracts |= {each.contract_id: each for each in found}
        self.unlisted -= self._contracts.keys()
        for ledger in self._ledgers.values():
            if ledger.waiting:
                yield from self._settle(ledger, {})

    def _history(self, body: Any) -> Iterator[Fact]:
        if type(login := body["accountId"]) is not int:
            raise Unreadable("A history of no account.")
        history = History(
            orders={each.id: each for each in as_rows(Order, body, "orders")},
            fees={each.id: each for each in as_rows(FillFee, body, "fees")},
            fills=as_rows(Fill, body, "fills"),
            cash=as_rows(CashEntry, body, "cash"),
        )
        add_versions(history.versions, as_rows(OrderVersion, body, "versions"))
        missing = history.contracts() - self._contracts.keys()
        if missing:
            self.unlisted |= missing
            raise Unreadable(f"Fills in the unknown contracts {sorted(missing)[:5]}.")
        ledger = self._ledger(login)
        self._order_logins |= dict.fromkeys(history.orders, login)
        self._fill_orders |= {fill.id: fill.orderId for fill in history.fills}
        yield from ledger.take_history(history, self._contracts)
        self._note(ledger)

    def _snapshot(self, body: Any) -> Iterator[Fact]:
        account = as_row(Account, body["account"], "account")
        status = as_row(RiskStatus, body["status"] or {"id": account.id}, "accountRiskStatus")
        worth = as_row(CashSnapshot, body["worth"], "worth")
        ledger = self._ledger(account.id)
        status = ledger.newer_status(status)
        positions = as_rows(Position, body, "positions")
        missing = {each.contractId for each in positions if each.netPos} - self._contracts.keys()
        if missing:
            self.unlisted |= missing
            raise Unreadable(f"Positions in the unknown contracts {sorted(missing)[:5]}.")
        balance = minor(worth.totalCashValue, self._currency)
        if ledger.expected is None:
            ledger.expected = balance
        ledger.stated = balance
        self._note(ledger)
        enabled = status.adminAction in TRADING_ACTIONS
        # It may have been made while nobody was connected.
        ledger.opening = enabled and balance == 0 and not any(each.netPos for each in positions)
        snapshot = AccountSnapshot(
            login=account.id,
            currency=self._currency,
            balance_minor=balance,
            equity_minor=minor(worth.netLiq, self._currency),
            trading_enabled=enabled and not ledger.opening and ledger.enabling is None,
            positions=tuple(ledger.positions(positions, self._contracts)),
            seq=0,
        )
        if status.adminAction in BY_LIMIT:  # while nobody was connected: a snapshot does not say why
            yield from ledger.take_access(status)
        yield Snapshot(snapshot, None)

    def _caught_up(self, body: Any) -> Iterator[Fact]:
        for name in ("fill", "cash"):
            yield Cursor(name, str(int(body[name])))
        yield CaughtUp()

    def _is_ours(self, account: Account) -> bool:
        return is_ours(account.name, self._prefix)

    def _ledger(self, login: int) -> Ledger:
        if login not in self._ledgers:
            self._ledgers[login] = Ledger(login, self._currency)
        return self._ledgers[login]


def is_ours(name: str, prefix: str) -> bool:
    """Whether an account has a name that we give."""
    return name.startswith(prefix) and name.removeprefix(prefix).isdigit()
