"""What findings about pairs of accounts show: figures with their thresholds, matches, chance, in words."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from math import isnan
from typing import Final, Literal

import numpy as np

from domain.surveillance.evidence import Figure, Table
from domain.surveillance.findings import Relation
from surveillance.book import NEVER, Book
from surveillance.market.judging import one_in
from surveillance.matching import Field, Matched
from surveillance.surprise import Odds

NOTED: Final = 0.4  # the score of what is on the record only, below the line of 0.5
BUSY_MINUTE: Final = (
    "A busy minute: the probability goes by how often other accounts open this symbol and side at that time."
)
MOST_ROWS: Final = 100  # of a table; the trades of a finding are all named in `deals`
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_WEAKEST_FIRST: Final[tuple[Relation, ...]] = ("stranger", "linked", "same_owner", "one_account")


def figure(
    name: str, measured: float, threshold: float, unit: str = "", bound: Literal["at_least", "at_most"] = "at_least"
) -> Figure:
    return Figure(name=name, measured=number(measured), threshold=number(threshold), bound=bound, unit=unit)


def number(value: float) -> Decimal:
    """Returns the value with at most three digits after the point, fewer when it is large."""
    digits = 0 if value == round(value) else 3 if abs(value) < 10 else 1
    return Decimal(f"{value:.{digits}f}")


def words(value: float, unit: str = "") -> str:
    return "unknown" if isnan(value) else f"{number(value).normalize():f}{unit}"


def moment(at: int) -> str:
    """Returns a time in microseconds as text, UTC."""
    return f"{_EPOCH + timedelta(microseconds=at):%Y-%m-%d %H:%M:%S}"


def weakest(relations: Sequence[tuple[Relation, float]]) -> tuple[Relation, float]:
    """Returns the weakest relation and the least strength among those that have it."""
    return min(relations, key=lambda each: (_WEAKEST_FIRST.index(each[0]), each[1]))


def chance_words(seen: int, odds: Odds) -> str:
    """Returns what was seen and what chance alone gives, in sentences."""
    return (
        f"Chance alone would give about {words(odds.expected)} of these {seen} matching trades, going by when other "
        f"accounts of the firm open trades. The probability of {seen} matches with such closing times by chance is "
        f"{one_in(odds.p_value)}; {odds.tests:,.0f} pairs of accounts could have matched."
    )


def score_of(points: float, line: float, most: float) -> float:
    """Returns 0.5 at the line and 1 at `most` points."""
    return 0.5 + 0.5 * min(max((points - line) / max(most - line, 1e-9), 0.0), 1.0)


def matches_table(field: Field, pairs: Sequence[Matched], title: str, names: tuple[str, str]) -> Table:
    """Returns the matched openings in the order of time, the partner's first; of the first pairs when there are many.
    `names`: of partner and subject."""
    book, found = field.book, field.ideas
    rows: list[tuple[int, tuple[str, ...]]] = []
    for pair in pairs:
        if len(rows) >= MOST_ROWS:
            break
        for mine, theirs in zip(pair.mine.tolist(), pair.theirs.tolist(), strict=True):
            one, other = int(found.first[theirs]), int(found.first[mine])
            opened, lag = int(field.opened[theirs]), int(field.opened[mine] - field.opened[theirs])
            known = max(field.closed[theirs], field.closed[mine]) != NEVER
            close_lag = words(int(field.closed[mine] - field.closed[theirs]) / 1e6) if known else "open"
            row = (
                moment(opened),
                _trade(book, one),
                _trade(book, other),
                words(lag / 1e6),
                f"{words(float(found.lots[theirs]))} / {words(float(found.lots[mine]))}",
                close_lag,
            )
            rows.append((opened, row))
    columns = ("Opened, UTC", names[0], names[1], "Delay at the opening, s", "Lots", "Delay at the close, s")
    return Table(title=title, columns=columns, rows=tuple(row for _, row in sorted(rows)[:MOST_ROWS]))


def _trade(book: Book, row: int) -> str:
    return f"{book.trades.id[row]} {'buy' if book.trades.side[row] > 0 else 'sell'} {book.listed(row)}"


def not_compared(book: Book) -> str | None:
    """Returns why some pairs of accounts were not compared, None when all were."""
    if book.clock_group is None or len(np.unique(book.clock_group[book.trades.account])) < 2:
        return None
    return (
        "the clock of a venue is not estimated: accounts there were compared with each other, and not with those of "
        "other venues"
    )
