"""Ids sort by creation, say nothing, and repeat for the same business key."""

import re
import time

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.keys import derived_id, new_id

SHAPE = re.compile(r"[a-z]{3}_[0-9a-hjkmnp-tv-z]{26}")
PARTS = st.lists(st.text("abz019_-/ "), min_size=1, max_size=4)


def test_new_ids_sort_by_the_moment_they_were_made() -> None:
    made = []
    for _ in range(20):
        made.append(new_id("acc"))
        time.sleep(0.0015)
    assert made == sorted(made)
    assert all(SHAPE.fullmatch(one) for one in made)


def test_new_ids_of_one_moment_differ() -> None:
    made = [new_id("chl") for _ in range(10_000)]
    assert len(set(made)) == len(made)
    assert len({one[:14] for one in made}) < 1_000, "the clock comes first, the random part last"


def test_a_derived_id_is_the_same_tomorrow() -> None:
    assert derived_id("pay", "acc_1", 1) == derived_id("pay", "acc_1", "1") == "pay_77nphxnbehm4g9vr9h5n930h20"


@settings(deadline=None)
@given(PARTS, PARTS)
def test_other_parts_are_another_id(left: list[str], right: list[str]) -> None:
    assume(left != right)
    assert derived_id("brc", *left) != derived_id("brc", *right)
    assert SHAPE.fullmatch(derived_id("brc", *left))


def test_parts_do_not_run_into_each_other() -> None:
    assert derived_id("brc", "ab", "c") != derived_id("brc", "a", "bc")
    assert derived_id("brc", "a")[4:] == derived_id("acc", "a")[4:], "the noun is a label, the key decides"
