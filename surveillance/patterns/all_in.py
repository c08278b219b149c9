"""All-in: one trade idea stands to lose most of the room that the account has."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np
from pydantic import Field

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Table
from domain.surveillance.findings import Finding
from surveillance.book import MINUTE, NEVER, SECOND, Book, Floats, Ints
from surveillance.measures import shown
from surveillance.measures.groups import Groups
from surveillance.measures.local_time import local_days
from surveillance.measures.losses import excursions, without_stop, worst_losses
from surveillance.measures.worth import usual_result, worth_of_move
from surveillance.pattern import Judged, Pattern
from surveillance.positions import Positions, ideas

_LARGE: Final = (
    0.9  # the share of the account's other ideas, of those under the line, that are smaller than its large ones
)
_TO_THE_STOP: Final = "loss at the stop loss"
_WHILE_OPEN: Final = "largest loss while open, no stop loss"
_WON: Final = "profit made without a stop loss"
_MOST_DECISIONS: Final = 3  # that chance brings together within minutes
_LEAST_SPREAD: Final = 0.3  # of the logarithms of what ideas stand to lose: nobody sizes more evenly
_MOST_SHOWN_PCT: Final = 1000.0  # beyond it the room was all but used up


class AllInThresholds(Thresholds):
    """Ideas are what FundingPips and FYT count as one: same symbol and side within 5 minutes. Funded Elite: more than
    half of the daily limit. SpicePROP: one minute to reduce. `min_gain_pct`: Maven, one trade without a stop decides;
    what it won is taken for what it stood to lose. `min_times_usual`: the account's median idea, in lots and in what it
    stood to lose; `min_deviations` of their logarithms from it; `min_times_large`: the tenth largest in a hundred.
    More decisions (more than `leg_seconds` apart) in one idea take more. Prop Number One, about all of it in 1 to 3
    trades: an account with no more ideas, or that always stakes so much, is found by `min_share_without_usual_pct`; so
    is an idea whose stop is over it, with `min_times_usual_of_most` and `min_deviations_of_most`."""

    near_line: ClassVar[Mapping[str, float]] = {
        "min_share_of_room_pct": 0.85,
        "min_times_usual": 0.85,
        "min_deviations": 0.85,
    }

    idea_minutes: float = Field(default=5, ge=0)
    leg_seconds: float = Field(default=20, ge=0)
    reduce_seconds: float = Field(default=60, ge=0)
    min_share_of_room_pct: float = Field(default=50, gt=0)
    min_gain_pct: float = Field(default=100, gt=0)
    min_times_usual: float = Field(default=4, ge=1)
    min_times_large: float = Field(default=2, ge=1)
    min_deviations: float = Field(default=3.5, ge=0)
    max_ideas_without_usual: int = Field(default=3, ge=0)
    min_share_without_usual_pct: float = Field(default=80, gt=0)
    min_times_usual_of_most: float = Field(default=3.5, ge=1)
    min_deviations_of_most: float = Field(default=3, ge=0)
    min_hedged_time_pct: float = Field(default=90, gt=0, le=100)
    min_usual_result_pct: float = Field(default=10, ge=0)


@dataclass(frozen=True)
class Stake:
    """An idea and what it stood to lose, in minor units. `left`: the room when it opened, the smaller of the day's and
    the whole, to the limit `limit`; `fresh`: the same with nothing won or lost. `basis`: how the loss is known."""

    idea: int
    trades: Ints
    loss: float
    left: float
    limit: str
    fresh: float
    basis: str

    @property
    def share(self) -> float:
        """Returns the smaller of the shares of both rooms: little room left does not make a small trade all-in."""
        return min(self.loss / max(self.left, 1.0), self.loss / self.fresh)


@dataclass(frozen=True)
class Told:
    """What is known of every idea and trade of a book. `units`: lots that compare over symbols, by idea. `fresh`: by
    account, NaN where no limit is told. The last three: ideas and trades of an account, trades of an idea."""

    book: Book
    ideas: Positions
    of_trade: Ints
    worth: Floats
    loss: Floats
    units: Floats
    fresh: Floats
    ideas_of: Groups
    trades_of: Groups
    legs_of: Groups


class AllIn(Pattern[AllInThresholds]):
    """Asks for the share of two rooms: what was left when the idea opened, and what a fresh account has."""

    name = "all_in"
    version = 2
    thresholds = AllInThresholds

    def find(self, book: Book) -> Judged:
        findings = [finding for limits, part in self.by_limits(book) for finding in self._of(part, limits)]
        unknown = int(np.sum(np.isnan(_fresh_room(book))))
        why = f"{unknown} accounts have no loss limit" if unknown else None
        return Judged(tuple(findings), why)

    def _of(self, book: Book, limits: AllInThresholds) -> list[Finding]:
        told = _told(book, limits)
        found: dict[int, list[Stake]] = {}
        for idea in _candidates(told, limits).tolist():
            stake = _stake(told, idea, limits)
            if stake is not None and _is_unusual(told, stake, limits):
                found.setdefault(int(told.ideas.account[idea]), []).append(stake)
        return [self._finding(told, limits, account, stakes) for account, stakes in sorted(found.items())]

    def _finding(self, told: Told, limits: AllInThresholds, account: int, stakes: list[Stake]) -> Finding:
        book = told.book
        worst = max(stakes, key=lambda stake: stake.share)
        mine = told.ideas_of.of(account)
        losses = [told.loss[told.legs_of.of(idea)].sum() for idea in mine.tolist()]
        usual = 100 * float(np.median(losses)) / worst.fresh
        share_left, share_fresh = 100 * worst.loss / max(worst.left, 1.0), 100 * worst.loss / worst.fresh
        trades = np.concatenate([stake.trades for stake in stakes])
        score = shown.rising(worst.share, limits.min_share_of_room_pct / 100, 1.0) + 0.05 * (len(stakes) - 1)
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(np.max(book.trades.opened[trades])),
            score=max(score, 0.5),
            sentence=_sentence(book, account, worst, len(stakes)),
            roles=[(account, "trader")],
            blamed=[account],
            trades=trades,
            evidence=[
                shown.figures(
                    (
                        "Amount at risk, share of the room left",
                        share_left,
                        limits.min_share_of_room_pct,
                        "at_least",
                        "%",
                    ),
                    (
                        "Amount at risk, share of the full limit",
                        share_fresh,
                        limits.min_share_of_room_pct,
                        "at_least",
                        "%",
                    ),
                ),
                _table(told, account, stakes),
                shown.trade_table("Trades in detail", book, trades),
            ],
            chance=_chance(len(mine), usual),
            ruled_out=(
                "The account's usual size: the trade is several times larger, or all trades are this large.",
                "A small trade with little room left: the share of the full limit is above the threshold too.",
                f"Size reduced at once: what was closed within {limits.reduce_seconds:g} seconds is not counted.",
                "A hedged position: opposite trades that were open for the same time are subtracted.",
            ),
            exculpatory=[
                Table(
                    title="Trades below the threshold",
                    columns=("Below the threshold", "All trades of the account"),
                    rows=((f"{len(mine) - len(stakes):,}", f"{len(mine):,}"),),
                )
            ],
        )


def _fresh_room(book: Book) -> Floats:
    """Returns the smaller of the daily and the whole limit of each account; NaN when none is told."""
    limits = [book.accounts.daily_loss_minor, book.accounts.max_loss_minor]
    known = [np.where(limit > 0, limit, np.nan) for limit in limits]
    return np.fmin(known[0], known[1]).astype(np.float64)


def _told(book: Book, limits: AllInThresholds) -> Told:
    found, of_trade = ideas(book.trades, round(limits.idea_minutes * MINUTE), while_open=True)
    worth = worth_of_move(book)
    loss, fresh = worst_losses(book, worth), _fresh_room(book)
    usual = usual_result(book)
    if book.quotes and len(book.trades):
        # without a stop the quotes tell, and they are only read where an ordinary move would cost much of the room
        expected = np.bincount(of_trade, weights=usual * book.trades.lots)[of_trade]
        large = expected >= limits.min_usual_result_pct / 100 * fresh[book.trades.account]
        rows = np.flatnonzero(without_stop(book) & large)
        loss[rows] = np.maximum(loss[rows], excursions(book, worth, rows))
    units = np.bincount(of_trade, weights=usual * book.trades.lots, minlength=len(found)).astype(np.float64)
    many = len(book.accounts)
    by_account = Groups(found.account, many), Groups(book.trades.account, many)
    return Told(book, found, of_trade, worth, loss, units, fresh, *by_account, Groups(of_trade, len(found)))


def _candidates(told: Told, limits: AllInThresholds) -> Ints:
    """Returns the ideas that could be over the line: their losses, or their gain without a stop, all together."""
    fresh = told.fresh[told.ideas.account]
    losses = np.bincount(told.of_trade, weights=told.loss, minlength=len(told.ideas))
    with np.errstate(invalid="ignore"):
        over = losses >= limits.min_share_of_room_pct / 100 * fresh
        over |= told.ideas.profit_minor >= limits.min_gain_pct / 100 * fresh
    return np.flatnonzero(over)


def _stake(told: Told, idea: int, limits: AllInThresholds) -> Stake | None:
    """Returns what an idea stood to lose once reduced and hedged; None when it is under the line."""
    book, account = told.book, int(told.ideas.account[idea])
    rows = _not_reduced(told, told.legs_of.of(idea), limits)
    bare = 1 - _hedged(told, rows, limits)
    loss, basis = _at_once(book, rows, told.loss) * bare, _TO_THE_STOP
    if without_stop(book)[rows].any():
        basis = _WHILE_OPEN
        gain = float(book.trades.profit_minor[rows].sum()) * bare
        if gain >= limits.min_gain_pct / 100 * told.fresh[account]:
            loss, basis = max(loss, gain), _WON
    stake = Stake(idea, rows, loss, *_room_left(told, idea), float(told.fresh[account]), basis)
    return stake if stake.share >= limits.min_share_of_room_pct / 100 else None


def _not_reduced(told: Told, rows: Ints, limits: AllInThresholds) -> Ints:
    """Returns the trades of an idea without what was closed at once while the rest stayed open."""
    trades = told.book.trades
    until = int(np.max(trades.opened[rows])) + round(limits.reduce_seconds * SECOND)
    stayed = rows[trades.closed[rows] > until]
    return stayed if len(stayed) else rows


def _at_once(book: Book, rows: Ints, loss: Floats) -> float:
    """Returns the most that those trades stood to lose which were open at one moment."""
    opened, closed = book.trades.opened[rows], book.trades.closed[rows]
    together = (opened[None, :] <= opened[:, None]) & (closed[None, :] > opened[:, None])
    return float(np.max(together @ loss[rows]))


def _hedged(told: Told, rows: Ints, limits: AllInThresholds) -> float:
    """Returns the share of an idea that opposite legs of the account cover nearly as long as it is open, in its symbol
    or one of its group."""
    book, trades = told.book, told.book.trades
    symbol, side = int(trades.symbol[rows[0]]), int(trades.side[rows[0]])
    group = int(book.symbols.group[symbol])
    related = np.flatnonzero(
        (book.symbols.group == group) if group >= 0 else (book.symbols.name == book.symbols.name[symbol])
    )
    start, end = int(np.min(trades.opened[rows])), int(np.max(trades.closed[rows]))
    others = told.trades_of.of(int(trades.account[rows[0]]))
    others = others[(trades.side[others] == -side) & np.isin(trades.symbol[others], related)]
    overlap = np.minimum(trades.closed[others], end) - np.maximum(trades.opened[others], start)
    others = others[overlap >= limits.min_hedged_time_pct / 100 * (end - start)]

    def value(of: Ints) -> float:
        return float(np.sum(trades.lots[of] * trades.open_price[of] * np.nan_to_num(told.worth[of], nan=1.0)))

    return min(value(others) / max(value(rows), 1e-12), 1.0)


def _is_unusual(told: Told, stake: Stake, limits: AllInThresholds) -> bool:
    """Whether the idea is several times what the account usually does, or the account always stakes so much."""
    account = int(told.ideas.account[stake.idea])
    mine = told.ideas_of.of(account)
    others = mine[mine != stake.idea]
    losses = np.array([told.loss[told.legs_of.of(idea)].sum() for idea in others.tolist()]) / stake.fresh
    known = losses[losses > 0]  # a winner without a stop does not tell what it stood to lose
    least = limits.min_share_without_usual_pct / 100
    if len(others) < limits.max_ideas_without_usual or not len(known) or np.median(known) >= least:
        return stake.share >= least
    usual, units = float(np.median(known)), float(np.median(told.units[others]))
    ordinary = known[known < limits.min_share_of_room_pct / 100]
    deviations = _deviations(stake.loss / stake.fresh, known, ordinary)
    if (
        stake.basis != _TO_THE_STOP and stake.share >= least
    ):  # losses without a stop differ by where they were cut, sizes by what was meant
        sizes = told.units[others]
        small = sizes[losses < limits.min_share_of_room_pct / 100]
        deviations = max(deviations, _deviations(float(told.units[stake.idea]), sizes, small))
    times = min(stake.loss / stake.fresh / usual, told.units[stake.idea] / units)
    large = float(np.quantile(ordinary, _LARGE)) if len(ordinary) else usual
    apart = stake.loss / stake.fresh >= limits.min_times_large * large
    # entries minutes apart are as many decisions, and a few of usual size together are larger than the usual one
    opened = np.sort(told.book.trades.opened[stake.trades])
    decisions = 1 + int(np.sum(np.diff(opened) > limits.leg_seconds * SECOND))
    several = float(np.sqrt(min(decisions, _MOST_DECISIONS)))
    planned = stake.basis == _TO_THE_STOP  # a loss without a stop may have come as a surprise
    if planned and stake.share >= least and times >= limits.min_times_usual_of_most * several:
        return bool(deviations >= limits.min_deviations_of_most)
    return bool(apart and times >= limits.min_times_usual * several and deviations >= limits.min_deviations)


def _deviations(value: float, others: Floats, ordinary: Floats) -> float:
    """Returns how many standard deviations of logarithms `value` is above the median of the others. The spread is that
    of the ordinary ones, and no less than that of all as their median distance tells it."""
    others, ordinary = others[others > 0], ordinary[ordinary > 0]
    usual = float(np.median(others))
    spread = 1.48 * float(np.median(np.abs(np.log(others / usual))))
    if len(ordinary) > 1:
        spread = max(spread, float(np.std(np.log(ordinary), ddof=1)))
    return float(np.log(value / usual)) / max(spread, _LEAST_SPREAD)


def _room_left(told: Told, idea: int) -> tuple[float, str]:
    """Returns the room when the idea opened, by what was closed until then, and the limit that it is to; the whole room
    is counted from the size."""
    book, account, opened = told.book, int(told.ideas.account[idea]), int(told.ideas.opened[idea])
    mine = told.trades_of.of(account)
    closed = mine[book.trades.closed[mine] <= opened]
    moments = np.append(book.trades.closed[closed], opened)
    days = local_days(book.accounts, np.full(len(moments), account), moments)
    results = book.trades.profit_minor[closed]
    daily, whole = int(book.accounts.daily_loss_minor[account]), int(book.accounts.max_loss_minor[account])
    left = [(daily + float(results[days[:-1] == days[-1]].sum()), "daily loss limit")] if daily > 0 else []
    left += [(whole + float(results.sum()), "maximum loss limit")] if whole > 0 else []
    return min(left)


def _cells(told: Told, account: int, stakes: list[Stake]) -> Iterator[tuple[str, ...]]:
    book = told.book
    for stake in stakes[: shown.MOST_ROWS]:
        yield (
            shown.when(int(told.ideas.opened[stake.idea])),
            book.listed(int(told.ideas.first[stake.idea])),
            shown.side_word(int(told.ideas.side[stake.idea])),
            f"{book.trades.lots[stake.trades].sum():g}",
            shown.amount(book, account, stake.loss),
            stake.basis,
            shown.amount(book, account, stake.left),
            f"{100 * stake.loss / max(stake.left, 1.0):.0f} %",
            shown.amount(book, account, stake.fresh),
            f"{100 * stake.loss / stake.fresh:.0f} %",
            "open"
            if told.ideas.closed[stake.idea] == NEVER
            else shown.amount(book, account, float(told.ideas.profit_minor[stake.idea])),
        )


def _table(told: Told, account: int, stakes: list[Stake]) -> Table:
    columns = (
        "Opened, UTC",
        "Symbol",
        "Side",
        "Lots",
        "Amount at risk",
        "Measured by",
        "Room left to the limit",
        "Share of the room left",
        "Full loss limit",
        "Share of the full limit",
        "Net profit",
    )
    title = "Trades compared with the room to the limit"
    return Table(type="stakes", title=title, columns=columns, rows=tuple(_cells(told, account, stakes)))


def _sentence(book: Book, account: int, worst: Stake, count: int) -> str:
    symbol, legs = book.listed(int(worst.trades[0])), len(worst.trades)
    trade = f"one {symbol} trade" if legs == 1 else f"{legs} {symbol} trades opened together"
    risked = shown.amount(book, account, worst.loss)
    if worst.basis == _WON:
        did = f"Won {risked} on {trade} without a stop loss"
    elif worst.basis == _WHILE_OPEN:
        did = f"Lost or was down {risked} on {trade} without a stop loss"
    else:
        did = f"Risked {risked} on {trade}"
    share, left = 100 * worst.loss / max(worst.left, 1.0), shown.amount(book, account, max(worst.left, 0.0))
    room = f": {share:.0f} % of the {left} left" if share <= _MOST_SHOWN_PCT else f" with {left} left"
    more = f" The account made {count} such trades." if count > 1 else ""
    return f"{did}{room} to the {worst.limit}.{more}"


def _chance(count: int, usual_pct: float) -> str:
    if count == 1:
        return "The account made no other trade to compare with."
    return f"The median of the account's {count:,} trades put {usual_pct:.0f} % of the full loss limit at risk."
