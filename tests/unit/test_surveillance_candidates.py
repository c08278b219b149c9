"""Candidates: every pair of openings near each other, counted once, however the work is divided."""

import numpy as np
import pytest

from surveillance.book import SECOND
from surveillance.candidates import Openings, count, openings, pairs, partners, spans
from surveillance.positions import Positions, positions
from tests.books import Rows

WITHIN = 40 * SECOND


def opened(seed: int = 1, accounts: int = 12, each: int = 40) -> Openings:
    """Openings of three days in two symbols, many at the same second and round midnight."""
    rng, rows = np.random.default_rng(seed), Rows()
    for n in range(accounts):
        rows.account(f"a{n}")
    for _ in range(accounts * each):
        at = float(rng.choice([0, 86_400, 172_800])) + float(rng.integers(-150, 150))
        symbol, side = str(rng.choice(["EURUSD", "XAUUSD"])), int(rng.choice([-1, 1]))
        rows.trade(f"a{rng.integers(accounts)}", at, 60, symbol=symbol, side=side)
    return openings(positions(rows.book().trades))


def by_hand(found: Openings, *, opposite: bool) -> list[tuple[int, int]]:
    """Compares each with each."""
    result = []
    for one in range(len(found)):
        for other in range(one + 1, len(found)):
            near = abs(int(found.opened[one]) - int(found.opened[other])) <= WITHIN
            sides = (found.side[one] != found.side[other]) == opposite
            if (
                near
                and sides
                and found.symbol[one] == found.symbol[other]
                and found.account[one] != found.account[other]
            ):
                result.append((one, other))
    return result


@pytest.mark.parametrize("opposite", [False, True])
def test_pairs_are_those_that_comparing_each_with_each_finds(*, opposite: bool) -> None:
    found = opened()
    earlier, later = pairs(found, WITHIN, opposite=opposite)
    assert (found.opened[earlier] <= found.opened[later]).all()
    ends = {(min(pair), max(pair)) for pair in zip(earlier.tolist(), later.tolist(), strict=True)}
    expected = by_hand(found, opposite=opposite)
    assert len(expected) > 1_000
    assert ends == set(expected)
    assert len(earlier) == len(expected) == count(found, WITHIN, opposite=opposite)


def test_partners_are_the_same_for_one_range_and_for_many() -> None:
    found = opened()
    near = spans(found, WITHIN, 0)
    whole = partners(found, 12, near, min_matches=2, min_share=0.2)
    parts = [
        partners(found, 12, near, min_matches=2, min_share=0.2, subjects=range(start, start + 4)) for start in (0, 4, 8)
    ]
    assert len(whole) > 20
    assert [row for part in parts for row in part.partner.tolist()] == whole.partner.tolist()
    assert [row for part in parts for row in part.matches.tolist()] == whole.matches.tolist()
    assert (whole.matches >= 0.2 * whole.openings).all()


def test_several_openings_of_a_partner_near_one_opening_are_one_match() -> None:
    rows = Rows()
    rows.account("a")
    rows.account("b")
    for at in (8.0, 9.0, 10.0):
        rows.trade("a", at, 60)
    rows.trade("b", 11, 60)
    found = openings(positions(rows.book().trades))
    whole = partners(found, 2, spans(found, WITHIN, 0), min_matches=1, min_share=0.0)
    assert list(zip(whole.subject.tolist(), whole.partner.tolist(), whole.matches.tolist(), strict=True)) == [(1, 0, 1)]


def test_nothing_has_no_pairs() -> None:
    found = openings(positions(Rows().book().trades))
    assert count(found, WITHIN) == 0


@pytest.mark.parametrize("many", [False, True], ids=["by radix", "by comparing"])
def test_openings_are_sorted_by_symbol_side_time_and_account(*, many: bool) -> None:
    found = opened()
    rows = Positions(
        first=found.row,
        parts=found.row,
        lots=np.ones(len(found)),
        closed=found.opened,
        account=found.account,
        symbol=found.symbol * (20_000 if many else 1),
        side=found.side,
        opened=found.opened,
        open_price=np.ones(len(found)),
        profit_minor=np.zeros(len(found), dtype=np.int64),
    ).rows(np.argsort(found.opened, kind="stable"))
    again = openings(rows)
    keys = list(
        zip(again.symbol.tolist(), again.side.tolist(), again.opened.tolist(), again.account.tolist(), strict=True)
    )
    assert keys == sorted(keys) and len({key[2] for key in keys}) < len(keys)
