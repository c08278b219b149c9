"""Growing accounts and the start of a live one."""

from datetime import date
from decimal import Decimal

import pytest

from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.payouts.scaling import Scaling, ScalingFacts

SINCE = date(2024, 10, 31)


def plan(**changes: object) -> Scaling:
    return Scaling.model_validate({"increase_pct": "25", "min_profit_pct": "10", "min_payouts": 2, **changes})


def facts(**changes: object) -> ScalingFacts:
    """The account has met everything that `plan` asks."""
    known: dict[str, object] = {
        "today": date(2025, 2, 28),
        "since": SINCE,
        "profit_minor": 1_000_000,
        "payouts_paid": 2,
        "original_minor": 10_000_000,
        "current_minor": 10_000_000,
        "balance_minor": 10_600_000,
    }
    return ScalingFacts.model_validate({**known, **changes})


def sizes(scaling: Scaling, original: int, steps: int) -> list[int]:
    found, size = [], original
    for number in range(steps):
        size = scaling.next_size(facts(original_minor=original, current_minor=size, steps=number), "USD")
        found.append(size)
    return found


def test_linear_and_compounding_growth_and_the_cap() -> None:
    assert sizes(plan(), 10_000_000, 3) == [12_500_000, 15_000_000, 17_500_000]
    assert sizes(plan(of="current_size"), 10_000_000, 3) == [12_500_000, 15_625_000, 19_531_250]
    assert sizes(plan(cap="160000"), 10_000_000, 4) == [12_500_000, 15_000_000, 16_000_000, 16_000_000]
    assert sizes(plan(cap="90000"), 10_000_000, 1) == [10_000_000], "it never shrinks"
    rounded = facts(original_minor=1, current_minor=100)
    assert plan(increase_pct="33.335", of="current_size").next_size(rounded, "USD") == 133


def test_each_step_has_its_own_percentage_and_the_last_repeats() -> None:
    steps = plan(increase_pct=["25", "50", "100"], of="current_size")
    assert sizes(steps, 10_000_000, 4) == [12_500_000, 18_750_000, 37_500_000, 75_000_000]


def test_an_account_grows_to_its_balance_and_a_part_of_it() -> None:
    scaling = plan(of="balance")
    assert scaling.next_size(facts(balance_minor=11_000_000), "USD") == 13_750_000
    assert scaling.next_size(facts(balance_minor=7_000_000), "USD") == 10_000_000, "it never shrinks"
    assert plan(of="balance", cap="130000").next_size(facts(balance_minor=11_000_000), "USD") == 13_000_000


def test_the_balance_becomes_the_size_or_keeps_its_profit() -> None:
    assert plan().next_balance(facts(), 12_500_000) == 12_500_000
    assert plan(profit_stays=True).next_balance(facts(), 12_500_000) == 13_100_000


def test_months_end_where_they_end() -> None:
    assert plan().due_on(SINCE) == date(2025, 2, 28)
    assert plan(every_months=2).due_on(SINCE) == date(2024, 12, 31)
    assert plan(every_months=0).due_on(SINCE) == SINCE


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ()),
        ({"today": date(2025, 2, 27)}, ("from 2025-02-28 on",)),
        ({"today": None}, ()),
        ({"profit_minor": 999_999}, ("a profit of 10 %",)),
        ({"payouts_paid": 1}, ("it needs 2 payouts since the last step (1 paid so far)",)),
        ({"profitable_months": 1}, ("it needs 2 profitable months since the last step (1 so far)",)),
        ({"current_minor": 20_000_000, "profit_minor": 2_000_000}, ("already has the largest size",)),
    ],
)
def test_what_the_next_step_needs(changes: dict[str, object], missing: tuple[str, ...]) -> None:
    found = plan(cap="200000", min_profitable_months=2).missing(facts(**{"profitable_months": 2, **changes}), "USD")
    assert len(found) == len(missing)
    assert all(words in clause for words, clause in zip(missing, found, strict=True))


def test_a_plan_without_a_profit_asks_for_none() -> None:
    assert plan(min_profit_pct=0, min_payouts=0).missing(facts(profit_minor=-1, payouts_paid=0), "USD") == ()


@pytest.mark.parametrize(
    ("formula", "start"),
    [
        ("min(sum_of_balances, largest_size)", 5_000_000),
        ("min(sum_of_balances, sum_of_sizes)", 6_000_000),
        ("max(sum_of_balances, largest_size)", 6_000_000),
        ("sum_of_balances", 6_000_000),
        ("largest_balance", 4_000_000),
    ],
)
def test_a_live_account_starts_by_its_formula(formula: str, start: int) -> None:
    rule = LiveAccountStart.model_validate({"formula": formula})
    brought = (SimulatedAccount(5_000_000, 4_000_000), SimulatedAccount(2_500_000, 2_000_000))
    assert rule.start_balance(brought) == start
    assert rule.start_balance(()) == 0


def test_an_amount_in_scaling_is_found() -> None:
    assert dict(plan(cap="200000").amounts()) == {("cap",): Decimal(200000)}
