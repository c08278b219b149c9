"""Two accounts whose openings belong together: at which lag, how steadily, with which sizes and closes.

The same measures serve copying (same side) and hedging (opposite side). Each pair has a `subject`, whose openings are
looked at, and a `partner`, whose openings come before or beside them. Lags are positive when the subject is later.
"""

from dataclasses import dataclass
from math import log, nan
from typing import Final, Literal

import numpy as np
from numba import njit

from surveillance.book import NEVER, REASONS, SECOND, Book, Flags, Floats, Indexes, Ints
from surveillance.candidates import Openings, Partners, openings, partners, spans
from surveillance.chance.intensity import Intensity
from surveillance.chance.tails import poisson_binomial_tail
from surveillance.positions import Positions, ideas

# Half widths of the lag windows that are tried, from a copier in software to one by hand with a delay of its own.
HALVES: Final = tuple(round(seconds * SECOND) for seconds in (0.25, 1, 3, 10, 30, 90, 150))
_LEVELS: Final = tuple(REASONS.index(name) for name in ("stop", "target", "stop_out"))
_CLOSE_TOLERANCES: Final = tuple(seconds * SECOND for seconds in (2, 5, 15, 45, 120, 300))
_SAME_SIZE: Final = 0.02  # below this spread of its logarithm a size is the same every time
_MOST_SHIFTS: Final = 20  # times that holding times are given to other matches
_SIDES: Final[tuple[Literal["left", "right"], ...]] = ("left", "right")
_MOST_COMPARED: Final = 200  # matches that are compared each with each
_MOST_BY_CHANCE: Final = 0.8  # from this share of closes that go together by chance on, closes tell nothing


@dataclass(frozen=True)
class Field:
    """What the pairs of a book are taken from. `intensity`, `crowd`: of the whole firm; `crowd`: the account of each of
    its ideas. `clock`: by account, how far its venue's clock is ahead."""

    book: Book
    ideas: Positions
    openings: Openings
    intensity: Intensity
    crowd: Indexes
    opened: Ints
    closed: Ints
    by_level: Flags
    trade_order: Ints
    of_trade_order: Ints

    @classmethod
    def of(cls, book: Book, split: int, symbol: Indexes | None = None) -> "Field":
        """`split`: microseconds within which openings are one idea. `symbol`: by symbol, the row to compare instead."""
        found, of_trade = ideas(book.trades, split)
        clock = np.zeros(len(found), dtype=np.int64)
        if book.clock_offset is not None and len(found):
            clock = book.clock_offset[found.account]
        found = Positions(**{**vars(found), "opened": found.opened - clock})
        compared = openings(found, None if symbol is None else symbol[found.symbol])
        chosen = np.ones(len(found), dtype=bool)
        by_level = np.isin(book.trades.reason, _LEVELS) | _at_level(book)
        np.logical_and.at(chosen, of_trade, by_level)
        closed = np.where(found.closed == NEVER, NEVER, found.closed - clock)
        order = np.argsort(of_trade, kind="stable")
        intensity, busy = Intensity(compared, len(book.accounts)), found.account
        if book.whole is not None:  # chance is a matter of the whole firm
            firm = book.whole.once(
                ("field", split, None if symbol is None else symbol.tobytes()),
                lambda: _of_firm(book.firm, split, symbol),
            )
            intensity, busy = firm[0].seen_from(compared, len(book.accounts)), firm[1]
        return cls(book, found, compared, intensity, busy, found.opened, closed, chosen, order, of_trade[order])

    def trades_of(self, idea_rows: Ints) -> Ints:
        """Returns the rows of the trades of these ideas, in the order of opening."""
        chosen = np.unique(idea_rows)
        begins, ends = (np.searchsorted(self.of_trade_order, chosen, side=each) for each in _SIDES)
        parts = [self.trade_order[begin:end] for begin, end in zip(begins.tolist(), ends.tolist(), strict=True)]
        return np.sort(np.concatenate(parts)) if parts else self.trade_order[:0]


@dataclass(frozen=True)
class Matched:
    """The openings of a pair that belong together, the partner's nearest to the lag, each used once.

    `mine`, `theirs`: rows of the ideas of subject and partner. `centre`, `half`: the lag window, in microseconds.
    `openings`, `their_openings`: how many ideas the two have in all while both were trading.
    """

    subject: int
    partner: int
    mine: Ints
    theirs: Ints
    centre: int
    half: int
    openings: int
    their_openings: int

    def __len__(self) -> int:
        return len(self.mine)

    @property
    def share(self) -> float:
        return len(self) / max(self.openings, 1)

    @property
    def their_share(self) -> float:
        return len(self) / max(self.their_openings, 1)


@dataclass(frozen=True)
class Marks:
    """How a pair belongs together beyond the openings. Shares are 0..1; NaN: cannot be said.

    `lag`, `lag_spread`: median and mean absolute distance from it, seconds. `ratio`, `ratio_spread`: the subject's size
    over the partner's and the typical deviation of its logarithm; `ratio_steady`: 1 when sizes follow, 0 when no better
    than sizes of other matches. `closes`: share of matches whose closes lie at one lag, `closes_by_chance`: the same
    with the holding times of other matches. `compared_closes`: matches that were held long enough to compare.
    """

    lag: float
    lag_spread: float
    ratio: float
    ratio_spread: float
    ratio_steady: float
    closes: float
    closes_by_chance: float
    compared_closes: int

    @property
    def steadiness(self) -> float:
        """Returns 1 up to a spread of the lags of a second, 0 from a minute on."""
        return min(max(1 - log(max(self.lag_spread, 1.0)) / log(60), 0.0), 1.0)

    @property
    def closes_tell(self) -> bool:
        """Whether closes that go together would differ from chance: trades that all last as long do anyway."""
        return self.compared_closes > 0 and self.closes_by_chance <= _MOST_BY_CHANCE

    @property
    def closes_follow(self) -> float:
        """Returns 0..1: how much more the closes go together than by chance; 0 if unknown, less where few tell it."""
        if not self.closes_tell:
            return 0.0
        follow = max(self.closes - self.closes_by_chance, 0.0) / (1 - self.closes_by_chance)
        return follow * (1 - 1 / self.compared_closes)


NO_MARKS: Final = Marks(nan, nan, nan, nan, nan, nan, nan, 0)  # of a pair that nobody looked at closely


def candidates(
    field: Field, before: int, after: int, *, opposite: bool, min_matches: int, min_share: float, min_surprise: float
) -> list[Matched]:
    """Returns the pairs of accounts whose matches crowd at one lag and whose clocks can be compared. `min_surprise`:
    how much more they do than at other lags, as minus the natural logarithm of a chance."""
    near = spans(field.openings, before, after, opposite=opposite)
    found = partners(field.openings, len(field.book.accounts), near, min_matches=min_matches, min_share=min_share)
    if (group := field.book.clock_group) is not None:
        found = found.rows(group[found.subject] == group[found.partner])
    crowded = _crowded(field, found, before, after, opposite=opposite)
    result = []
    for row in np.flatnonzero((crowded[:, 0] >= min_matches) & (crowded[:, 3] >= min_surprise)).tolist():
        centre, half = int(crowded[row, 1]), int(crowded[row, 2])
        pair = matched(field, int(found.subject[row]), int(found.partner[row]), centre, half, opposite=opposite)
        if len(pair) >= min_matches and pair.share >= min_share:
            result.append(pair)
    return result


def matched(field: Field, subject: int, partner: int, centre: int, half: int, *, opposite: bool) -> Matched:
    """Returns the openings of a pair that lie within the lag window."""
    mine, theirs = field.intensity.rows_of(subject), field.intensity.rows_of(partner)
    found = field.openings
    used = _match(found.symbol, found.side, found.opened, mine, theirs, centre, half, opposite)
    kept = used >= 0
    return Matched(
        subject=subject,
        partner=partner,
        mine=found.row[mine[kept]].astype(np.int64),
        theirs=found.row[theirs[used[kept]]].astype(np.int64),
        centre=centre,
        half=half,
        openings=_while_active(field, mine, theirs),
        their_openings=_while_active(field, theirs, mine),
    )


def marks(field: Field, pair: Matched, *, levels: bool) -> Marks:
    """Returns how the matches of a pair go together. `levels`: compare closes at stops and targets, too. Two on
    the same side with the same levels close together whoever they are; two on opposite sides do not."""
    found = field.ideas
    lags = (field.opened[pair.mine] - field.opened[pair.theirs]) / SECOND
    lag = float(np.median(lags))
    ratios = np.log(found.lots[pair.mine]) - np.log(found.lots[pair.theirs])
    spread = _spread(ratios)
    closes, closes_by_chance, compared = _closes(field, pair, levels=levels)
    return Marks(
        lag=lag,
        lag_spread=float(np.abs(lags - lag).mean()),
        ratio=float(np.exp(np.median(ratios))),
        ratio_spread=spread,
        ratio_steady=_steady(field, pair, spread),
        closes=closes,
        closes_by_chance=closes_by_chance,
        compared_closes=compared,
    )


def chance_of(
    field: Field, pair: Matched, told: Marks, suspects: Indexes, *, reach: int, opposite: bool
) -> tuple[float, float]:
    """Returns (expected matches, p-value) of a pair. The p-value counts the lag windows that were tried in `reach`: a
    window that slides to where most matches are is as good as one try per match at each place. Closes that go together
    are a second test, which the first knows nothing of."""
    mine, theirs = field.intensity.rows_of(pair.subject), field.intensity.rows_of(pair.partner)
    out = np.union1d(suspects, [pair.subject, pair.partner]).astype(np.int32)
    chances = field.intensity.chances(mine, theirs, pair.centre, pair.half, opposite=opposite, suspects=out)
    tried = len(HALVES) * max(reach / (2 * pair.half), 1.0) * len(pair)
    of_openings = min(poisson_binomial_tail(chances, len(pair)) * tried, 1.0)
    count = told.compared_closes
    if count < 2 or of_openings == 0:
        return float(chances.sum()), of_openings
    by_chance = (told.closes_by_chance * count + 1) / (count + 2)
    of_closes = poisson_binomial_tail(np.full(count, by_chance), round(told.closes * count))
    both = of_openings * min(of_closes * len(_CLOSE_TOLERANCES), 1.0)
    return float(chances.sum()), min(2 * min(of_openings, both * (1 - log(both)) if both else 0.0), 1.0)


def _of_firm(firm: Book, split: int, symbol: Indexes | None) -> tuple[Intensity, Indexes]:
    field = Field.of(firm, split, symbol)
    return field.intensity, field.crowd


def _at_level(book: Book) -> Flags:
    """A venue that tells no reason still shows a close at the stop or the target."""
    trades, near = book.trades, book.symbols.point[book.trades.symbol] * 1.5
    untold = trades.reason == 0
    at_stop = np.abs(trades.close_price - trades.stop) <= near
    return np.asarray(untold & (at_stop | (np.abs(trades.close_price - trades.target) <= near)))


def _while_active(field: Field, mine: Ints, theirs: Ints) -> int:
    """The openings of the one while the other traded, a day more at each end: what came before says nothing."""
    opened, other = field.openings.opened[mine], field.openings.opened[theirs]
    day = 86_400 * SECOND
    return int(((opened >= other.min() - day) & (opened <= other.max() + day)).sum()) if len(theirs) else 0


def _spread(values: Floats) -> float:
    """The median distance from the median: one odd match in three changes little."""
    return float(np.median(np.abs(values - np.median(values)))) if len(values) else nan


def _steady(field: Field, pair: Matched, spread: float) -> float:
    """Compares the spread of the sizes' ratio with that of other matches in the same symbol: many size by the symbol.
    Few matches tell little, so their steadiness counts less."""
    found, size = field.ideas, min(len(pair), _MOST_COMPARED)
    mine, theirs = np.log(found.lots[pair.mine[:size]]), np.log(found.lots[pair.theirs[:size]])
    symbol = found.symbol[pair.mine[:size]]
    other = (symbol[:, None] == symbol[None, :]) & ~np.eye(size, dtype=bool)
    apart = (mine[:, None] - theirs[None, :])[other]
    if len(apart) < 6:
        return float("nan")
    by_chance = _spread(np.asarray(apart))
    return max(1.0 - spread / by_chance, 0.0) * (1 - 2 / size) if by_chance > _SAME_SIZE else float("nan")


def _closes(field: Field, pair: Matched, *, levels: bool) -> tuple[float, float, int]:
    """Returns what the fields `closes` to `compared_closes` say, at the tolerance at which closes differ most from
    chance. Brief trades close together however they are closed, so only what was held longer than it counts. Chance
    is what comes of it when the holding times belong to other matches."""
    opened, mine, theirs = field.opened, pair.mine, pair.theirs
    told = (field.closed[mine] != NEVER) & (field.closed[theirs] != NEVER)
    if not levels:
        told &= ~(field.by_level[mine] & field.by_level[theirs])
    best, most = (nan, nan, 0), 0.0
    for tolerance in _CLOSE_TOLERANCES:
        long = told & (np.minimum(field.closed[mine] - opened[mine], field.closed[theirs] - opened[theirs]) > tolerance)
        if long.sum() < max(0.3 * len(pair), 2):
            break
        own, model = mine[long][:_MOST_COMPARED], theirs[long][:_MOST_COMPARED]
        held = field.closed[own] - opened[own]
        together, by_chance = _together(opened[own], held, field.closed[model], tolerance, _MOST_SHIFTS)
        if not best[2] or together - by_chance > most:
            best, most = (float(together), float(by_chance), len(own)), together - by_chance
    return best


def _crowded(field: Field, found: Partners, before: int, after: int, *, opposite: bool) -> Floats:
    """Per pair: matches, centre and half width of the lag window in which they crowd most, and the surprise."""
    out = np.zeros((len(found), 4), dtype=np.float64)
    order = np.argsort(field.openings.account, kind="stable")
    begins = np.searchsorted(field.openings.account[order], np.arange(len(field.book.accounts) + 1))
    columns = (field.openings.symbol, field.openings.side, field.openings.opened)
    halves = np.array(HALVES, dtype=np.int64)
    _crowd(*columns, order, begins, found.subject, found.partner, before, after, opposite, halves, out)
    return out


@njit(cache=True, nogil=True)
def _together(opened, held, model, tolerance, most_shifts):  # type: ignore[no-untyped-def]
    """Returns (share of the closes in the window of 2 x `tolerance` that holds most, the same when the holding times
    belong to other matches)."""
    size = len(opened)
    share, by_chance, shifts = 0.0, 0.0, min(size - 1, most_shifts)
    lags = np.empty(size, dtype=np.int64)
    for shift in range(shifts + 1):
        for row in range(size):
            lags[row] = opened[row] + held[(row - shift) % size] - model[row]
        rising = np.sort(lags)
        low = best = 0
        for high in range(size):
            while rising[high] - rising[low] > 2 * tolerance:
                low += 1
            best = max(best, high - low + 1)
        if shift == 0:
            share = best / size
        else:
            by_chance += best / size / shifts
    return share, by_chance


@njit(cache=True, nogil=True)
def _first_at(symbol, side, opened, rows, wanted_symbol, wanted_side, at):  # type: ignore[no-untyped-def]
    """Returns the place in `rows` of the first opening of this symbol and side that is not before `at`."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        row = rows[middle]
        if symbol[row] != wanted_symbol:
            less = symbol[row] < wanted_symbol
        elif side[row] != wanted_side:
            less = side[row] < wanted_side
        else:
            less = opened[row] < at
        if less:
            low = middle + 1
        else:
            high = middle
    return low


@njit(cache=True, nogil=True)
def _lags(symbol, side, opened, mine, theirs, before, after, opposite):  # type: ignore[no-untyped-def]
    lags = []
    for row in mine:
        wanted = -side[row] if opposite else side[row]
        place = _first_at(symbol, side, opened, theirs, symbol[row], wanted, opened[row] - before)
        while place < len(theirs):
            other = theirs[place]
            if symbol[other] != symbol[row] or side[other] != wanted or opened[other] > opened[row] + after:
                break
            lags.append(opened[row] - opened[other])
            place += 1
    return np.sort(np.array(lags, dtype=np.int64))


@njit(cache=True, nogil=True)
def _crowd(symbol, side, opened, order, begins, subject, partner, before, after, opposite, halves, out):  # type: ignore[no-untyped-def]
    reach = before + after
    for pair in range(len(subject)):
        mine = order[begins[subject[pair]] : begins[subject[pair] + 1]]
        theirs = order[begins[partner[pair]] : begins[partner[pair] + 1]]
        lags = _lags(symbol, side, opened, mine, theirs, before, after, opposite)
        for half in halves:
            low = best = best_at = 0
            for high in range(len(lags)):
                while lags[high] - lags[low] > 2 * half:
                    low += 1
                if high - low + 1 > best:
                    best, best_at = high - low + 1, low
            if best < 2:
                continue
            width = min(2.0 * half / reach, 1.0)
            expected = (len(lags) - best + 1.0) * width
            surprise = best * np.log(best / expected) - (best - expected) + np.log(width)
            if best > expected and surprise > out[pair, 3]:
                out[pair, 0], out[pair, 2], out[pair, 3] = best, half, surprise
                out[pair, 1] = (lags[best_at] + lags[best_at + best - 1]) // 2


@njit(cache=True, nogil=True)
def _match(symbol, side, opened, mine, theirs, centre, half, opposite):  # type: ignore[no-untyped-def]
    """Returns for each row of `mine` the place in `theirs` of its match, -1 when it has none."""
    result = np.full(len(mine), -1, dtype=np.int64)
    taken = np.zeros(len(theirs), dtype=np.bool_)
    for index in range(len(mine)):
        row = mine[index]
        wanted = -side[row] if opposite else side[row]
        place = _first_at(symbol, side, opened, theirs, symbol[row], wanted, opened[row] - centre - half)
        nearest = half + 1
        while place < len(theirs):
            other = theirs[place]
            distance = opened[row] - opened[other] - centre
            if symbol[other] != symbol[row] or side[other] != wanted or distance < -half:
                break
            if abs(distance) < nearest and not taken[place]:
                nearest = abs(distance)
                result[index] = place
            place += 1
        if result[index] >= 0:
            taken[result[index]] = True
    return result
