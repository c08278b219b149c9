"""A part of the firm is judged as the whole firm is: the same pair is found, and chance is that of the firm."""

import numpy as np

from surveillance.matching import Field
from surveillance.pattern import Limits
from surveillance.patterns.copy_trading import CopyTrading, CopyTradingThresholds
from surveillance.surprise import pairs_that_could_match
from tests.books import START, Rows

_DAY = 86_400.0


def firm() -> Rows:
    """Twenty traders at their own times; tina copies leo twelve seconds later, over four days."""
    rows, chance = Rows(), np.random.default_rng(5)
    for name in ("leo", "tina", *(f"other{n}" for n in range(20))):
        rows.account(name)
    for n in range(16):
        at = (n % 4) * _DAY + 30_000 + n * 900 + float(chance.uniform(0, 600))
        side, lasted = int(chance.choice([-1, 1])), float(chance.uniform(300, 3000))
        rows.trade("leo", at, lasted, side=side, lots=1 + 0.1 * n)
        rows.trade("tina", at + 12, lasted + 1, side=side, lots=0.5 + 0.05 * n)
    for n in range(20):
        for _ in range(30):
            at = float(chance.integers(0, 4)) * _DAY + float(chance.uniform(25_000, 60_000))
            rows.trade(f"other{n}", at, 600.0, side=int(chance.choice([-1, 1])))
    return rows


def test_a_pair_is_found_in_its_own_book_as_in_that_of_the_firm() -> None:
    whole = firm().book()
    pattern = CopyTrading(Limits(CopyTradingThresholds()))
    of_firm, of_pair = (pattern.judge(book).findings for book in (whole, whole.of_accounts([0, 1])))
    assert [finding.key for finding in of_firm] == ["copy_trading/leo"]
    assert [(each.key, each.score, each.chance) for each in of_pair] == [
        (each.key, each.score, each.chance) for each in of_firm
    ]


def test_chance_counts_the_pairs_and_the_openings_of_the_firm() -> None:
    whole = firm().book()
    part = whole.of_accounts([0, 1])
    fields = [Field.of(book, 0) for book in (whole, part)]
    assert [pairs_that_could_match(field, 5) for field in fields] == [22 * 21, 22 * 21]
    shares = []
    for field in fields:
        leo, tina = field.intensity.rows_of(0), field.intensity.rows_of(1)
        found = field.intensity.chances(
            tina, leo, 12_000_000, 1_000_000, opposite=False, suspects=np.array([0, 1], dtype=np.int32)
        )
        shares.append(sorted(found.tolist()))
    assert shares[0] == shares[1]
    assert len(part.trades) == 32
    assert int(part.trades.opened.min()) > START
