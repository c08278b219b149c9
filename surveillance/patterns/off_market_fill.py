"""Off-market fills: prices that the market never had around the time of the fill, in the trader's favour.

The band of a fill is what an independent source quoted within the uncertainty of the venue's clock, with the quotes
before and after. What waited at the venue as a stop or target is not judged: its price is the trader's own level, and
a venue that fills it there in a jump gives the price away by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field
from scipy.stats import binom

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding
from surveillance.book import MINUTE, SECOND, Book, Flags, Floats, Ints
from surveillance.market import judging
from surveillance.market.clock import Clocks, venue_clocks
from surveillance.market.fills import Fills, fills_of, references
from surveillance.market.quotes import Reference
from surveillance.market.sessions import asset_of, near_rollover
from surveillance.pattern import Judged, Pattern

_TYPICAL: Final = 0.8  # of the accounts, those with the lowest share, tell how often it happens to anybody
_SMALL, _TYPICAL_OF_SMALL = 10, 0.5  # in a firm of fewer accounts, a few who get such fills are soon a fifth of it

_NOISE: Final = 0.98  # of the fills are at most so far outside
_LEAST_SHARE, _LEAST_GROSS = 5e-4, 1e-6  # of fills that are outside, and grossly so, at any account


class OffMarketFillThresholds(Thresholds):
    """`tolerance_ms` is added to the clock's uncertainty on both sides, `unfitted_clock_ms` is its uncertainty where it
    could not be fitted. A fill counts when it is `beyond_spreads` outside the band, or further where fills of the venue
    are often outside to the traders' harm. `gross_pct`: of the price; a single fill so far outside is enough."""

    near_line: ClassVar[Mapping[str, float]] = {"beyond_spreads": 0.85, "max_chance": 10.0}

    tolerance_ms: int = Field(default=1000, ge=0)
    unfitted_clock_ms: int = Field(default=2000, ge=0)
    beyond_spreads: float = Field(default=0.5, gt=0)
    min_fills: int = Field(default=3, ge=1)
    gross_pct: float = Field(default=0.5, gt=0)
    max_chance: float = Field(default=1e-4, gt=0, le=0.5)
    rollover_minutes: int = Field(default=10, ge=0)
    after_gap_seconds: int = Field(default=120, ge=0)
    gap_minutes: int = Field(default=10, ge=1)


class OffMarketFills(Table):
    """The fills outside the band. `trades`: their ids. `offset_ms`: of the venue's clock, as fitted."""

    type: str = "off_market_fills"
    trades: tuple[str, ...]
    offset_ms: int


@dataclass(frozen=True)
class _Bands:
    """One element per fill: the band, NaN where there is none; spreads by which the fill is outside the band in the
    trader's favour and against it, 0 within. `percent`: of the price, in favour. `beyond`: spreads from which a fill
    counts."""

    low: Floats
    high: Floats
    favour: Floats
    against: Floats
    percent: Floats
    judged: Flags
    beyond: float


class OffMarketFill(Pattern[OffMarketFillThresholds]):
    name = "off_market_fill"
    version = 2
    scope = "firm"
    thresholds = OffMarketFillThresholds

    def find(self, book: Book) -> Judged:
        quoted = references(book)
        fills = fills_of(book)
        if not quoted and not np.isfinite(book.trades.bid).any():
            return Judged(cannot_judge=book.missing.get("quotes", "quotes are not known"))
        clocks = venue_clocks(book, fills, quoted)
        if clocks.unlike:
            return Judged(cannot_judge=f"the prices are not of this venue: {clocks.unlike}")
        findings, judged = [], 0
        for limits, accounts in judging.accounts_by_limits(self, book):
            bands = _bands(book, fills, quoted, clocks, limits)
            judged += int(bands.judged.sum())
            findings += self._of_product(book, fills, bands, clocks, limits, accounts)
        if judged == 0 and len(fills):
            return Judged(cannot_judge="no price of the reference is near any fill")
        return Judged(tuple(findings))

    def _of_product(
        self,
        book: Book,
        fills: Fills,
        bands: _Bands,
        clocks: Clocks,
        limits: OffMarketFillThresholds,
        accounts: Flags,
    ) -> list[Finding]:
        count = len(book.accounts)
        better = bands.judged & (bands.favour > bands.beyond)
        worse = bands.judged & (bands.against > bands.beyond)
        gross = better & (bands.percent >= limits.gross_pct)
        of_account = [
            np.bincount(fills.account[flag], minlength=count) for flag in (bands.judged, better, worse, gross)
        ]
        judged, good, bad, huge = of_account
        usual = _usual_share(judged, good, _LEAST_SHARE)
        chance = binom.sf(good - 1, judged, usual)
        chance = np.where(
            huge > 0, np.minimum(chance, binom.sf(huge - 1, judged, _usual_share(judged, huge, _LEAST_GROSS))), chance
        )
        # Who is filled as often outside the band to his harm has a clock or a price of his own, not an advantage.
        one_sided = binom.sf(good - 1, good + bad, 0.5) <= np.where(good >= 4, 0.1, 0.5)
        found = accounts & one_sided & (chance <= limits.max_chance) & ((good >= limits.min_fills) | (huge > 0))
        return [
            self._finding(book, fills, bands, clocks, limits, account, better, usual, float(chance[account]))
            for account in np.flatnonzero(found).tolist()
        ]

    def _finding(
        self,
        book: Book,
        fills: Fills,
        bands: _Bands,
        clocks: Clocks,
        limits: OffMarketFillThresholds,
        account: int,
        better: Flags,
        usual: float,
        chance: float,
    ) -> Finding:
        own = (fills.account == account) & bands.judged
        rows = np.flatnonzero(own & better)
        favour, percent = bands.favour[rows], float(bands.percent[rows].max())
        against = int((bands.against[own] > bands.beyond).sum())
        score = judging.score(
            (0.4, judging.beyond(len(rows), limits.min_fills, 4 * limits.min_fills)),
            (0.3, judging.beyond(float(np.median(favour)), bands.beyond, 10 * bands.beyond)),
            (0.3, judging.beyond(percent, 0.0, limits.gross_pct)),
        )
        figures = Figures(
            figures=(
                judging.figure("Fills outside the market, in the trader's favour", len(rows), limits.min_fills),
                judging.figure(
                    "Median distance from the quoted range", float(np.median(favour)), bands.beyond, unit="spreads"
                ),
                judging.figure(
                    "Largest distance from the quoted range", percent, limits.gross_pct, unit="% of the price"
                ),
                judging.figure("Fills outside the market, against the trader", against, len(rows) / 2, at_most=True),
            )
        )
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(fills.at[rows].max()),
            score=score,
            sentence=f"{len(rows)} of {int(own.sum()):,} fills had better prices than any that the market quoted at "
            f"that time, by {np.median(favour):.1f} spreads in the median.",
            roles=[(account, "trader")],
            blamed=[account],
            trades=fills.trade[rows],
            evidence=[figures, _table(book, fills, bands, rows, clocks, account)],
            chance=f"A typical account has {100 * usual:.2g} % of such fills. The probability of {len(rows)} of "
            f"{int(own.sum()):,} fills by chance is {judging.one_in(chance)}.",
            ruled_out=_ruled_out(limits, clocks, account, against),
            severity="hold" if percent >= limits.gross_pct or len(rows) >= 2 * limits.min_fills else "review",
        )


def _usual_share(judged: Ints, good: Ints, least: float) -> float:
    """Returns the share of fills outside in favour among the accounts that have least of them, never below `least`."""
    traded = np.flatnonzero(judged)
    order = traded[np.argsort(good[traded] / judged[traded], kind="stable")]
    typical = _TYPICAL if len(order) >= _SMALL else _TYPICAL_OF_SMALL
    kept = order[: max(int(typical * len(order)), 1)]
    return max(float(good[kept].sum()) / max(float(judged[kept].sum()), 1.0) if len(order) > 1 else 0.0, least)


def _bands(
    book: Book, fills: Fills, quoted: Mapping[int, Reference], clocks: Clocks, limits: OffMarketFillThresholds
) -> _Bands:
    count = len(fills)
    low, high, spread = (np.full(count, np.nan) for _ in range(3))
    at = fills.at - clocks.offset[fills.account]
    unfitted = np.where(clocks.fitted, clocks.uncertainty, limits.unfitted_clock_ms * 1000)
    around = unfitted[fills.account] + limits.tolerance_ms * 1000
    for symbol, each in quoted.items():
        rows = np.flatnonzero((fills.symbol == symbol) & ~fills.resting)
        window = each.window(at[rows] - around[rows], at[rows] + around[rows])
        first = each.after_hole(at[rows], limits.gap_minutes * MINUTE, limits.after_gap_seconds * SECOND)
        basis = clocks.basis.get(symbol, 0.0)
        low[rows] = np.where(first, np.nan, window.bid_low + basis)
        high[rows] = window.ask_high + basis
        spread[rows] = np.maximum(window.spread, each.spread)
    _take_own_quotes(book, fills, quoted, low, high, spread)
    closes = np.array([asset_of(book.symbols, row) != "crypto" for row in range(len(book.symbols))], dtype=bool)
    rollover = near_rollover(at, limits.rollover_minutes) & closes[fills.symbol]
    judged = np.isfinite(low) & ~fills.resting & ~rollover
    bought = fills.side > 0
    with np.errstate(invalid="ignore"):
        below, above = (low - fills.price) / spread, (fills.price - high) / spread
        favour, against = np.where(bought, below, above), np.where(bought, above, below)
        percent = 100 * favour * spread / fills.price
    favour, against, percent = (np.where(judged, np.maximum(each, 0), 0.0) for each in (favour, against, percent))
    # The harm done to traders tells how far venue and reference are apart by themselves.
    noise = float(np.quantile(against[judged], _NOISE)) if judged.any() else 0.0
    return _Bands(low, high, favour, against, percent, judged, max(limits.beyond_spreads, 2 * noise))


def _take_own_quotes(
    book: Book, fills: Fills, quoted: Mapping[int, Reference], low: Floats, high: Floats, spread: Floats
) -> None:
    """Fill in the venue's own quote at the opening for symbols without a reference, where the venue tells it."""
    bid, ask = book.trades.bid[fills.trade], book.trades.ask[fills.trade]
    rows = np.flatnonzero(~np.isin(fills.symbol, list(quoted)) & ~fills.closing & np.isfinite(bid) & (ask > bid))
    low[rows], high[rows], spread[rows] = bid[rows], ask[rows], (ask - bid)[rows]


def _ruled_out(limits: OffMarketFillThresholds, clocks: Clocks, account: int, against: int) -> tuple[str, ...]:
    clock = (
        clocks.words(account)
        if clocks.fitted[account]
        else f"A wrong clock: the venue's clock is not known, so {limits.unfitted_clock_ms} ms are allowed for it."
    )
    return (
        clock,
        f"Random noise: {against} fills were outside the market against the trader.",
        f"Rollover: fills within {limits.rollover_minutes} minutes of 17:00 New York are not counted.",
        f"Price gaps: stops, targets and the first {limits.after_gap_seconds} s after a gap are not counted.",
    )


def _table(book: Book, fills: Fills, bands: _Bands, rows: Ints, clocks: Clocks, account: int) -> OffMarketFills:
    order = rows[np.argsort(-bands.favour[rows], kind="stable")][: judging.SHOWN]
    point = book.symbols.point
    return OffMarketFills(
        title="Fills outside the market",
        columns=(
            "Trade",
            "Symbol",
            "Fill",
            "Time, UTC",
            "Price",
            "Lowest bid",
            "Highest ask",
            "Venue's own quote",
            "Distance, spreads",
        ),
        rows=tuple(
            (
                str(book.trades.id[fills.trade[row]]),
                book.listed(int(fills.trade[row])),
                f"{judging.side_word(int(fills.side[row]))} to {'close' if fills.closing[row] else 'open'}",
                judging.when(int(fills.at[row])),
                *(
                    judging.price(float(each[row]), float(point[fills.symbol[row]]))
                    for each in (fills.price, bands.low, bands.high)
                ),
                _own_quote(book, fills, row),
                f"{bands.favour[row]:.1f}",
            )
            for row in order.tolist()
        ),
        trades=tuple(str(book.trades.id[fills.trade[row]]) for row in order),
        offset_ms=int(clocks.offset[account]) // 1000,
    )


def _own_quote(book: Book, fills: Fills, row: int) -> str:
    trade = fills.trade[row]
    bid, ask = float(book.trades.bid[trade]), float(book.trades.ask[trade])
    if fills.closing[row] or not np.isfinite(bid + ask):
        return "unknown"
    point = float(book.symbols.point[fills.symbol[row]])
    return f"{judging.price(bid, point)} / {judging.price(ask, point)}"
