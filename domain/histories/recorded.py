"""Converts the record of one account (bars of a minute or an hour, fills, balance operations, daily snapshots) into
events."""

import heapq
from bisect import bisect_left
from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final, Literal, TypedDict

from domain.clocks import Clock
from domain.products.product import Product
from domain.rules.events import CLOSED_BY, OPENED_BY, Clocked, Closed, Event, Marked, Opened, PaidOut, Rolled, Side

Purpose = Literal["trading_day", "loss_snapshot", "both"]

_MICROSECOND: Final = timedelta(microseconds=1)
_MINUTE: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Bar:
    """Equity in one minute, or one hour, from `minute` on, and the balance at its close, in minor units."""

    minute: datetime
    open_minor: int
    high_minor: int
    low_minor: int
    close_minor: int
    balance_minor: int
    minutes: Literal[1, 60] = 1

    @property
    def end(self) -> datetime:
        return self.minute + self.minutes * _MINUTE


@dataclass(frozen=True, slots=True)
class Fill:
    at: datetime
    position_id: str
    symbol: str
    side: Side
    entry: Literal["in", "out"]
    lots: Decimal
    price: Decimal
    profit_minor: int
    commission_minor: int
    swap_minor: int
    balance_minor: int
    reason: str = "client"


@dataclass(frozen=True, slots=True)
class Operation:
    """Money in or out without a trade. `operation`: the name that the platform uses."""

    at: datetime
    operation: str
    amount_minor: int
    balance_minor: int


@dataclass(frozen=True, slots=True)
class RecordedLife:
    """The whole record of one account, each part in order of time. `snapshots`: equity at the resets of its own
    clock."""

    opened_at: datetime
    bars: tuple[Bar, ...] = ()
    fills: tuple[Fill, ...] = ()
    operations: tuple[Operation, ...] = ()
    snapshots: dict[datetime, int] = field(default_factory=dict)

    def until(self, at: datetime) -> "RecordedLife":
        """Returns the record as it was at `at`."""
        return replace(
            self,
            bars=tuple(bar for bar in self.bars if bar.end <= at),
            fills=tuple(fill for fill in self.fills if fill.at <= at),
            operations=tuple(one for one in self.operations if one.at < at),
        )

    def without_profit_of(self, positions: AbstractSet[str]) -> "RecordedLife":
        """Returns the record as if these positions had made nothing: their deals stay, with no result."""
        made, ends, fills = 0, [(datetime.min.replace(tzinfo=UTC), 0)], []
        for fill in self.fills:
            own = fill.position_id in positions
            if own:
                made += fill.profit_minor + fill.commission_minor + fill.swap_minor
                ends.append((fill.at, made))
            kept = replace(fill, profit_minor=0, commission_minor=0, swap_minor=0) if own else fill
            fills.append(replace(kept, balance_minor=fill.balance_minor - made))

        def before(at: datetime) -> int:
            return ends[bisect_left(ends, at, key=lambda end: end[0]) - 1][1]

        return replace(
            self,
            bars=tuple(_shifted(bar, before(bar.end)) for bar in self.bars),
            fills=tuple(fills),
            operations=tuple(replace(one, balance_minor=one.balance_minor - before(one.at)) for one in self.operations),
            snapshots={at: minor - before(at) for at, minor in self.snapshots.items()},
        )

    @property
    def by_the_hour(self) -> bool:
        """Whether the equity of some of it is known by the hour only."""
        return any(bar.minutes == 60 for bar in self.bars)

    @property
    def first_trade_at(self) -> datetime | None:
        return self.fills[0].at if self.fills else None

    @property
    def open_positions(self) -> int:
        """The number of positions open at the end."""
        left: dict[str, Decimal] = {}
        for fill in self.fills:
            change = fill.lots if fill.entry == "in" else -fill.lots
            left[fill.position_id] = left.get(fill.position_id, Decimal(0)) + change
        return sum(1 for lots in left.values() if lots > 0)


def _shifted(bar: Bar, by_minor: int) -> Bar:
    return replace(
        bar,
        open_minor=bar.open_minor - by_minor,
        high_minor=bar.high_minor - by_minor,
        low_minor=bar.low_minor - by_minor,
        close_minor=bar.close_minor - by_minor,
        balance_minor=bar.balance_minor - by_minor,
    )


_Timed = tuple[datetime, int, int, "Bar | Fill | Operation | Purpose"]


def events(life: RecordedLife, product: Product, initial_minor: int) -> Iterator[Event]:
    """Yields the events of an account of this size, with the resets of the clocks of `product`, in order of time."""
    ends = [life.opened_at]
    ends += [life.bars[-1].end] if life.bars else []
    ends += [part[-1].at for part in (life.fills, life.operations) if part]
    last = max(ends)
    fold = _Life(life, product, initial_minor)
    streams: tuple[Iterator[_Timed], ...] = (
        ((at, 0, n, purpose) for n, (at, purpose) in enumerate(_resets(product, life.opened_at))),
        ((one.at, 1, n, one) for n, one in enumerate(life.operations)),
        ((fill.at, 2, n, fill) for n, fill in enumerate(life.fills)),
        ((bar.end - _MICROSECOND, 3, n, bar) for n, bar in enumerate(life.bars)),
    )
    for at, _, _, item in heapq.merge(*streams, key=lambda timed: timed[:3]):
        if at > last:
            break
        yield from fold.events_of(at, item)
    yield fold.ended(last)


def _resets(product: Product, start: datetime) -> Iterator[tuple[datetime, Purpose]]:
    """Yields every reset after `start`, without end, with its purpose."""
    at = start
    while True:
        day = product.clock.next_reset(at)
        loss = product.loss_clock.next_reset(at) if product.loss_clock else day
        at = min(day, loss)
        yield at, "both" if day == loss else "trading_day" if at == day else "loss_snapshot"


class _Money(TypedDict):
    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int


class _Life:
    """The state of the account between two events."""

    def __init__(self, life: RecordedLife, product: Product, initial_minor: int) -> None:
        self.clock: Clock = product.clock
        self.snapshots = life.snapshots
        self.bars = {bar.minute: bar for bar in life.bars if bar.minutes == 1}
        self.hours = {bar.minute: bar for bar in life.bars if bar.minutes == 60}
        self.balance = self.equity = initial_minor
        self.seq = 0
        self.left: dict[str, Decimal] = {}
        self.opened: dict[str, datetime] = {}

    def events_of(self, at: datetime, item: "Bar | Fill | Operation | Purpose") -> Iterator[Event]:
        if isinstance(item, Bar):
            yield from self._marked(at, item)
        elif isinstance(item, Fill):
            yield self._filled(item)
        elif isinstance(item, Operation):
            yield self._moved(item)
        else:
            self.equity = self.snapshots.get(at, self.equity)
            yield Rolled(**self._money(at), day=self.clock.trading_day(at - _MICROSECOND), purpose=item)

    def ended(self, at: datetime) -> Event:
        return Clocked(**self._money(at), open_positions=len(self.left))

    def _money(self, at: datetime) -> _Money:
        self.seq += 1
        return {"seq": self.seq, "at": at, "balance_minor": self.balance, "equity_minor": self.equity}

    def _marked(self, at: datetime, bar: Bar) -> Iterator[Event]:
        """Yields the path within the bar: low first in a rising one, high first in a falling one."""
        rising = bar.close_minor >= bar.open_minor
        path = (bar.low_minor, bar.high_minor) if rising else (bar.high_minor, bar.low_minor)
        self.balance = bar.balance_minor
        before: int | None = None
        for worth in (*path, bar.close_minor):
            if worth != before:
                self.equity = before = worth
                yield Marked(**self._money(at))

    def _moved(self, one: Operation) -> Event:
        before, self.balance = self.balance, one.balance_minor
        self.equity += self.balance - before
        stage = _STAGES.get(one.operation)
        if stage is None:
            return Marked(**self._money(one.at))
        return PaidOut(**self._money(one.at), gross_minor=abs(one.amount_minor), stage=stage)

    def _filled(self, fill: Fill) -> Event:
        self.balance = fill.balance_minor
        held = self.left.get(fill.position_id, Decimal(0))
        now = held + fill.lots if fill.entry == "in" else max(held - fill.lots, Decimal(0))
        if now:
            self.left[fill.position_id] = now
            self.opened.setdefault(fill.position_id, fill.at)
        else:
            self.left.pop(fill.position_id, None)
        self._worth_at(fill.at)
        if fill.entry == "in":
            return Opened(
                **self._money(fill.at),
                position_id=fill.position_id,
                symbol=fill.symbol,
                side=fill.side,
                lots=fill.lots,
                price=fill.price,
                adds=held > 0,
                commission_minor=fill.commission_minor,
                action=OPENED_BY.get(fill.reason, "open"),
            )
        return Closed(
            **self._money(fill.at),
            position_id=fill.position_id,
            symbol=fill.symbol,
            side="sell" if fill.side == "buy" else "buy",
            lots=fill.lots,
            lots_left=now,
            opened_at=self.opened.get(fill.position_id),
            pnl_minor=fill.profit_minor + fill.commission_minor + fill.swap_minor,
            gross_minor=fill.profit_minor,
            commission_minor=fill.commission_minor,
            swap_minor=fill.swap_minor,
            action=CLOSED_BY.get(fill.reason, "close"),
        )

    def _worth_at(self, at: datetime) -> None:
        """Sets the equity at a fill: the balance without open positions, else the last equity within the bar of that
        time."""
        if not self.left:
            self.equity = self.balance
            return
        minute = at.replace(second=0, microsecond=0)
        bar = self.bars.get(minute) or self.hours.get(minute.replace(minute=0))
        if bar is not None:
            self.equity = min(max(self.equity, bar.low_minor), bar.high_minor)


_STAGES: Final[dict[str, Literal["held", "released", "settled"]]] = {
    "payout_hold": "held",
    "payout_release": "released",
    "payout_settled": "settled",
}
