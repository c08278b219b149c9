"""Growing accounts and the start of a live one."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from domain.payouts.live_account import LiveAccountStart, SimulatedAccount
from domain.payouts.scaling import Scaling, ScalingFacts

SINCE = datetime(2024, 10, 31, 12, tzinfo=UTC)


def plan(**changes: object) -> Scaling:
    return Scaling.model_validate({"increase_pct": "25", "min_profit_pct": "10", "min_payouts": 2, **changes})


def sizes(scaling: Scaling, original: int, steps: int) -> list[int]:
    found, size = [], original
    for _ in range(steps):
        size = scaling.next_size(original, size, "USD")
        found.append(size)
    return found


def test_linear_and_compounding_growth_and_the_cap() -> None:
    assert sizes(plan(), 10_000_000, 3) == [12_500_000, 15_000_000, 17_500_000]
    assert sizes(plan(of="current_size"), 10_000_000, 3) == [12_500_000, 15_625_000, 19_531_250]
    assert sizes(plan(cap="160000"), 10_000_000, 4) == [12_500_000, 15_000_000, 16_000_000, 16_000_000]
    assert plan(cap="90000").next_size(10_000_000, 10_000_000, "USD") == 10_000_000, "it never shrinks"
    assert plan(increase_pct="33.335", of="current_size").next_size(1, 100, "USD") == 133


def test_months_end_where_they_end() -> None:
    assert plan().due_at(SINCE) == datetime(2025, 2, 28, 12, tzinfo=UTC)
    assert plan(every_months=2).due_at(SINCE) == datetime(2024, 12, 31, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "missing"),
    [
        ({}, ()),
        ({"now": datetime(2025, 2, 28, 11, tzinfo=UTC)}, ("from 2025-02-28 on",)),
        ({"profit_minor": 999_999}, ("a profit of 10 %",)),
        ({"payouts_paid": 1}, ("it needs 2 payouts since the last step (1 paid so far)",)),
        ({"current_minor": 20_000_000, "profit_minor": 2_000_000}, ("already has the largest size",)),
    ],
)
def test_what_the_next_step_needs(changes: dict[str, object], missing: tuple[str, ...]) -> None:
    given: dict[str, object] = {
        "now": datetime(2025, 2, 28, 12, tzinfo=UTC),
        "since": SINCE,
        "profit_minor": 1_000_000,
        "payouts_paid": 2,
        "original_minor": 10_000_000,
        "current_minor": 10_000_000,
    }
    found = plan(cap="200000").missing(ScalingFacts.model_validate({**given, **changes}), "USD")
    assert len(found) == len(missing)
    assert all(words in clause for words, clause in zip(missing, found, strict=True))


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
