"""Day padding: token trades on days that are only needed to reach the minimum of trading days."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Final, Literal

import numpy as np
from pydantic import Field

from domain.surveillance.base import Thresholds
from domain.surveillance.evidence import Figures, Table
from domain.surveillance.findings import Finding
from surveillance.book import DAY, NEVER, SECOND, Book, Flags, Floats, Indexes, Ints
from surveillance.measures import shown
from surveillance.measures.groups import Groups
from surveillance.measures.local_time import local_days
from surveillance.measures.worth import usual_result
from surveillance.pattern import Judged, Pattern
from surveillance.positions import Positions, ideas

_TINY: Final = 0.3  # of the largest token


class DayPaddingThresholds(Thresholds):
    """No firm states what is too small beside the account's own trades; a tenth is a start, of the lots as well as of
    what they usually bring, which tells little from symbol to symbol. Apex forbids flipping: opening and closing at
    once. `min_token_days_pct`: of the days that were still needed; before the target, of all
    days up to the minimum. `min_target_pct`: what counts as reached, as tokens may follow just below the target.
    `max_token_result_pct`: the usual result of a token, of the size of the account, before the target: ordinary trades
    beside a few huge ones are no tokens. 0 for `max_token_size_pct` allows token days."""

    near_line: ClassVar[Mapping[str, float]] = {"min_token_days_pct": 0.85, "min_token_days_before_target_pct": 0.85}

    idea_seconds: int = Field(default=60, ge=0)
    max_token_size_pct: float = Field(default=10, ge=0, lt=100)
    flip_seconds: float = Field(default=60, ge=0)
    min_token_days: int = Field(default=2, ge=1)
    min_token_days_pct: float = Field(default=50, gt=0, le=100)
    min_token_days_before_target_pct: float = Field(default=40, gt=0, le=100)
    min_target_pct: float = Field(default=90, gt=0)
    min_real_days_before_target: int = Field(default=3, ge=1)
    max_token_result_pct: float = Field(default=0.05, gt=0)
    min_gap_ratio: float = Field(default=3, ge=1)


@dataclass(frozen=True)
class Ideas:
    """The ideas of one account in the order of opening. `day`: of the opening, in the account's zone. `size`: lots that
    compare over symbols. `lasted`: microseconds."""

    rows: Ints
    day: Ints
    symbol: Indexes
    lots: Floats
    size: Floats
    lasted: Ints
    profit: Ints


@dataclass(frozen=True)
class Padding:
    """`days`: the token days. `tokens`: the ideas of these days, as flags. `flips`: how many of these are tokens only
    because they were closed at once. `usual`: the usual size; `largest`: that of the tokens that are no flips, 0
    without any; `most_pct`: what was asked of it, percent. `needed`: days that were still needed. `target_day`:
    when the target was reached; None when it was not yet."""

    days: Ints
    tokens: Flags
    flips: int
    usual: float
    largest: float
    most_pct: float
    needed: int
    target_day: int | None


class DayPadding(Pattern[DayPaddingThresholds]):
    """Two ways to be found: token days after the target until the minimum; and before it, token days among the days up
    to the minimum that stand clearly apart from the others. Days before the first real one test the platform."""

    name = "day_padding"
    version = 2
    thresholds = DayPaddingThresholds

    def find(self, book: Book) -> Judged:
        findings = [finding for limits, part in self.by_limits(book) for finding in self._of(part, limits)]
        unknown = int(np.sum(book.accounts.min_days < 0))
        return Judged(tuple(findings), f"{unknown} accounts have no minimum of trading days" if unknown else None)

    def _of(self, book: Book, limits: DayPaddingThresholds) -> list[Finding]:
        found, of_trade = ideas(book.trades, limits.idea_seconds * SECOND, while_open=True)
        days = local_days(book.accounts, found.account, found.opened)
        size = np.bincount(of_trade, weights=usual_result(book) * book.trades.lots, minlength=len(found))
        lasted = np.where(found.closed == NEVER, NEVER, found.closed - found.opened)
        ideas_of = Groups(found.account, len(book.accounts))
        legs: Groups | None = None
        findings = []
        for account in _candidates(book, found, days, size.astype(np.float64), lasted, limits).tolist():
            rows = ideas_of.of(account)
            told = days[rows], found.symbol[rows], found.lots[rows], size[rows].astype(np.float64)
            mine = Ideas(rows, *told, lasted[rows], found.profit_minor[rows])
            target_day = _target_day(book, account, mine, found.closed[rows], limits)
            minimum = int(book.accounts.min_days[account])
            if target_day is None:
                most = limits.max_token_result_pct / 100 * float(book.accounts.size_minor[account])
                padding = _before_target(mine, minimum, most, limits)
            else:
                padding = _after_target(mine, minimum, target_day, limits)
            if padding is not None:
                legs = legs or Groups(of_trade, len(found))
                findings.append(self._finding(book, limits, account, mine, padding, legs))
        return findings

    def _finding(
        self,
        book: Book,
        limits: DayPaddingThresholds,
        account: int,
        mine: Ideas,
        padding: Padding,
        legs: Groups,
    ) -> Finding:
        trades = legs.of_all(mine.rows[padding.tokens])
        share = 100 * padding.largest / padding.usual
        minimum, count = int(book.accounts.min_days[account]), len(padding.days)
        reached = padding.target_day is not None
        asked = limits.min_token_days_pct if reached else limits.min_token_days_before_target_pct
        when = "Before reaching the profit target"
        if reached:
            when = f"After reaching the profit target on {_date(padding.target_day)}"
        how = f"very small trades only: at most {max(share, 0.1):.1f} % of the account's usual size"
        if padding.flips:
            how = (
                f"very small or very short trades only: {padding.flips} closed within {limits.flip_seconds:g} seconds "
                "near break-even"
            )
        score = (
            (0.0 if padding.flips else shown.rising(share, padding.most_pct, 0.0))
            + shown.rising(100 * count / padding.needed, asked, 100.0)
            + (1.0 if reached else 0.5)
        ) / 3
        return self.finding(
            book,
            str(book.accounts.id[account]),
            limits=limits,
            at=int(np.max(book.trades.opened[trades])),
            score=max(score, 0.5),
            sentence=(
                f"{when}, {count} of the {padding.needed} days that count towards the minimum of {minimum} trading "
                f"days had {how}."
            ),
            roles=[(account, "trader")],
            blamed=[account],
            trades=trades,
            evidence=[
                _figures(padding, limits, share, asked),
                _days_table(book, account, mine, padding),
                shown.trade_table("Trades on these days", book, trades),
            ],
            chance=_chance(padding, share) + f"Days are counted in the time zone {_zone(book, account)}.",
            ruled_out=(
                "A cautious trader near the target: such a trader trades smaller, but not a tenth of the usual size.",
                "Extra trading days: only days that count towards the minimum are included.",
                "A test of the platform: days before the first day of normal trading are not counted.",
            ),
        )


def _figures(padding: Padding, limits: DayPaddingThresholds, share: float, asked: float) -> Figures:
    """`share`: the largest token over the usual size, `asked`: the least share of token days, both percent."""
    count = len(padding.days)
    rows: list[tuple[str, float, float, Literal["at_least", "at_most"], str]] = [
        ("Days with very small trades only", count, limits.min_token_days, "at_least", ""),
        ("Share of the days that count towards the minimum", 100 * count / padding.needed, asked, "at_least", "%"),
    ]
    if padding.largest:
        rows.append(("Largest of these trades, share of the usual size", share, padding.most_pct, "at_most", "%"))
    if padding.flips:
        rows.append(("Trades closed at once near break-even", padding.flips, 1, "at_least", ""))
    return shown.figures(*rows)


def _chance(padding: Padding, share: float) -> str:
    if not padding.largest:
        return ""
    usual = "the usual trade" if padding.target_day is not None else "the largest trade of a usual day"
    return f"On other days of the account, {usual} is {100 / max(share, 0.01):,.0f} times the largest of these trades. "


def _candidates(
    book: Book, found: Positions, days: Ints, size: Floats, lasted: Ints, limits: DayPaddingThresholds
) -> Ints:
    """Returns the accounts with enough days whose largest idea is a token beside the largest of all, or brief."""
    many = len(book.accounts)
    largest = np.zeros(many)
    np.maximum.at(largest, found.account, size)
    small = size < limits.max_token_size_pct / 100 * largest[found.account]
    small |= lasted <= limits.flip_seconds * SECOND
    order = np.lexsort((days, found.account))
    account, day = found.account[order], days[order]
    begins = np.ones(len(order), dtype=bool)
    begins[1:] = (np.diff(account) != 0) | (np.diff(day) != 0)
    starts = np.flatnonzero(begins)
    if not len(starts):
        return starts
    token_day = np.logical_and.reduceat(small[order], starts)
    tokens = np.bincount(account[starts][token_day], minlength=many)
    return np.flatnonzero((tokens >= limits.min_token_days) & (book.accounts.min_days > 0))


def _target_day(book: Book, account: int, mine: Ideas, closed: Ints, limits: DayPaddingThresholds) -> int | None:
    """Returns the day on which what was closed reached the target; None when it was not reached or is not told."""
    target = int(book.accounts.target_minor[account]) * limits.min_target_pct / 100
    done = np.flatnonzero(closed != NEVER)
    if target <= 0 or not len(done):
        return None
    order = done[np.argsort(closed[done], kind="stable")]
    over = np.flatnonzero(np.cumsum(mine.profit[order]) >= target)
    if not len(over):
        return None
    moment = closed[order[over[0]]][None]
    return int(local_days(book.accounts, np.array([account]), moment)[0])


def _few_lots(mine: Ideas, usual: Flags, limits: DayPaddingThresholds) -> Flags:
    """Returns which ideas have a token's lots beside the usual ones of their symbol, or of all where it is no usual
    one."""
    most = np.full(len(mine.lots), np.median(mine.lots[usual]))
    for symbol in np.unique(mine.symbol[usual]).tolist():
        of_symbol = mine.symbol == symbol
        most[of_symbol] = np.median(mine.lots[usual & of_symbol])
    return np.asarray(mine.lots < limits.max_token_size_pct / 100 * most)


def _tokens(mine: Ideas, usual: Flags, limits: DayPaddingThresholds) -> tuple[Flags, Flags, float]:
    """Returns (which ideas are small beside the usual ones, which of the others are flips, the usual size)."""
    size = float(np.median(mine.size[usual]))
    flips = mine.lasted <= limits.flip_seconds * SECOND
    for values in (mine.lasted.astype(np.float64), np.abs(mine.profit).astype(np.float64)):
        flips &= values < limits.max_token_size_pct / 100 * np.median(values[usual])
    small = (mine.size < limits.max_token_size_pct / 100 * size) & _few_lots(mine, usual, limits)
    return small, flips & ~small, size


def _token_days(mine: Ideas, tokens: Flags) -> Ints:
    return np.setdiff1d(mine.day[tokens], mine.day[~tokens])


def _after_target(mine: Ideas, minimum: int, target_day: int, limits: DayPaddingThresholds) -> Padding | None:
    """Returns the token days between the target and the minimum; what the account did until then is its usual."""
    days = np.unique(mine.day)
    needed = minimum - int(np.sum(days <= target_day))
    usual = mine.day <= target_day
    if needed < 1 or not usual.any():
        return None
    small, flips, size = _tokens(mine, usual, limits)
    until = days[days > target_day][:needed]
    token_days = np.intersect1d(_token_days(mine, small | flips), until)
    if len(token_days) < limits.min_token_days or 100 * len(token_days) < limits.min_token_days_pct * len(until):
        return None
    flags = np.isin(mine.day, token_days)
    largest, most = float(np.max(mine.size[flags & small], initial=0.0)), limits.max_token_size_pct
    return Padding(token_days, flags, int(np.sum(flags & flips)), size, largest, most, len(until), target_day)


def _before_target(mine: Ideas, minimum: int, most: float, limits: DayPaddingThresholds) -> Padding | None:
    """Returns the token days among the days up to the minimum, when they stand apart from the real ones. `most`: the
    largest token, as the usual result of its lots."""
    days, which = np.unique(mine.day, return_inverse=True)
    largest = np.zeros(len(days))
    np.maximum.at(largest, which, mine.size)
    ordered = np.sort(largest)
    for count in range(len(days) - 1, limits.min_token_days - 1, -1):
        rest = ordered[count:]
        # a few large days do not make tokens of the others, unless these are tiny
        few = len(rest) < limits.min_real_days_before_target
        if few and count <= len(rest):
            continue
        share = limits.max_token_size_pct * (_TINY if few else 1.0)
        if ordered[count - 1] >= share / 100 * np.median(rest) or ordered[count - 1] > most:
            continue
        if ordered[count] < limits.min_gap_ratio * ordered[count - 1] or len(rest) >= minimum:
            continue
        token = largest <= ordered[count - 1]
        few_lots = _few_lots(mine, ~token[which], limits)
        needed = days[:minimum]
        token_days = np.intersect1d(days[token & (days > days[~token][0])], needed)
        token_days = np.setdiff1d(token_days, mine.day[~few_lots])
        if len(token_days) < limits.min_token_days or (
            100 * len(token_days) < limits.min_token_days_before_target_pct * len(needed)
        ):
            continue
        flags = np.isin(mine.day, token_days)
        most_size = float(np.max(mine.size[flags]))
        return Padding(token_days, flags, 0, float(np.median(rest)), most_size, share, len(needed), None)
    return None


def _date(day: int | None) -> str:
    return shown.when((day or 0) * DAY)[:10]


def _zone(book: Book, account: int) -> str:
    return book.accounts.zones[book.accounts.zone[account]] or "UTC"


def _days_table(book: Book, account: int, mine: Ideas, padding: Padding) -> Table:
    rows = []
    for number, day in enumerate(np.unique(mine.day).tolist()[: shown.MOST_ROWS], start=1):
        of_day = mine.day == day
        rows.append(
            (
                str(number),
                _date(day),
                str(int(np.sum(of_day))),
                f"{100 * np.max(mine.size[of_day]) / padding.usual:.1f} %",
                shown.amount(book, account, float(mine.profit[of_day].sum())),
                "very small only" if day in padding.days else "",
            )
        )
    return Table(
        type="trading_days",
        title="Trading days",
        columns=("Day", "Date", "Trades", "Largest, share of the usual size", "Net profit", "Trades of the day"),
        rows=tuple(rows),
    )
