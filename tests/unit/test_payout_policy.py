"""The firm's payout policy: how many people approve which amount."""

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from domain.file_errors import PolicyInvalid
from domain.money import Money
from domain.payouts.policy import CurrencyPolicy, DayTotals, PayoutPolicy, Seen, changes, checkers_needed
from domain.products.publishing import check_applied
from firm.payouts.policies import load_policy
from firm.products.shelf import SHELF, load_product


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


def policy(**changed: Any) -> PayoutPolicy:
    own = {"automatic_up_to": "500", "one_checker_up_to": "3000", **changed}
    return PayoutPolicy(currencies={"USD": CurrencyPolicy.model_validate(own)})


@pytest.mark.parametrize(("minor", "needed"), [(50_000, 0), (50_001, 1), (300_000, 1), (300_001, 2), (10**9, 2)])
def test_the_amount_that_leaves_decides(minor: int, needed: int) -> None:
    assert checkers_needed(policy(), usd(minor)) == needed


def test_a_currency_that_the_policy_does_not_have_needs_two() -> None:
    assert checkers_needed(policy(), Money(minor=1, currency="EUR")) == 2
    assert checkers_needed(PayoutPolicy(), usd(1)) == 2


def test_nothing_is_sent_again_without_a_person() -> None:
    assert checkers_needed(policy(), usd(1), approvals_round=2) == 1


@pytest.mark.parametrize(
    ("day", "needed"),
    [
        (DayTotals(automatic_minor=60_000), 0),
        (DayTotals(automatic_minor=60_001), 1),
        (DayTotals(trader_minor=160_000), 0),
        (DayTotals(trader_minor=160_001), 2),
    ],
)
def test_what_left_before_on_this_day_raises_the_number(day: DayTotals, needed: int) -> None:
    own = policy(automatic_per_day="1000", trader_per_day="2000")
    assert checkers_needed(own, usd(40_000), day=day) == needed


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("currencies: {USD: {automatic_up_to: '10', one_checker_up_to: '5'}}", "below automatic_up_to"),
        ("currencies: {JPY: {automatic_up_to: '10.5', one_checker_up_to: '50'}}", "not an amount in JPY"),
        ("currencies: {USD: {automatic_up_to: 10.5, one_checker_up_to: '50'}}", "a float cannot hold money"),
        ("currencies: {XXQ: {automatic_up_to: '1', one_checker_up_to: '5'}}", "XXQ"),
        ("escalate_after_hours: 400", "keep it below decide_within_hours"),
        ("unknown: 1", "unknown"),
        ("a: [", "is not YAML"),
    ],
)
def test_a_wrong_file_is_refused_with_its_field(tmp_path: Path, text: str, problem: str) -> None:
    path = tmp_path / "own.yaml"
    path.write_text(text)
    with pytest.raises(PolicyInvalid, match=problem):
        load_policy(path)


def test_the_shipped_file_is_read_and_has_one_hash() -> None:
    shipped = load_policy()
    assert shipped.currencies["USD"].automatic_up_to == Decimal(500)
    assert shipped.content_hash == load_policy().content_hash != PayoutPolicy().content_hash


def test_what_changed_is_named() -> None:
    seen = Seen(amount="a", beneficiary="b", rules="r", policy="p", approvals_round=1)
    assert changes(seen.text, seen.text) == []
    other = seen.model_copy(update={"beneficiary": "c", "policy": "q"})
    assert changes(seen.text, other.text) == ["the beneficiary", "the firm's payout policy"]
    assert changes("nonsense", seen.text) == ["the payout"]


def test_a_sold_version_with_approval_bands_keeps_its_hash_and_a_new_one_with_them_is_refused() -> None:
    sold = load_product(SHELF / "two-step.v1.yaml")
    assert sold.payout.bands and '"bands":[' in sold.canonical()
    with pytest.raises(Exception, match="the firm's payout policy says how many people approve a payout"):
        check_applied(sold)
    without = sold.model_copy(update={"payout": sold.payout.model_copy(update={"bands": ()})})
    assert "bands" not in without.canonical()
    check_applied(without)
