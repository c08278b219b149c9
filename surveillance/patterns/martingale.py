"""Martingale: the size rises after losses, again and again, and does not rise so after wins."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import ClassVar, Final

import numpy as np
from pydantic import Field
from scipy.stats import hypergeom

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Evidence, Table
from domain.surveillance.findings import Finding
from surveillance.book import HOUR, SECOND, Book, Flags, Floats, Ints
from surveillance.measures import shown
from surveillance.measures.streaks import Entries, Streaks, entries, is_larger, streaks
from surveillance.pattern import Judged, Pattern

_SHUFFLES: Final = 400
_MORE_SHUFFLES: Final = 20_000  # for what none of the first exceeded
_CELLS: Final = 2_000_000  # of one table of shuffles
_SEED: Final = 1
_MOST_LOSSES: Final = 6  # in a row, that are told apart
_LARGEST_STEP: Final = 3.0  # as a power of two: one mistyped size does not decide
_FEW_WINS: Final = 3  # with fewer, how often size rises after a win is not known
_VIEWS: Final = (
    # name, by symbol, in lots
    ("in each symbol", True, True),
    ("over all symbols", False, False),
    ("over all symbols and in lots", False, True),
)


class MartingaleThresholds(Thresholds):
    """EverBlue: twice the streak's first lot after two losses within 6 hours; PropTrading.Fun: 1.5 times, less a tenth
    for rounded lots. One night may lie within a chain, and a weekend within one of a single symbol. `max_chance`: of
    sizes that rise so in random order; `…_of_regular`: of ladders whose steps are all by nearly one factor (their
    logarithms spread so little)."""

    near_line: ClassVar[Mapping[str, float]] = {
        "max_chance": 10.0,
        "max_chance_of_regular": 3.0,
        "min_lift_over_wins": 0.85,
    }

    idea_seconds: int = Field(default=30, ge=0)
    max_hours_between: int = Field(default=24, ge=1)
    max_hours_over_weekend: int = Field(default=80, ge=1)
    min_step_ratio: float = Field(default=1.4, gt=1)
    min_chain_growth: float = Field(default=2.0, gt=1)
    min_losses: int = Field(default=2, ge=1)
    min_chains: int = Field(default=3, ge=1)
    min_steps_of_one_chain: int = Field(default=5, ge=2)
    min_lift_over_wins: float = Field(default=2.0, ge=1)
    max_chance_of_rates: float = Field(default=0.05, gt=0, lt=1)
    max_chance: float = Field(default=2e-4, gt=0, lt=1)
    min_steps_of_regular: int = Field(default=5, ge=2)
    max_spread_of_regular: float = Field(default=0.2, ge=0)
    min_rises_of_regular_pct: float = Field(default=70, ge=0, le=100)
    max_chance_of_regular: float = Field(default=5e-3, gt=0, lt=1)


@dataclass(frozen=True)
class Chains:
    """The chains of one account in one view of it. `starts`, `ends`: rows of the streaks, a pair for each chain.
    `rises`, `losses`: steps up after a loss, of all that came after a loss; `rises_won`, `wins`: the same after a win.
    `chance`: how probable so much growth after losses is when the same sizes come in random order."""

    view: str
    streaks: Streaks
    starts: Ints
    ends: Ints
    longest: int
    rises: int
    losses: int
    rises_won: int
    wins: int
    chance: float

    @property
    def after_loss(self) -> float:
        return self.rises / max(self.losses, 1)

    @property
    def after_win(self) -> float:
        return self.rises_won / max(self.wins, 1)


class Martingale(Pattern[MartingaleThresholds]):
    """Looks at an account as a whole and in each of its symbols. Lots that grow while the risk to the stop does not are
    no step up, so sizes scaled by volatility and a planned risk taken in parts are spared."""

    name = "martingale"
    thresholds = MartingaleThresholds

    def find(self, book: Book) -> Judged:
        return Judged(tuple(finding for limits, part in self.by_limits(book) for finding in self._of(part, limits)))

    def _of(self, book: Book, limits: MartingaleThresholds) -> list[Finding]:
        told = entries(book, limits.idea_seconds * SECOND)
        best: dict[int, Chains] = {}  # what one view finds is not looked at in the next
        for view, by_symbol, in_lots in _VIEWS:
            found = streaks(told, by_symbol=by_symbol, in_lots=in_lots, within=limits.max_hours_between * HOUR)
            best.update(conspicuous(found, limits, view, frozenset(best)))
        for hours in (limits.max_hours_between, limits.max_hours_over_weekend):
            best.update(self._in_one_symbol(told, limits, hours * HOUR, frozenset(best)))
        return [self._finding(book, told, limits, account, best[account]) for account in sorted(best)]

    def _in_one_symbol(
        self, told: Entries, limits: MartingaleThresholds, within: int, known: frozenset[int]
    ) -> dict[int, Chains]:
        """Looks at each symbol of the accounts that are not known, as if it were an account of its own."""
        found = streaks(told, by_symbol=True, in_lots=True, within=within)
        _, first, which = np.unique(found.sequence, return_index=True, return_inverse=True)
        single = replace(found, account=which.astype(np.int64))
        spared = np.flatnonzero(np.isin(found.account[first], sorted(known)))
        best: dict[int, Chains] = {}
        for sequence, chains in conspicuous(single, limits, "in one symbol", frozenset(spared.tolist())):
            account = int(found.account[first[sequence]])
            if account not in best or chains.chance < best[account].chance:
                best[account] = chains
        return best

    def _finding(
        self, book: Book, told: Entries, limits: MartingaleThresholds, account: int, chains: Chains
    ) -> Finding:
        steps = [np.arange(start, end + 1) for start, end in zip(chains.starts, chains.ends, strict=True)]
        ideas = [chains.streaks.idea[rows] for rows in steps]
        trades = told.trades_of.of_all(np.concatenate(ideas))
        largest = max(float(np.max(chains.streaks.size[rows]) / chains.streaks.size[rows[0]]) for rows in steps)
        parts = (
            shown.rising(len(steps), limits.min_chains, limits.min_chains + 4),
            shown.rising(chains.after_loss - limits.min_lift_over_wins * chains.after_win, 0.0, 0.7),
        )
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(np.max(book.trades.opened[trades])),
            score=max(sum(parts) / len(parts), 0.5),
            sentence=(
                f"Raised the size in {len(steps)} losing streaks, up to {largest:.1f} times the first trade of the "
                f"streak: after {100 * chains.after_loss:.0f} % of losses and {100 * chains.after_win:.0f} % of wins."
            ),
            roles=[(account, "trader")],
            blamed=[account],
            trades=trades,
            evidence=_evidence(book, told, limits, chains, ideas),
            chance=(
                f"Measured {chains.view}. The same sizes in random order rise as much after losses with a probability "
                f"of {100 * chains.chance:.4f} %."
            ),
            ruled_out=(
                f"Sizes that rise as often after wins: the size rose after {chains.rises_won} of {chains.wins} wins.",
                "A single mistake after a loss: the size rose in several losing streaks."
                if len(steps) >= limits.min_chains
                else "A single mistake after a loss: the size rose many times.",
                "Sizes by volatility or by a planned total risk: where a stop loss is known, the risk rose too.",
            ),
        )


def conspicuous(
    found: Streaks, limits: MartingaleThresholds, view: str, known: frozenset[int]
) -> Iterator[tuple[int, Chains]]:
    """Yields the accounts whose sizes grow after losses, more than after wins and than by chance; not those known."""
    place = np.arange(len(found))
    rises = np.zeros(len(found), dtype=bool)
    rises[1:] = found.larger(place[1:], place[:-1], limits.min_step_ratio)
    lost, won = found.before == -1, found.before == 1
    grown = (
        lost & (found.losses >= limits.min_losses) & found.larger(place, place - found.losses, limits.min_chain_growth)
    )
    many = int(found.account.max(initial=-1)) + 1
    counts = [np.bincount(found.account[flags], minlength=many) for flags in (lost & rises, lost, won & rises, won)]
    rising, losses, rising_won, wins = counts
    with np.errstate(divide="ignore", invalid="ignore"):
        lifted = rising / np.maximum(losses, 1) >= limits.min_lift_over_wins * rising_won / np.maximum(wins, 1)
    # how often so many of the steps up would follow losses if they did not care
    by_rates = hypergeom.sf(rising - 1, losses + wins, rising + rising_won, losses)
    possible = lifted & (rising >= limits.min_losses) & ((by_rates <= limits.max_chance_of_rates) | (wins < _FEW_WINS))
    possible &= np.bincount(found.account[grown], minlength=many) > 0
    possible[sorted(known)] = False
    first = np.searchsorted(found.account, np.flatnonzero(possible))
    last = np.searchsorted(found.account, np.flatnonzero(possible), side="right")
    for begin, end in zip(first.tolist(), last.tolist(), strict=True):
        account = int(found.account[begin])
        starts, ends, longest = _chains(found, grown, rises, begin, end)
        enough = len(starts) >= limits.min_chains or longest >= limits.min_steps_of_one_chain
        often = rising[account] >= 2 * limits.min_chains and 2 * rising[account] >= losses[account]
        if not enough and not often:
            continue
        chance = _chance(found.rows(np.arange(begin, end)), limits)
        regular = _is_regular(found, rises, starts, ends, limits)
        often = rising[account] >= limits.min_rises_of_regular_pct / 100 * losses[account]
        if chance <= limits.max_chance or (regular and often and chance <= limits.max_chance_of_regular):
            rose, lost_all, rose_won, won_all = (int(count[account]) for count in counts)
            yield account, Chains(view, found, starts, ends, longest, rose, lost_all, rose_won, won_all, chance)


def _chains(found: Streaks, grown: Flags, rises: Flags, begin: int, end: int) -> tuple[Ints, Ints, int]:
    """Returns (first row, last grown row) of each chain within the rows, and the most steps up that one has."""
    rows = np.flatnonzero(grown[begin:end])[::-1] + begin
    starts, at = np.unique(rows - found.losses[rows], return_index=True)
    ends = rows[at]
    steps = np.concatenate([[0], np.cumsum(rises[begin:end])])
    return starts, ends, int(np.max(steps[ends - begin + 1] - steps[starts - begin + 1]))


def _is_regular(found: Streaks, rises: Flags, starts: Ints, ends: Ints, limits: MartingaleThresholds) -> bool:
    """Whether the steps up within the chains are all by nearly one factor, and enough of them to say so."""
    rows = np.concatenate(
        [np.zeros(0, dtype=np.int64), *(np.arange(a + 1, b + 1) for a, b in zip(starts, ends, strict=True))]
    )
    rows = rows[rises[rows]]
    if len(rows) < limits.min_steps_of_regular:
        return False
    return bool(np.std(np.log(found.size[rows] / found.size[rows - 1])) <= limits.max_spread_of_regular)


def _chance(mine: Streaks, limits: MartingaleThresholds) -> float:
    """Returns how probable so regular a growth is by chance. A shuffle keeps the results and gives the sizes of each
    sequence to its ideas in random order. Of the ways to measure the growth the least likely is taken, times their
    number."""
    rng = np.random.default_rng(_SEED)
    measured = _growth(mine, mine.size[None, :], mine.risk[None, :], limits)
    best = 1.0
    for shuffles in (_SHUFFLES, _MORE_SHUFFLES):
        exceeded, done = np.zeros(len(measured)), 0
        while done < shuffles:
            count = min(shuffles - done, max(_CELLS // len(mine), 1))
            order = np.argsort(rng.random((count, len(mine))) + (mine.sequence - mine.sequence[0])[None, :], axis=1)
            shuffled = _growth(mine, mine.size[order], mine.risk[order], limits)
            exceeded += np.sum(shuffled >= measured, axis=1)
            done += count
        best = len(measured) * float(np.min(exceeded) + 1) / (shuffles + 1)
        if np.min(exceeded) > 0:
            break
    return min(best, 1.0)


def _growth(mine: Streaks, size: Floats, risk: Floats, limits: MartingaleThresholds) -> Floats:
    """Returns, for each row of sizes, (steps up after losses less those after wins, doublings since the first of a
    streak of losses, how the logarithm of the size goes with the losses before)."""
    steps = np.zeros(len(size))
    for outcome in (-1, 1):
        rows = np.flatnonzero(mine.before == outcome)
        rose = is_larger(size[:, rows], size[:, rows - 1], risk[:, rows], risk[:, rows - 1], limits.min_step_ratio)
        steps -= outcome * np.sum(rose, axis=1)
    rows = np.flatnonzero((mine.before == -1) & (mine.losses >= limits.min_losses))
    base = rows - mine.losses[rows]
    grew = is_larger(size[:, rows], size[:, base], risk[:, rows], risk[:, base], limits.min_chain_growth)
    doublings = np.minimum(np.log2(size[:, rows] / size[:, base]), _LARGEST_STEP)
    known = np.flatnonzero(mine.before != 0)
    before = np.minimum(mine.losses[known], _MOST_LOSSES).astype(np.float64)
    goes_with = np.log2(size[:, known]) @ (before - before.mean()) if len(known) else np.zeros(len(size))
    return np.stack([steps, np.sum(np.where(grew, doublings, 0.0), axis=1), goes_with])


def _evidence(
    book: Book, told: Entries, limits: MartingaleThresholds, chains: Chains, ideas: list[Ints]
) -> list[Evidence]:
    rows = []
    for number, steps in enumerate(ideas, start=1):
        for idea in steps.tolist():
            first = int(told.ideas.first[idea])
            rows.append(
                (
                    str(number),
                    shown.when(int(told.ideas.opened[idea])),
                    book.listed(first),
                    shown.side_word(int(told.ideas.side[idea])),
                    f"{told.ideas.lots[idea]:g}",
                    f"{told.ideas.lots[idea] / told.ideas.lots[steps[0]]:.2f}",
                    shown.amount(book, int(book.trades.account[first]), float(told.ideas.profit_minor[idea])),
                )
            )
    return [
        shown.figures(
            ("Losing streaks with rising size", len(ideas), limits.min_chains, "at_least", ""),
            ("Most increases in one streak", chains.longest, limits.min_steps_of_one_chain, "at_least", ""),
            ("Losses followed by a larger trade", 100 * chains.after_loss, 0, "at_least", "%"),
            ("Wins followed by a larger trade", 100 * chains.after_win, 50 * chains.after_loss, "at_most", "%"),
            ("Probability by chance", 1e6 * chains.chance, 1e6 * limits.max_chance, "at_most", "in a million"),
        ),
        Table(
            type="ladder",
            title="Losing streaks with rising size",
            columns=("Streak", "Opened, UTC", "Symbol", "Side", "Lots", "Multiple of the first", "Net profit"),
            rows=tuple(rows[: shown.MOST_ROWS]),
        ),
    ]
