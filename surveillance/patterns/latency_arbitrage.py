"""Latency arbitrage: entries just after the market has moved, at a price of the venue that has not moved yet.

A markout is what an entry is worth after some time: the mid then, less the price paid. At the market it begins at minus
half a spread and stays there on average. Who enters at old prices is above that within a second, and stays flat; who
follows momentum gains as time goes on. Each entry is compared with entering at random in the same minute, symbol and
side, so that a release that moves for everybody counts for nobody.
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
from surveillance.book import NEVER, SECOND, Book, Flags, Floats, Ints
from surveillance.market import judging
from surveillance.market.clock import Clocks, venue_clocks
from surveillance.market.fills import fills_of, references
from surveillance.market.markouts import HORIZONS_MS, Curve, Entries, curve, entries_of, markout
from surveillance.market.quotes import Reference
from surveillance.measures.shown import amount
from surveillance.pattern import Judged, Pattern

_JUDGED: Final = 1000  # milliseconds: the horizon that decides
_GROWN: Final = 30_000  # the horizon at which momentum shows
_COLUMN, _LATE = HORIZONS_MS.index(_JUDGED), HORIZONS_MS.index(_GROWN)
_WORTH_A_LOOK: Final = 0.5  # of the least advantage: with less, no controls are drawn
_WHOLE: Final = 0.9  # of the times: whole seconds, so milliseconds are not told
_UNFITTED: Final = 0.7  # the highest score while the venue's clock is not known


class LatencyArbitrageThresholds(Thresholds):
    """`min_advantage_spreads`: mean markout after one second above that of the controls. `min_deviations`: of that mean
    from zero, in its standard errors; `deviations_if_large` are enough from `large_advantage_spreads` on. A move of
    `moved_spreads` within `around_ms` before or after the entry is one; `min_moved_pct` of the entries have it, more
    than the controls by no more than `max_chance`. `max_growth`: of the advantage until momentum shows."""

    near_line: ClassVar[Mapping[str, float]] = {"min_deviations": 0.85, "deviations_if_large": 0.85}

    min_entries: int = Field(default=15, ge=5)
    min_advantage_spreads: float = Field(default=0.25, gt=0)
    min_deviations: float = Field(default=4.75, ge=2)
    large_advantage_spreads: float = Field(default=0.5, gt=0)
    deviations_if_large: float = Field(default=3.25, ge=2)
    around_ms: int = Field(default=1000, ge=10)
    moved_spreads: float = Field(default=0.5, gt=0)
    min_moved_pct: int = Field(default=25, ge=1, le=100)
    max_chance: float = Field(default=1e-6, gt=0, le=0.01)
    max_growth: float = Field(default=3.0, ge=1)


class MarkoutCurve(Table):
    """Mean markout by horizon, beside the controls. Numbers in spreads, one per horizon in milliseconds."""

    type: str = "markout_curve"
    horizons_ms: tuple[int, ...]
    markout: tuple[str, ...]
    control: tuple[str, ...]


@dataclass(frozen=True)
class _Account:
    """Means over an account's entries, in spreads. `advantage`: markout less controls after one second; `late`: the
    same when momentum shows. `moved`, `usual`: the shares of entries and controls after a move."""

    entries: int
    markout: float
    advantage: float
    late: float
    deviations: float
    moved: float
    usual: float
    chance: float


class LatencyArbitrage(Pattern[LatencyArbitrageThresholds]):
    name = "latency_arbitrage"
    version = 2
    scope = "firm"
    needs = ("quotes",)
    thresholds = LatencyArbitrageThresholds

    def find(self, book: Book) -> Judged:
        quoted = references(book)
        unknown = _cannot_judge(book, quoted)
        if unknown:
            return Judged(cannot_judge=unknown)
        fills = fills_of(book)
        clocks = venue_clocks(book, fills, quoted)
        if clocks.unlike:
            return Judged(cannot_judge=f"the prices are not of this venue: {clocks.unlike}")
        quoted = {symbol: each for symbol, each in quoted.items() if each.is_ticks}
        entries = entries_of(fills, clocks, quoted)
        at_first = markout(entries, quoted, _JUDGED)
        entries = entries.rows(np.isfinite(at_first))
        usual, worth = _worth_a_look(len(book.accounts), entries, at_first[np.isfinite(at_first)])
        findings: list[Finding] = []
        for limits, accounts in judging.accounts_by_limits(self, book):
            counts = np.bincount(entries.account, minlength=len(book.accounts))
            wanted = accounts & (counts >= limits.min_entries)
            wanted &= worth >= usual + _WORTH_A_LOOK * limits.min_advantage_spreads
            findings += self._of_product(book, entries, quoted, clocks, limits, wanted)
        untold = ~np.isin(np.arange(len(book.symbols)), list(quoted)) & _is_traded(book)
        names = ", ".join(sorted(str(name) for name in book.symbols.name[untold]))
        partly = f"inconclusive where there are no ticks: {names}" if names else None
        return Judged(tuple(findings), partly)

    def _of_product(
        self,
        book: Book,
        entries: Entries,
        quoted: Mapping[int, Reference],
        clocks: Clocks,
        limits: LatencyArbitrageThresholds,
        accounts: Flags,
    ) -> list[Finding]:
        found = []
        for account in np.flatnonzero(accounts).tolist():
            own = entries.rows(entries.account == account)
            curves = curve(own, quoted, limits.around_ms, limits.moved_spreads)
            measured = _measure(curves)
            if _is_found(measured, limits):
                found.append(self._finding(book, own, curves, measured, clocks, limits, account))
        return found

    def _finding(
        self,
        book: Book,
        own: Entries,
        curves: Curve,
        measured: _Account,
        clocks: Clocks,
        limits: LatencyArbitrageThresholds,
        account: int,
    ) -> Finding:
        early = np.flatnonzero((curves.moved > 0) & (curves.markout[:, _COLUMN] > curves.control[:, _COLUMN]))
        score = judging.score(
            (0.4, judging.beyond(measured.advantage, limits.min_advantage_spreads, 4 * limits.min_advantage_spreads)),
            (0.3, judging.beyond(measured.moved, limits.min_moved_pct / 100, 1.0)),
            (0.3, judging.beyond(measured.deviations, limits.deviations_if_large, 4 * limits.min_deviations)),
        )
        fitted = bool(clocks.fitted[account])
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(book.trades.opened[own.trade].max()),
            score=score if fitted else min(score, _UNFITTED),
            sentence=f"{100 * measured.moved:.0f} % of {measured.entries:,} trades were opened within "
            f"{limits.around_ms} ms of a price move in their direction, at prices {measured.advantage:.1f} spreads "
            "better than random trades.",
            roles=[(account, "trader")],
            blamed=[account],
            trades=own.trade[early],
            evidence=[
                _figures(measured, limits),
                _curve_table(curves),
                _entry_table(book, own, curves, early),
            ],
            chance=f"Of random trades in the same minutes and directions, {100 * measured.usual:.0f} % are this close "
            f"to a price move. The probability of this account's share by chance is {judging.one_in(measured.chance)}.",
            ruled_out=(
                clocks.words(account) if fitted else "A wrong clock: not ruled out, which lowers the score.",
                "News trading: random trades in the same minutes gain less.",
                f"Momentum trading: after {_GROWN // 1000} seconds the advantage is {measured.late:.1f} spreads.",
                "Limit orders: trades from resting orders, as far as they are known, are not counted.",
            ),
            severity="hold" if fitted else "review",
        )


def _cannot_judge(book: Book, quoted: Mapping[int, Reference]) -> str | None:
    if not any(each.is_ticks for each in quoted.values()):
        return "inconclusive: the prices are bars, and ticks with milliseconds are needed"
    opened = book.trades.opened
    if len(opened) and (opened % SECOND == 0).mean() > _WHOLE:
        return "inconclusive: the times of the trades are whole seconds, and milliseconds are needed"
    return None


def _is_traded(book: Book) -> Flags:
    return np.bincount(book.trades.symbol, minlength=len(book.symbols)) > 0


def _worth_a_look(count: int, entries: Entries, at_first: Floats) -> tuple[float, Floats]:
    """Returns (the median of the accounts' mean markouts after one second, each account's), -inf for who has none."""
    sums = np.bincount(entries.account, weights=at_first, minlength=count)
    counts = np.bincount(entries.account, minlength=count)
    means = np.where(counts > 0, sums / np.maximum(counts, 1), -np.inf)
    usual = float(np.median(means[counts >= 5])) if (counts >= 5).any() else -0.5
    return min(usual, -0.25), means  # a firm of arbitrageurs is not the usual


def _measure(curves: Curve) -> _Account:
    apart = curves.markout - curves.control
    known = np.isfinite(apart[:, _COLUMN]) & np.isfinite(curves.moved + curves.control_moved)
    count = int(known.sum())
    if count < 2:
        return _Account(count, 0, 0, 0, 0, 0, 1, 1)
    gains = apart[known, _COLUMN]
    error = max(float(gains.std(ddof=1)) / np.sqrt(count), 1e-6)
    moved, usual = curves.moved[known], float(np.clip(curves.control_moved[known].mean(), 0.01, 1))
    late = apart[known, _LATE]
    return _Account(
        entries=count,
        markout=float(curves.markout[known, _COLUMN].mean()),
        advantage=float(gains.mean()),
        late=float(late[np.isfinite(late)].mean()) if np.isfinite(late).any() else 0.0,
        deviations=float(gains.mean()) / error,
        moved=float(moved.mean()),
        usual=usual,
        chance=float(binom.sf(moved.sum() - 1, count, usual)),
    )


def _is_found(measured: _Account, limits: LatencyArbitrageThresholds) -> bool:
    large = measured.advantage >= limits.large_advantage_spreads
    return (
        measured.entries >= limits.min_entries
        and measured.advantage >= limits.min_advantage_spreads
        and measured.deviations >= (limits.deviations_if_large if large else limits.min_deviations)
        and 100 * measured.moved >= limits.min_moved_pct
        and measured.chance <= limits.max_chance
        and measured.late <= limits.max_growth * measured.advantage
    )


def _figures(measured: _Account, limits: LatencyArbitrageThresholds) -> Figures:
    return Figures(
        figures=(
            judging.figure("Trades compared", measured.entries, limits.min_entries),
            judging.figure(
                "Markout after one second, above random trades",
                measured.advantage,
                limits.min_advantage_spreads,
                unit="spreads",
            ),
            judging.figure("Standard errors above random trades", measured.deviations, limits.deviations_if_large),
            judging.figure("Trades close to a price move", 100 * measured.moved, limits.min_moved_pct, unit="%"),
            judging.figure(
                f"Growth of the advantage after {_GROWN // 1000} seconds",
                measured.late / measured.advantage,
                limits.max_growth,
                at_most=True,
            ),
        )
    )


def _curve_table(curves: Curve) -> MarkoutCurve:
    own, control = (_means(each) for each in (curves.markout, curves.control))
    told = [
        (f"{mine:+.2f}", f"{random:+.2f}", f"{mine - random:+.2f}") for mine, random in zip(own, control, strict=True)
    ]
    return MarkoutCurve(
        title="Average markout, in spreads",
        columns=("After", "Trades of the account", "Random trades, same minute and side", "Difference"),
        rows=tuple(
            (f"{ms} ms" if ms < 1000 else f"{ms // 1000} s", *row) for ms, row in zip(HORIZONS_MS, told, strict=True)
        ),
        horizons_ms=HORIZONS_MS,
        markout=tuple(row[0] for row in told),
        control=tuple(row[1] for row in told),
    )


def _means(of_horizons: Floats) -> Floats:
    known = np.isfinite(of_horizons)
    return np.asarray(np.where(known, of_horizons, 0.0).sum(axis=0) / np.maximum(known.sum(axis=0), 1))


def _entry_table(book: Book, own: Entries, curves: Curve, early: Ints) -> Table:
    shown = early[np.argsort(-curves.markout[early, _COLUMN], kind="stable")][: judging.SHOWN]
    closed, opened = book.trades.closed, book.trades.opened
    return Table(
        type="stale_entries",
        title="Trades close to a price move, at better prices than one second later",
        columns=(
            "Trade",
            "Symbol",
            "Side",
            "Opened, UTC",
            "Price",
            "Markout after one second, spreads",
            "Held",
            "Net profit",
        ),
        rows=tuple(
            (
                str(book.trades.id[trade]),
                book.listed(trade),
                judging.side_word(int(own.side[row])),
                judging.when(int(opened[trade])),
                judging.price(float(book.trades.open_price[trade]), float(book.symbols.point[own.symbol[row]])),
                f"{curves.markout[row, _COLUMN]:+.2f}",
                "open" if closed[trade] == NEVER else judging.lasted(int(closed[trade] - opened[trade])),
                amount(book, int(book.trades.account[trade]), float(book.trades.profit_minor[trade])),
            )
            for row, trade in zip(shown.tolist(), own.trade[shown].tolist(), strict=True)
        ),
    )
