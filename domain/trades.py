"""The trades of an account, and figures about them.

A trade is a position that was closed for good. Its result is what all its fills did to the balance: profit and loss,
commission, swap and fees. Everything is counted in whole minor units; a quotient is rounded half up, to the minor unit
where it is money and to two decimals where it is a share.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import Final

from domain.clocks import zone_of
from domain.money import half_up

_CENT: Final = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Trade:
    """A closed position; amounts in minor units, costs negative. `opened_at` and `open_price` None: it was opened
    before the record begins. Prices are averages over the fills, weighted by lots. `side`: of the position."""

    position_id: str
    symbol: str
    side: str
    lots: Decimal
    opened_at: datetime | None
    closed_at: datetime
    open_price: Decimal | None
    close_price: Decimal
    profit_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int

    @property
    def costs_minor(self) -> int:
        return self.commission_minor + self.swap_minor + self.fee_minor

    @property
    def result_minor(self) -> int:
        return self.profit_minor + self.costs_minor

    @property
    def held(self) -> timedelta | None:
        return None if self.opened_at is None else self.closed_at - self.opened_at


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of some trades. A win has a result above zero, a loss one below; the others broke even.

    - `win_rate_pct`: wins / trades x 100, two decimals.
    - `expectancy_minor`: result / trades, what a trade made on average.
    - `average_win_minor`: the results of the wins / wins; `average_loss_minor` (negative): of the losses / losses.
    - `profit_factor`: the results of the wins / the results of the losses without their sign, two decimals.
    - `average_held`: the mean time from the first opening fill to the last closing one, in whole seconds.

    None: the divisor is zero, so there is no such figure.
    """

    trades: int
    wins: int
    losses: int
    result_minor: int
    profit_minor: int
    commission_minor: int
    swap_minor: int
    fee_minor: int
    win_rate_pct: Decimal | None
    expectancy_minor: int | None
    average_win_minor: int | None
    average_loss_minor: int | None
    best_minor: int | None
    worst_minor: int | None
    profit_factor: Decimal | None
    average_held: timedelta | None


@dataclass(frozen=True, slots=True)
class Part:
    """The figures of one symbol or of one hour of the day."""

    name: str
    figures: Figures


@dataclass(frozen=True, slots=True)
class Statistics:
    """`by_symbol`: the symbol with the best result first. `by_hour`: the hour in which a trade was opened, 00 to 23 in
    `zone`, only hours with trades; trades whose opening is unknown are in none."""

    zone: str
    all: Figures
    by_symbol: tuple[Part, ...]
    by_hour: tuple[Part, ...]


def statistics(trades: Sequence[Trade], zone: str) -> Statistics:
    """`zone`: the IANA name, offset or server's clock in which hours are counted."""
    symbols: dict[str, list[Trade]] = {}
    hours: dict[int, list[Trade]] = {}
    local = zone_of(zone)
    for trade in trades:
        symbols.setdefault(trade.symbol, []).append(trade)
        if trade.opened_at is not None:
            hours.setdefault(trade.opened_at.astimezone(local).hour, []).append(trade)
    by_symbol = [Part(symbol, figures(own)) for symbol, own in symbols.items()]
    return Statistics(
        zone=zone,
        all=figures(trades),
        by_symbol=tuple(sorted(by_symbol, key=lambda part: (-part.figures.result_minor, part.name))),
        by_hour=tuple(Part(f"{hour:02}", figures(own)) for hour, own in sorted(hours.items())),
    )


def figures(trades: Iterable[Trade]) -> Figures:
    found = list(trades)
    results = [trade.result_minor for trade in found]
    wins, losses = [each for each in results if each > 0], [each for each in results if each < 0]
    held = [trade.held for trade in found if trade.held is not None]
    return Figures(
        trades=len(found),
        wins=len(wins),
        losses=len(losses),
        result_minor=sum(results),
        profit_minor=sum(trade.profit_minor for trade in found),
        commission_minor=sum(trade.commission_minor for trade in found),
        swap_minor=sum(trade.swap_minor for trade in found),
        fee_minor=sum(trade.fee_minor for trade in found),
        win_rate_pct=_share(100 * len(wins), len(found)),
        expectancy_minor=_mean(sum(results), len(found)),
        average_win_minor=_mean(sum(wins), len(wins)),
        average_loss_minor=_mean(sum(losses), len(losses)),
        best_minor=max(results, default=None),
        worst_minor=min(results, default=None),
        profit_factor=_share(sum(wins), -sum(losses)),
        average_held=_mean_time(held),
    )


def _mean(total: int, count: int) -> int | None:
    return half_up(Decimal(total) / count) if count else None


def _share(part: int, whole: int) -> Decimal | None:
    return (Decimal(part) / whole).quantize(_CENT, rounding=ROUND_HALF_UP) if whole else None


def _mean_time(lengths: Sequence[timedelta]) -> timedelta | None:
    if not lengths:
        return None
    whole = sum((length // timedelta(microseconds=1) for length in lengths), 0)
    return timedelta(seconds=half_up(Decimal(whole) / len(lengths) / 1_000_000))
