"""What a shard measures of its accounts once a second, as it is stored. Notional and profit in minor units of the
reporting currency. The position is that of the traders; a result of theirs is the firm's cost."""

from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _plain(value: object) -> object:
    return Decimal(value) if isinstance(value, str) else value


Lots = Annotated[Decimal, BeforeValidator(_plain)]


class SymbolPart(Part):
    """All positions in one symbol of a venue. `long_minor`, `short_minor`: notional at the middle of bid and ask; None
    without a live rate into the reporting currency. `slope_minor`: the change of what the firm would owe for 1 % more
    of the price."""

    symbol: str
    contract_size: Lots
    quote_currency: str
    bid: Lots
    ask: Lots
    long_lots: Lots
    short_lots: Lots
    long_minor: int | None
    short_minor: int | None
    accounts: int
    floating_minor: int
    slope_minor: int


class GroupPart(Part):
    """All positions of the accounts in one phase of one product. `size_minor`: their initial balances."""

    product: str
    phase: int
    funded: bool
    accounts: int
    size_minor: int
    long_minor: int
    short_minor: int
    floating_minor: int


class TraderPart(Part):
    """All positions of the accounts of one trader."""

    trader_id: str
    accounts: int
    long_minor: int
    short_minor: int

    @property
    def gross_minor(self) -> int:
        return self.long_minor + self.short_minor


class ClusterPart(Part):
    """All positions of traders whom identity facts tie together. `trader_ids`: those of them with accounts here."""

    cluster: str
    trader_ids: tuple[str, ...]
    accounts: int
    long_minor: int
    short_minor: int

    @property
    def gross_minor(self) -> int:
        return self.long_minor + self.short_minor


class NearestPart(Part):
    """An account near a level. `room_minor`: in the account's currency. `room_ppm`: millionths of its size."""

    rule: str
    account_id: str
    currency: str
    room_minor: int
    room_ppm: int


class OwedPart(Part):
    """What the firm would owe: the traders' shares of capped, eligible profit, of accounts that may be paid.

    `now_minor`: by the rules, where open gains do not count. `closed_minor`: if every position were closed now.
    `accounts`: those in the funded phase; `owing`: those with a share. `unknown`: those without a known equity or rate.
    """

    accounts: int = 0
    owing: int = 0
    now_minor: int = 0
    closed_minor: int = 0
    unknown: int = 0


class ShardFigures(Part):
    """One shard at market time `at`. `accounts`: those that count; `open_accounts`: those with open positions."""

    platform: str
    at: datetime
    accounts: int
    open_accounts: int
    symbols: tuple[SymbolPart, ...]
    groups: tuple[GroupPart, ...]
    traders: tuple[TraderPart, ...]
    nearest: tuple[NearestPart, ...]
    owed: OwedPart
    clusters: tuple[ClusterPart, ...] = ()
