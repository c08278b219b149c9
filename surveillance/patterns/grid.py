"""Grid: entries at near-equal price steps against the market, closed together as a basket."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import gamma, pi, sqrt
from typing import ClassVar, Final, NamedTuple

import numpy as np
from pydantic import Field
from scipy.stats import binom

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Table
from domain.surveillance.findings import Finding
from surveillance.book import NEVER, SECOND, Book, Floats, Ints
from surveillance.market.judging import one_in
from surveillance.measures import shown
from surveillance.measures.groups import Groups
from surveillance.measures.worth import risk_to_stop, worth_of_move
from surveillance.pattern import Judged, Pattern
from surveillance.positions import Positions, positions

_SAME_LEVEL: Final = 0.1  # of the usual step: what is nearer opened at the same level again
_LEG_APART: Final = 0.3  # of the usual step: how far the legs of one level slip apart within seconds
_MOST_MISSED: Final = 4  # a step of up to four times the usual one is three levels that did not fill
_STOPS_AGREE: Final = 0.5  # of the median step


class GridThresholds(Thresholds):
    """FYT allows 3 positions an instrument, Fundyourfx 5 a pair and day; no firm states how regular steps may be: 0.25
    is a start, and fills slip. `max_chance`: of steps so regular when entries lie anywhere between the first and the
    last. `min_regular_pct`: of the account's baskets against the market. `max_planned_risk_pct`: what a scale-in with
    one stop may risk, of the daily loss limit (of a twentieth of the size where there is none)."""

    near_line: ClassVar[Mapping[str, float]] = {"min_regular_pct": 0.85, "max_step_variation": 1.15, "max_chance": 3.0}

    leg_seconds: int = Field(default=10, ge=0)
    basket_seconds: int = Field(default=60, ge=1)
    min_levels: int = Field(default=4, ge=3)
    max_step_variation: float = Field(default=0.3, gt=0)
    min_against_pct: float = Field(default=75, gt=0, le=100)
    min_regular_pct: float = Field(default=30, gt=0, le=100)
    max_planned_risk_pct: float = Field(default=60, ge=0)
    max_chance: float = Field(default=0.03, gt=0, lt=1)


@dataclass(frozen=True)
class Basket:
    """`levels`: rows of the positions, as they opened. `step`: the mean step of the price. `variation`: standard
    deviation of the steps over their mean. `chance`: of steps at least so regular."""

    levels: Ints
    count: int
    step: float
    variation: float
    chance: float


class Shape(NamedTuple):
    """The positions of a book, and its trades by the number of their position."""

    levels: Positions
    trades_of: Groups

    def trades(self, book: Book, levels: Ints) -> Ints:
        return self.trades_of.of_all(book.trades.position[self.levels.first[levels]].astype(np.int64))


class Grid(Pattern[GridThresholds]):
    """Looks at what was closed together: a ladder of levels that was open at one time, all in one direction."""

    name = "grid"
    thresholds = GridThresholds

    def find(self, book: Book) -> Judged:
        return Judged(tuple(finding for limits, part in self.by_limits(book) for finding in self._of(part, limits)))

    def _of(self, book: Book, limits: GridThresholds) -> list[Finding]:
        levels = positions(book.trades)
        shape = Shape(levels, Groups(book.trades.position, len(book.trades.positions)))
        risk = risk_to_stop(book, worth_of_move(book))
        found: dict[int, list[Basket]] = {}
        seen: dict[int, int] = {}
        for rows in baskets(levels, limits):
            if not _against(levels, rows, limits):
                continue
            account = int(levels.account[rows[0]])
            seen[account] = seen.get(account, 0) + 1
            basket = measured(levels, rows, limits)
            if basket is not None:
                found.setdefault(account, []).append(basket)
        findings = []
        for account, each in sorted(found.items()):
            unplanned = _without_planned(book, shape, risk, each, limits)
            if not unplanned:
                continue
            all_seen = seen[account] - (len(each) - len(unplanned))
            chance = _chance_of_all([basket.chance for basket in unplanned], all_seen)
            if chance <= limits.max_chance and 100 * len(unplanned) >= limits.min_regular_pct * all_seen:
                findings.append(self._finding(book, limits, account, shape, unplanned, chance, all_seen))
        return findings

    def _finding(
        self,
        book: Book,
        limits: GridThresholds,
        account: int,
        shape: Shape,
        found: list[Basket],
        chance: float,
        seen: int,
    ) -> Finding:
        levels = shape.levels
        trades = shape.trades(book, np.concatenate([each.levels for each in found]))
        variation = float(np.mean([each.variation for each in found]))
        most = max(each.count for each in found)
        lots = np.concatenate([levels.lots[each.levels] / levels.lots[each.levels[0]] for each in found])
        score = (
            shown.rising(-np.log10(max(chance, 1e-12)), -np.log10(limits.max_chance), 6.0)
            + shown.rising(variation, limits.max_step_variation, 0.05)
            + shown.rising(most, limits.min_levels, limits.min_levels + 4)
        ) / 3
        symbols = sorted({book.listed(int(levels.first[each.levels[0]])) for each in found})
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(np.max(levels.closed[np.concatenate([each.levels for each in found])])),
            score=max(score, 0.5),
            sentence=(
                f"{len(found)} basket{'s' * (len(found) > 1)} of up to {most} positions in {', '.join(symbols)}, "
                f"opened at nearly equal steps against the price (steps vary by {100 * variation:.0f} %) and closed "
                "together."
            ),
            roles=[(account, "trader")],
            blamed=[account],
            trades=trades,
            evidence=[
                shown.figures(
                    ("Positions in the largest basket", most, limits.min_levels, "at_least", ""),
                    ("Variation of the price steps", variation, limits.max_step_variation, "at_most", ""),
                    ("Probability by chance", 100 * chance, 100 * limits.max_chance, "at_most", "%"),
                    ("Baskets with regular steps", 100 * len(found) / seen, limits.min_regular_pct, "at_least", "%"),
                ),
                _ladder(book, levels, found),
            ],
            chance=(
                f"Entries at random prices between the first and the last have steps as regular with a probability of "
                f"{one_in(chance)}. {len(found)} of {seen} baskets opened against the price have such steps. "
                f"Sizes are {lots.min():.2f} to {lots.max():.2f} times the first position."
            ),
            ruled_out=(
                "A planned scale-in: the positions share no stop loss, or the risk to the stop loss is too high.",
                "One position closed in parts: each position was opened separately.",
                "Adding to a winner: the positions were opened as the price moved against the trader.",
            ),
        )


def baskets(levels: Positions, limits: GridThresholds) -> Iterator[Ints]:
    """Yields the levels of each basket in the order of opening: one account, symbol and side, closed together, all
    open before the first of them closed."""
    order = np.lexsort((levels.opened, levels.closed, levels.side, levels.symbol, levels.account))
    order = order[levels.closed[order] != NEVER]
    if not len(order):
        return
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = np.diff(levels.closed[order]) > limits.basket_seconds * SECOND
    for names in (levels.account, levels.symbol, levels.side):
        begins[1:] |= names[order][1:] != names[order][:-1]
    starts = np.flatnonzero(begins)
    sizes = np.diff(np.append(starts, len(order)))
    for start, size in zip(starts[sizes >= limits.min_levels].tolist(), sizes[sizes >= limits.min_levels], strict=True):
        rows = order[start : start + size]
        rows = rows[levels.opened[rows] < levels.closed[rows[0]]]
        if len(rows) >= limits.min_levels:
            yield rows[np.argsort(levels.opened[rows], kind="stable")]


def _against(levels: Positions, rows: Ints, limits: GridThresholds) -> bool:
    """Whether the price of most levels is the worst so far: what a jump fills at once comes in any order."""
    price = levels.side[rows[0]] * levels.open_price[rows]
    worst = np.minimum.accumulate(price)
    spread = price[0] - worst[-1]
    return bool(100 * np.mean(price[1:] <= worst[1:] + _SAME_LEVEL * spread) >= limits.min_against_pct)


def measured(levels: Positions, rows: Ints, limits: GridThresholds) -> Basket | None:
    """Returns how regular the steps of a basket are; None when they are not regular enough. Legs of one level count
    once. In every four steps one level may be missing, and as many as a jump of the price filled at one level."""
    order = rows[np.argsort(levels.open_price[rows], kind="stable")]
    price, opened = levels.open_price[order], levels.opened[order]
    steps = np.diff(price)
    usual = float(price[-1] - price[0]) / len(steps)
    at_once = np.abs(np.diff(opened)) <= limits.leg_seconds * SECOND
    again = (steps < _SAME_LEVEL * usual) & ~at_once
    near = again | (at_once & (steps < _LEG_APART * usual))
    steps, merged = np.diff(price[np.concatenate([[True], ~near])]), int(np.sum(near))
    if len(steps) < limits.min_levels - 1 or not np.median(steps) > 0:  # all at one price is no ladder
        return None
    times = np.clip(np.round(steps / np.median(steps)), 1, _MOST_MISSED)
    missing = int(np.sum(times - 1))
    if missing > max(len(steps) // 4, merged):
        times, missing = np.ones(len(steps)), 0
    steps = steps / times
    variation = float(np.std(steps) / np.mean(steps))
    if variation >= limits.max_step_variation:
        return None
    changed = max(missing - (merged - int(np.sum(again))), 0) + int(
        np.sum(again)
    )  # a jump explains as many as it filled
    ways = 2 * float(len(steps) + 1) ** changed if changed else 1.0  # to choose what is left out and put together
    chance = min(_chance_of_steps(len(steps), variation) * ways, 1.0)
    return Basket(rows, len(steps) + 1, float(np.mean(steps)), variation, chance)


def _chance_of_steps(count: int, variation: float) -> float:
    """Returns how probable it is that `count` steps between levels at random prices vary so little. The shares of such
    steps are uniform on a simplex, and those that vary less lie in a ball around its middle."""
    dimensions = count - 1
    ball = pi ** (dimensions / 2) / gamma(dimensions / 2 + 1) * (variation / sqrt(count)) ** dimensions
    return float(min(ball * gamma(count) / sqrt(count), 1.0))


def _chance_of_all(chances: list[float], seen: int) -> float:
    """Returns how probable it is that so many of `seen` baskets are so regular: the least of the chances that the 1st,
    2nd, … most regular is as regular as it is, times how many of these there are."""
    ordered, places = np.sort(chances), np.arange(len(chances))
    return float(min(np.min(binom.sf(places, seen, ordered)) * len(chances), 1.0))


def _without_planned(
    book: Book, shape: Shape, risk: Floats, found: list[Basket], limits: GridThresholds
) -> list[Basket]:
    """Returns the baskets without those that share one stop and risk no more than a plan may."""
    kept = []
    for basket in found:
        rows = shape.trades(book, basket.levels)
        stops, account = book.trades.stop[rows], int(book.trades.account[rows[0]])
        if np.isfinite(stops).all() and np.ptp(stops) <= _STOPS_AGREE * basket.step:
            daily = int(book.accounts.daily_loss_minor[account])
            allowed = daily if shown.limit_told(daily) else int(book.accounts.size_minor[account]) // 20
            total = float(np.sum(risk[rows]))
            if not total > limits.max_planned_risk_pct / 100 * allowed:  # also when the worth of a move is not known
                continue
        kept.append(basket)
    return kept


def _ladder(book: Book, levels: Positions, found: list[Basket]) -> Table:
    rows, price = [], levels.open_price
    for number, basket in enumerate(found, start=1):
        for place, level in enumerate(basket.levels.tolist()):
            before = basket.levels[place - 1] if place else None
            rows.append(
                (
                    str(number),
                    shown.when(int(levels.opened[level])),
                    book.listed(int(levels.first[level])),
                    shown.side_word(int(levels.side[level])),
                    f"{levels.lots[level]:g}",
                    f"{price[level]:g}",
                    "" if before is None else f"{abs(price[level] - price[before]):g}",
                    shown.when(int(levels.closed[level])),
                    shown.amount(book, int(levels.account[level]), float(levels.profit_minor[level])),
                )
            )
    return Table(
        type="ladder",
        title="Positions of each basket",
        columns=("Basket", "Opened, UTC", "Symbol", "Side", "Lots", "Price", "Step", "Closed, UTC", "Net profit"),
        rows=tuple(rows[: shown.MOST_ROWS]),
    )
