"""How far an account is from every level, and what the next reset would do with no price move."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.clocks import ONLY_A_DAY
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.floors import FloorSpec, Mark
from domain.rules.room import broken_by_reset, rooms, warn_left
from domain.rules.state import AccountRules, fresh, on_rollover
from domain.rules.terms import Operator, Size

AT = datetime(2014, 5, 2, tzinfo=UTC)
INITIAL = 10_000_000


def daily(operator: Operator = "equity < floor") -> FloorSpec:
    rule = DailyLoss(
        type="daily_loss",
        anchor="balance",
        allowance=Size(type="pct_of_initial", value=Decimal(5)),
        breach_when=operator,
    )
    return rule.compile(INITIAL, "USD")[0]


def at(balance: int, equity: int) -> Mark:
    return Mark(balance, equity, 1, AT)


@pytest.mark.parametrize(
    ("equity", "used", "warns"),
    [(INITIAL, "0.00", False), (9_600_001, "79.99", False), (9_600_000, "80.00", True), (9_499_999, "100.00", True)],
)
def test_how_much_of_a_limit_is_used(equity: int, used: str, warns: bool) -> None:
    (room,) = rooms(fresh((daily(),)), at(INITIAL, equity))
    assert (room.room_minor, str(room.used_pct), room.warns) == (equity - 9_500_000, used, warns)
    assert (room.room_minor <= warn_left(daily(), fresh((daily(),)).states[0])) is warns


@pytest.mark.parametrize(
    ("share", "equity", "warns"),
    [
        (50, 9_750_001, False),
        (50, 9_750_000, True),
        (1, 9_995_001, False),
        (1, 9_995_000, True),
        (99, 9_505_001, False),
        (99, 9_505_000, True),
        (0, 9_500_000, False),
        (0, 9_499_000, False),
    ],
)
def test_the_share_at_which_a_warning_is_due_is_a_term(share: int, equity: int, warns: bool) -> None:
    spec = replace(daily(), warn_at_pct=share)
    rules = fresh((spec,))
    (room,) = rooms(rules, at(INITIAL, equity))
    assert room.warns is warns
    assert (share > 0 and room.room_minor <= warn_left(spec, rules.states[0])) is warns


@pytest.mark.parametrize(("operator", "equity"), [("equity < floor", 9_500_000), ("equity <= floor", 9_500_001)])
def test_no_room_is_where_the_next_unit_breaches(operator: Operator, equity: int) -> None:
    rules = fresh((daily(operator),))
    assert [rooms(rules, at(INITIAL, worth))[0].is_none for worth in (equity + 1, equity)] == [False, True]


def test_a_reset_that_breaches_with_no_price_move_is_seen_before_it() -> None:
    rules: AccountRules = fresh((daily(),))
    # 800,000 were won today and booked, 600,000 are open against it: tomorrow's floor lies above the equity
    mark = at(10_800_000, 10_200_000)
    assert rooms(rules, mark)[0].room_minor == 700_000
    assert on_rollover(rules, mark).states[0].floor_minor == 10_300_000
    (verdict,) = broken_by_reset(rules, mark, ONLY_A_DAY)
    assert (verdict.floor_minor, verdict.equity_minor) == (10_300_000, 10_200_000)
    assert broken_by_reset(rules, at(10_800_000, 10_300_000), ONLY_A_DAY) == []
    assert (
        broken_by_reset(rules, at(10_800_000, 9_000_000), ONLY_A_DAY) == []
    )  # broken now: that is a verdict, not a warning
