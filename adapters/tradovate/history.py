"""One account's orders, fills, fees and cash entries, and what they say as deals."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Final, NamedTuple

from adapters.tradovate import reading
from adapters.tradovate.client import Api, read_rows
from adapters.tradovate.library import Listed
from adapters.tradovate.lots import Lots, Part
from adapters.tradovate.reading import readable_rows
from adapters.tradovate.wire import CashEntry, Fill, FillFee, Order, OrderVersion, minor
from adapters.venue.tags import initials, marked
from ports.platform import BalanceKind, Deal, FillReason

OPERATIONS: Final[Mapping[str, BalanceKind]] = {
    initials(kind): kind for kind in ("deposit", "payout_hold", "payout_release", "payout_settled", "adjustment")
}


@dataclass
class History:
    orders: dict[int, Order] = field(default_factory=dict)
    versions: dict[int, OrderVersion] = field(default_factory=dict)  # the last of each order
    fees: dict[int, FillFee] = field(default_factory=dict)
    fills: list[Fill] = field(default_factory=list)
    cash: list[CashEntry] = field(default_factory=list)

    def contracts(self) -> set[int]:
        return {fill.contractId for fill in self.fills}


async def read_history(api: Api, login: int) -> History:
    """Reads the whole history of one account. Raises Unavailable."""
    with readable_rows():
        rows = await reading.read_history(api, login)
    history = History(
        orders={each.id: each for each in read_rows(Order, rows["orders"])},
        fees={each.id: each for each in read_rows(FillFee, rows["fees"])},
        fills=read_rows(Fill, rows["fills"]),
        cash=read_rows(CashEntry, rows["cash"]),
    )
    add_versions(history.versions, read_rows(OrderVersion, rows["versions"]))
    return history


def add_versions(known: dict[int, OrderVersion], versions: Iterable[OrderVersion]) -> None:
    for each in versions:
        if each.orderId not in known or known[each.orderId].id <= each.id:
            known[each.orderId] = each


def reason_of(order: Order | None, version: OrderVersion | None) -> FillReason:
    """The venue does not say whether a stop was a stop loss: every working order is a pending one."""
    if order is not None and order.admin:
        return "dealer"
    if version is None or version.orderType == "Market":
        return "client"
    return "pending_fill"


class Costs(NamedTuple):
    """Negative, in minor units."""

    commission: int
    fee: int


def costs_of(fee: FillFee | None, currency: str) -> Costs:
    """Raises ValueError for amounts that do not fit."""
    if fee is None:
        return Costs(0, 0)
    return Costs(-minor(fee.commission, currency), -minor(fee.fees, currency))


class Told(NamedTuple):
    """A deal of a fill, with its money in minor units of the account's currency."""

    fill: Fill
    part: Part
    profit: int
    costs: Costs

    @property
    def total(self) -> int:
        return self.profit + self.costs.commission + self.costs.fee


def told(fill: Fill, part: Part, contract: Listed, fee: FillFee | None, currency: str) -> Told:
    """Raises ValueError for amounts that do not fit, and for a contract in another currency: the venue converts at a
    rate that it does not tell."""
    if contract.currency != currency:
        raise ValueError(f"{contract.symbol} is in {contract.currency} and the account in {currency}")
    costs = costs_of(fee, currency) if part.first else Costs(0, 0)
    return Told(fill, part, minor(part.points * contract.point, currency), costs)


def deals_of(history: History, contracts: Mapping[int, Listed], currency: str) -> list[Told]:
    """All deals, oldest first. Raises ValueError."""
    lots: defaultdict[int, Lots] = defaultdict(Lots)
    found = []
    for fill in sorted(history.fills, key=lambda each: each.id):
        if fill.active:
            for part in lots[fill.contractId].take(fill):
                found.append(told(fill, part, contracts[fill.contractId], history.fees.get(fill.id), currency))
    return found


class Cash(NamedTuple):
    """A movement of money that is not part of a deal."""

    operation_id: str
    operation: BalanceKind
    key: str
    amount: int
    at: datetime
    balance: int


def movement(entry: CashEntry, currency: str) -> Cash | None:
    """Returns what an entry of the log says; None for a part of a deal and for our own marks without money. Raises
    ValueError."""
    if entry.fillId is not None or entry.fillPairId is not None:
        return None
    mark = marked(entry.comment.partition(" ")[0])
    kind = OPERATIONS.get(mark[0]) if mark else None
    amount = minor(entry.delta, currency)
    if kind is None and not amount:
        return None
    key = mark[1] if mark and kind else f"tradovate/{entry.id}"
    return Cash(f"cash/{entry.id}", kind or "adjustment", key, amount, entry.timestamp, minor(entry.amount, currency))


def as_deals(history: History, contracts: Mapping[int, Listed], currency: str, login: int) -> list[Deal]:
    """The deals for `TradingPlatform.deals`. `seq` counts from 1; the balance is summed up from zero."""
    steps: list[tuple[datetime, int, Told | Cash]] = [
        (each.fill.timestamp, each.fill.id, each) for each in deals_of(history, contracts, currency)
    ]
    for entry in history.cash:
        moved = movement(entry, currency)
        if moved is not None:
            steps.append((moved.at, entry.id, moved))
    deals: list[Deal] = []
    balance = 0
    for _, _, step in sorted(steps, key=lambda each: each[:2]):
        if isinstance(step, Cash):
            balance += step.amount
            continue
        balance += step.total
        deals.append(_deal(step, len(deals) + 1, balance, history, contracts, login))
    return deals


def _deal(step: Told, seq: int, balance: int, history: History, contracts: Mapping[int, Listed], login: int) -> Deal:
    fill, part = step.fill, step.part
    return Deal(
        seq=seq,
        at=fill.timestamp,
        deal_id=part.deal_id,
        login=login,
        position_id=part.position_id,
        symbol=contracts[fill.contractId].symbol,
        side="buy" if fill.action == "Buy" else "sell",
        lots=Decimal(part.lots),
        price=fill.price,
        entry=part.entry,
        profit_minor=step.profit,
        commission_minor=step.costs.commission,
        swap_minor=0,
        fee_minor=step.costs.fee,
        balance_minor=balance,
        reason=reason_of(history.orders.get(fill.orderId), history.versions.get(fill.orderId)),
    )
