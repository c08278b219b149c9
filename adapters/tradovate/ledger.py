"""One account as a decoder sees it: its fills as deals, and the balance that they and the cash entries explain."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Final

from adapters.tradovate.history import Cash, History, Told, add_versions, costs_of, deals_of, movement, reason_of, told
from adapters.tradovate.library import Listed
from adapters.tradovate.lots import Lots, explained, position_states, side_of
from adapters.tradovate.wire import (
    BY_LIMIT,
    TRADING_ACTIONS,
    Fill,
    FillFee,
    Order,
    OrderVersion,
    Position,
    RiskStatus,
    minor,
)
from ports import venue as port
from ports.platform import OrderChange, OrderType, PositionState

_TYPES: Final[Mapping[str, OrderType]] = {
    "Market": "market",
    "Limit": "limit",
    "MIT": "limit",
    "LimitIfTouched": "limit",
    "Stop": "stop",
    "TrailingStop": "stop",
    "StopLimit": "stop_limit",
    "TrailingStopLimit": "stop_limit",
}
_ENDS: Final[Mapping[str, OrderChange]] = {
    "Filled": "filled",
    "Completed": "filled",
    "Canceled": "cancelled",
    "Rejected": "cancelled",
    "Expired": "expired",
}


@dataclass
class Ledger:
    """`doubts`: contracts of which a fill is missing, with the venue's position, None if that is not known. `expected`:
    the balance that everything told explains; None before it is known. `stated`: the venue's last one.
    `opening`: the account was just made and has no money; the venue lets it trade until we lock it, and nobody is told
    so. `enabling`: that the venue lets it trade, told behind the history: money was paid before and is not pushed.
    `status`: as it was pushed last. `told`: the deals that were told, by id. `last_id`: of the last fill taken in each
    contract."""

    login: int
    currency: str
    orders: dict[int, Order] = field(default_factory=dict)
    versions: dict[int, OrderVersion] = field(default_factory=dict)
    fees: dict[int, FillFee] = field(default_factory=dict)
    lots: defaultdict[int, Lots] = field(default_factory=lambda: defaultdict(Lots))
    seen: set[int] = field(default_factory=set)
    waiting: dict[int, Fill] = field(default_factory=dict)
    told: dict[str, Told] = field(default_factory=dict)
    orders_told: dict[int, str] = field(default_factory=dict)
    last_id: dict[int, int] = field(default_factory=dict)
    expected: int | None = None
    stated: int | None = None
    opening: bool = False
    enabling: port.Access | None = None
    status: RiskStatus | None = None
    doubts: dict[int, int | None] = field(default_factory=dict)

    @property
    def differs(self) -> bool:
        """Whether something was missed: the venue should be asked for the account's whole history."""
        unexplained = self.stated is not None and self.expected not in (None, self.stated)
        return self.enabling is not None or bool(self.doubts) or unexplained

    def take_access(self, status: RiskStatus) -> Iterator[port.Fact]:
        """The venue lets the account trade, or forbids it."""
        at, self.status = status.adminTimestamp, status
        if status.adminAction not in TRADING_ACTIONS:
            self.opening, self.enabling = False, None
            yield port.Access(self.login, "disabled", at, by_limit=status.adminAction in BY_LIMIT)
        elif not self.opening:
            self.enabling = port.Access(self.login, "enabled", at)

    def newer_status(self, listed: RiskStatus) -> RiskStatus:
        """Returns a listed status, or the one that was pushed after it."""
        pushed = self.status
        if pushed is None or pushed.adminTimestamp is None or listed.adminTimestamp is None:
            return listed
        return pushed if pushed.adminTimestamp > listed.adminTimestamp else listed

    # fills

    def take_fill(self, fill: Fill) -> Iterator[port.Fact]:
        """Keeps a new fill until `settle`. A fill that the venue has cancelled is corrected."""
        if fill.active:
            if fill.id not in self.seen:
                self.waiting[fill.id] = fill
            return
        self.waiting.pop(fill.id, None)
        for id in [id for id, each in self.told.items() if each.fill.id == fill.id]:
            gone = self.told.pop(id)
            self._expect(-gone.total)
            yield port.FillCorrected(id, self.login, None, fill.timestamp, "cancelled by the venue")
            self.doubts[fill.contractId] = None

    def take_fee(self, fee: FillFee, contracts: Mapping[int, Listed]) -> Iterator[port.Fact]:
        """The costs of a fill, which may have been told without them. Raises ValueError."""
        self.fees[fee.id] = fee
        for each in [each for each in self.told.values() if each.fill.id == fee.id and each.part.first]:
            costs = costs_of(fee, self.currency)
            if each.costs != costs:
                yield self._tell(each._replace(costs=costs), contracts)

    def settle(self, contracts: Mapping[int, Listed], positions: Mapping[int, Position]) -> Iterator[port.Fact]:
        """Tells the waiting fills, those of each contract in the order of their ids. `positions`: the venue's, as told
        together with them. Fills that do not lead to them wait: others are missing. Raises ValueError."""
        by_contract: defaultdict[int, list[Fill]] = defaultdict(list)
        for id in sorted(self.waiting):
            by_contract[self.waiting[id].contractId].append(self.waiting[id])
        for contract_id, fills in by_contract.items():
            if contract_id not in contracts:
                continue
            if not self._fits(contract_id, fills, positions.get(contract_id)):
                continue
            for fill in fills:
                del self.waiting[fill.id]
                self.seen.add(fill.id)
                self.last_id[contract_id] = fill.id
                for part in self.lots[contract_id].take(fill):
                    fee = self.fees.get(fill.id)
                    yield self._tell(told(fill, part, contracts[contract_id], fee, self.currency), contracts)
        for contract_id in positions.keys() - by_contract.keys():
            self.doubts[contract_id] = positions[contract_id].netPos
        held_back = {fill.contractId for fill in self.waiting.values()}
        for contract_id, net in list(self.doubts.items()):
            if net == self.lots[contract_id].net() and contract_id not in held_back:
                del self.doubts[contract_id]

    def _fits(self, contract_id: int, fills: list[Fill], position: Position | None) -> bool:
        """Whether the fills of a contract can be told. One whose order is not described yet waits: it would be told
        with a wrong reason for ever. The next history describes the order, or tells the fill without."""
        if fills[0].id < self.last_id.get(contract_id, 0):
            self.doubts[contract_id] = None
            return False
        trial = self.lots[contract_id].copy()
        for fill in fills:
            trial.take(fill)
        expected: int | None = trial.net()
        if position is not None and position.timestamp >= fills[-1].timestamp:
            expected = position.netPos
        elif contract_id in self.doubts:  # a message about something else does not settle what waits
            expected = self.doubts[contract_id]
        if trial.net() != expected or not all(map(self._is_described, fills)):
            self.doubts[contract_id] = expected
            return False
        return True

    def _is_described(self, fill: Fill) -> bool:
        order = self.orders.get(fill.orderId)
        return fill.orderId in self.versions or (order is not None and order.admin)

    def take_history(self, history: History, contracts: Mapping[int, Listed]) -> Iterator[port.Fact]:
        """Everything that the venue lists of the account, in place of what was seen. Raises ValueError and changes
        nothing then. Fills that were told and are older than the oldest that is listed stay: the venue lists them no
        longer. Costs that were pushed stay: the list may be older."""
        oldest = min((fill.id for fill in history.fills), default=0)
        older = {each.fill.id: each.fill for each in self.told.values() if each.fill.id < oldest}
        history = replace(history, fills=[*older.values(), *history.fills], fees=self.fees | history.fees)
        right = {each.part.deal_id: each for each in deals_of(history, contracts, self.currency)}
        moves = [move for entry in history.cash if (move := movement(entry, self.currency)) is not None]
        newest = max((fill.id for fill in history.fills), default=0)
        newer = [each for each in self.told.values() if each.fill.id > newest]  # told while the history was read
        wrong = [each for id, each in self.told.items() if id not in right and each.fill.id <= newest]
        for order in history.orders.values():
            self.take_order(order)
        add_versions(self.versions, history.versions.values())
        self.fees = history.fees
        self._restart(history)
        self.waiting |= {each.fill.id: each.fill for each in newer}
        for gone in wrong:
            yield port.FillCorrected(gone.part.deal_id, self.login, None, gone.fill.timestamp, "never happened so")
        for move in moves:
            yield _money(self.login, move)
        self.told = {}
        for each in right.values():
            yield self._tell(each, contracts)
        if history.cash:
            last = max(history.cash, key=lambda entry: entry.id)
            self.expected = minor(last.amount, self.currency)
        elif self.expected is None:
            self.expected = 0
        self.doubts = {}
        yield from self.settle(contracts, {})
        for order_id in sorted(history.orders):
            yield from self.order_facts(order_id, contracts)
        if self.enabling is not None:
            yield self.enabling
            self.enabling = None

    def _restart(self, history: History) -> None:
        self.lots = defaultdict(Lots)
        self.seen = {fill.id for fill in history.fills}
        self.waiting = {id: fill for id, fill in self.waiting.items() if id not in self.seen}
        self.last_id = {}
        for fill in sorted(history.fills, key=lambda each: each.id):
            if fill.active:
                self.lots[fill.contractId].take(fill)
                self.last_id[fill.contractId] = fill.id

    def _tell(self, each: Told, contracts: Mapping[int, Listed]) -> port.Fill:
        before = self.told.get(each.part.deal_id)
        self._expect(each.total - (before.total if before else 0))
        self.told[each.part.deal_id] = each
        fill, part = each.fill, each.part
        return port.Fill(
            fill_id=part.deal_id,
            login=self.login,
            position_id=part.position_id,
            symbol=contracts[fill.contractId].symbol,
            side=side_of(fill.action),
            lots=Decimal(part.lots),
            price=fill.price,
            entry=part.entry,
            at=fill.timestamp,
            profit_minor=each.profit,
            commission_minor=each.costs.commission,
            fee_minor=each.costs.fee,
            reason=reason_of(self.orders.get(fill.orderId), self.versions.get(fill.orderId)),
            order_id=str(fill.orderId),
        )

    def _expect(self, change: int) -> None:
        if self.expected is not None:
            self.expected += change

    # orders

    def take_order(self, order: Order) -> None:
        """Keeps the last state of an order. What has ended stays so: a state from before may come late."""
        known = self.orders.get(order.id)
        if known is None or known.ordStatus not in _ENDS or order.ordStatus in _ENDS:
            self.orders[order.id] = order

    def order_facts(self, order_id: int, contracts: Mapping[int, Listed]) -> Iterator[port.Fact]:
        """What is new about a pending order. Market orders are none."""
        order, version = self.orders.get(order_id), self.versions.get(order_id)
        if order is None or version is None or version.orderType == "Market" or order.contractId is None:
            return
        if order.contractId not in contracts:
            return
        state = f"{order.ordStatus}.{version.id}"
        before = self.orders_told.get(order_id)
        change: OrderChange | None = _ENDS.get(order.ordStatus)
        if change is None and order.ordStatus == "Working":
            change = "placed" if before is None else "changed"
        if change is None or state == before:
            return
        self.orders_told[order_id] = state
        yield port.Order(
            order_id=str(order_id),
            version=state,
            login=self.login,
            symbol=contracts[order.contractId].symbol,
            side=side_of(order.action),
            lots=Decimal(version.orderQty),
            change=change,
            at=order.timestamp,
            type=_TYPES.get(version.orderType),
            price=version.stopPrice if version.price is None else version.price,
        )

    # the whole account

    def positions(self, rows: Iterable[Position], contracts: Mapping[int, Listed]) -> list[PositionState]:
        """Raises KeyError for a contract that is not known."""
        states: list[PositionState] = []
        for row in rows:
            if row.netPos:
                lots = explained(row, list(self.lots[row.contractId].open))
                states += position_states(row, lots, contracts[row.contractId].symbol)
        return states


def _money(login: int, move: Cash) -> port.Money:
    return port.Money(move.operation_id, login, move.operation, move.key, move.amount, move.at)
