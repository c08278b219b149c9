"""Every pattern has a name that people read, and no id reaches them."""

from domain.surveillance.casework import FAMILIES
from domain.surveillance.names import PATTERN_NAMES, family_name, pattern_name
from front.subjects.case import CASE
from store.read.named import written
from store.read.waiting import Row
from surveillance.registry import pattern_types


def test_every_pattern_and_family_has_a_name() -> None:
    assert set(pattern_types()) <= set(PATTERN_NAMES)
    assert len(set(PATTERN_NAMES.values())) == len(PATTERN_NAMES)
    assert all(family_name(family) != family for family in FAMILIES)
    assert pattern_name("size_jump") == "Size jump", "a pattern of one's own is named by its key"


def test_the_queue_names_the_pattern_and_how_the_hold_stands() -> None:
    assert CASE.waiting.words(Row(None, "all_in")) == "All-in trade"
    assert CASE.waiting.words(Row(None, "copy_trading, escalated to admin")) == "Copy trading, escalated to admin"


def test_account_numbers_and_names_stand_in_place_of_ids() -> None:
    """Also in sentences that were stored before; an id that nobody has stays."""
    known = {"acc_50y8": "A-10050", "acc_3g5z": "A-10002", "trd_1": "Leila Rahimi"}
    told = "10 of 10 openings of account acc_50y8 repeat those of account acc_3g5z, of trd_1 and acc_9."
    assert written(told, known) == (
        "10 of 10 openings of account A-10050 repeat those of account A-10002, of Leila Rahimi and acc_9."
    )
