"""What the chaos needs of a fake venue of any kind: how it starts, its market, its book and its faults."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, Protocol, runtime_checkable

import httpx

from domain.errors import Unavailable
from ports.capabilities import PlatformCapabilities
from ports.platform import Side, TradingPlatform
from ports.plugin import Plugin
from ports.venue import VenueFeed


@dataclass(frozen=True)
class Market:
    """`falling`: the symbol of the large positions. Its price goes from `start` to `start - fall`; `value`: of one
    point of one unit, in dollars. `calm`: the symbol of small trades, `unit` at once, between `low` and `low + range`.
    Spreads are one tick."""

    falling: str
    start: Decimal
    fall: Decimal
    tick: Decimal
    value: Decimal
    calm: str
    low: Decimal
    range: Decimal
    calm_tick: Decimal
    unit: int


SPOT: Final = Market(
    falling="XAUUSD",
    start=Decimal(2000),
    fall=Decimal(40),
    tick=Decimal("0.01"),
    value=Decimal(1),
    calm="EURUSD",
    low=Decimal("1.09900"),
    range=Decimal("0.00100"),
    calm_tick=Decimal("0.00001"),
    unit=10_000,
)


@dataclass(frozen=True)
class Position:
    """What a trader holds, in the venue's words. `side`: of the order that opened it."""

    login: int
    name: str
    symbol: str
    side: Side
    units: int


@dataclass(frozen=True)
class Book:
    """What the fake itself says of an account. `fills`: lots by the venue's id. `lowest`: the lowest equity since the
    first trade, None before it. `open`: positions."""

    login: int
    fills: Mapping[str, Decimal]
    balance: Decimal
    equity: Decimal
    lowest: Decimal | None
    enabled: bool
    open: tuple[str, ...]


# What a venue may get wrong. Each kind says which faults of its fake these are.
BAD_INPUT: Final = (
    *("cut", "duplicated", "reordered", "delayed", "unknown_field", "unknown_enum", "wrong_type", "other_zone"),
    *("zero_price", "negative_price", "unknown_login", "deal_of_ended_account", "token_expired", "wrong_certificate"),
    *("storm_of_429", "storm_of_503", "error_in_200", "disconnected", "gateway_killed"),
)


_STORMS: Final = ("storm_of_429", "storm_of_503")
_CALLS_OF_A_STORM: Final = 5


@dataclass(frozen=True)
class Place:
    """Where a fake runs. `port`: of its control interface, and of its wire unless that has `wire_port`. `folder`: for
    files of the fake and of the firm; it exists."""

    port: int
    wire_port: int
    folder: Path


class Kind(Protocol):
    """One kind of venue with its fake."""

    name: str
    plugin: Plugin[Any, PlatformCapabilities, TradingPlatform]  # the adapter
    market: Market
    faults: tuple[str, ...]  # what can be switched on, as the fake counts it
    bad_input: Mapping[str, tuple[str, ...]]  # faults by the words of BAD_INPUT

    def argv(self, place: Place) -> list[str]:
        """The command that runs the fake."""
        ...

    def fields(self, place: Place) -> dict[str, str]:
        """The fields of the adapter's settings. Those of the gateway may be left out."""
        ...

    def control(self, place: Place) -> "Control": ...

    def fill_of(self, deal_id: str) -> str:
        """The venue's id of the fill that a deal of the stream is, or is a part of."""
        ...


def platform_of(kind: Kind, fields: Mapping[str, str]) -> TradingPlatform:
    return kind.plugin.build(kind.name, kind.plugin.settings.model_validate(dict(fields)))


def feed_of(kind: Kind, fields: Mapping[str, str]) -> VenueFeed:
    assert kind.plugin.feed is not None
    return kind.plugin.feed(kind.name, kind.plugin.settings.model_validate(dict(fields)))


class Control(Protocol):
    """The control interface of a running fake. Nothing on it goes wrong. Raises httpx.HTTPStatusError."""

    async def clock(self, at: datetime) -> None: ...

    async def quote(self, prices: Mapping[str, tuple[Decimal, Decimal]]) -> None: ...

    async def open(self, login: int, symbol: str, side: Side, units: int, *, forced: bool = False) -> Position | None:
        """A trader's market order; None when the venue refuses it. `forced`: the venue fills it although the account
        may not trade."""
        ...

    async def close(self, position: Position) -> bool:
        """Whether the venue takes the order that closes it."""
        ...

    async def switch(self, faults: Sequence[str], rng: random.Random) -> None:
        """These faults are on, for a few calls or messages each; all others are off."""
        ...

    async def end_sessions(self) -> None: ...

    async def uses(self) -> dict[str, int]: ...

    async def book(self) -> dict[int, Book]: ...

    async def aclose(self) -> None: ...


def least(kind: Kind, fault: str) -> int:
    """Returns how many calls a fault must meet in a run: a storm is no storm after one."""
    return _CALLS_OF_A_STORM if any(fault in kind.bad_input[storm] for storm in _STORMS) else 1


@runtime_checkable
class Staff(Protocol):
    """What people at the broker do where the adapter can only read and close."""

    async def open_account(self) -> int:
        """Opens an account that may not trade, and returns its login. The trader grants access to it."""
        ...

    async def pay_in(self, login: int, key: str, amount_minor: int) -> None:
        """Books a deposit so that it is found under the key."""
        ...

    async def set_trading(self, login: int, *, enabled: bool) -> None: ...


def read_books(rows: Sequence[Mapping[str, object]]) -> dict[int, Book]:
    """The books of an answer of a fake, by login."""
    return {book.login: book for book in map(_book, rows)}


def _book(row: Mapping[str, object]) -> Book:
    fills, opened, lowest = row["fills"], row["open"], row["lowest"]
    assert isinstance(fills, dict)
    assert isinstance(opened, list)
    return Book(
        login=int(str(row["login"])),
        fills={str(name): Decimal(lots) for name, lots in fills.items()},
        balance=Decimal(str(row["balance"])),
        equity=Decimal(str(row["equity"])),
        lowest=None if lowest is None else Decimal(str(lowest)),
        enabled=bool(row["enabled"]),
        open=tuple(map(str, opened)),
    )


def refused(answer: httpx.Response) -> bool:
    """Whether a fake refuses a trader's order. Raises Unavailable for any other answer but success."""
    if answer.is_success:
        return False
    if answer.status_code in (400, 404, 409, 422):
        return True
    raise Unavailable(f"The fake venue answered {answer.status_code} to an order.")


OPPOSITE: Final[Mapping[Side, Side]] = {"buy": "sell", "sell": "buy"}
