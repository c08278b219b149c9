"""What a case can end with, how alerts are routed and joined, how often surveillance was right, and the policy."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from pydantic import ValidationError

from domain.errors import BadInput
from domain.surveillance import trader_messages
from domain.surveillance.casework import (
    ACTION_OF,
    CASE,
    ENDINGS,
    FAMILIES,
    TWO_PEOPLE,
    after_business_days,
    family_of,
    joins,
    routed,
)
from domain.surveillance.policy import Grade, Holds, SurveillancePolicy
from domain.surveillance.precision import wilson
from domain.surveillance.samples import chosen
from domain.surveillance.thresholds import changed, counted, outcome_of, with_numbers
from tests.pattern_modules import FollowingThresholds


def test_every_ending_is_a_step_of_the_machine_and_what_costs_money_takes_two() -> None:
    states = {verb: CASE.next("open", ending.trigger) for verb, ending in ENDINGS.items()}
    assert states == {
        "clear": "cleared", "inconclusive": "inconclusive", "warn": "warned", "deduct": "deducted", "deny": "denied",
        "confirm": "confirmed",
    }  # fmt: skip
    assert {ACTION_OF[verb] for verb in ("deduct", "deny", "confirm")} == TWO_PEOPLE
    assert set(CASE.reopens) == {states[verb] for verb, ending in ENDINGS.items() if ending.outcome == "confirmed"}


def test_every_pattern_of_the_firm_has_a_family_and_any_other_is_its_own() -> None:
    patterns = [pattern for family in FAMILIES.values() for pattern in family]
    assert len(patterns) == len(set(patterns)) == 14
    assert family_of("hedging") == family_of("copy_trading") == "copying"
    assert family_of("corrected_verdict") == "corrected_verdict"


@pytest.mark.parametrize(
    ("severity", "link", "treated"),
    [
        ("hold", "1", "hold"),
        ("hold", "0.8", "hold"),
        ("hold", "0.79", "review"),
        ("hold", "0.29", "note"),
        ("review", "0.5", "review"),
        ("review", "0.1", "note"),
        ("note", "1", "note"),
    ],
)
def test_an_alert_is_treated_by_severity_and_by_its_weakest_link(severity: Any, link: str, treated: str) -> None:
    found = routed(severity, Decimal(link), hold_from=Decimal("0.8"), review_from=Decimal("0.3"))
    assert found == treated


@pytest.mark.parametrize(
    ("mine", "theirs", "yes"),
    [
        ("a", "a", True),
        ("a", "ab", True),
        ("abc", "ab", True),
        ("ac", "ab", False),
        ("c", "ab", False),
        ("", "a", False),
    ],
)
def test_owners_join_a_case_when_one_group_contains_the_other(mine: str, theirs: str, yes: bool) -> None:
    assert joins(mine, theirs) is yes


def test_business_days_leave_the_weekend_out() -> None:
    friday = datetime(2014, 5, 2, 21, tzinfo=UTC)
    assert after_business_days(friday, 1) == datetime(2014, 5, 5, 21, tzinfo=UTC)
    assert after_business_days(friday, 5) == datetime(2014, 5, 9, 21, tzinfo=UTC)
    assert after_business_days(datetime(2014, 5, 3, 9, tzinfo=UTC), 1) == datetime(2014, 5, 5, 9, tzinfo=UTC)


def test_eighteen_of_twenty_is_seventy_to_ninety_seven_percent() -> None:
    found = wilson(18, 20)
    assert found is not None
    assert (found.share, round(found.low, 3), round(found.high, 3)) == (0.9, 0.699, 0.972)
    none, all_of_them = wilson(0, 10), wilson(10, 10)
    assert none is not None and all_of_them is not None
    assert (none.low, round(none.high, 3)) == (0.0, 0.278) and (round(all_of_them.low, 3), all_of_them.high) == (
        0.722,
        1,
    )
    assert wilson(0, 0) is None
    with pytest.raises(ValueError, match="cannot be"):
        wilson(3, 2)


def test_samples_are_drawn_once_for_each_finding_at_about_their_rate() -> None:
    keys = [f"finding/{n}" for n in range(20_000)]
    drawn = {key for key in keys if chosen(Decimal("0.02"), "below_line", key)}
    assert 320 <= len(drawn) <= 480
    assert drawn == {key for key in keys if chosen(Decimal("0.02"), "below_line", key)}
    assert drawn != {key for key in keys if chosen(Decimal("0.02"), "blind", key)}
    assert not any(chosen(Decimal(0), "blind", key) for key in keys) and chosen(Decimal(1), "blind", "x")


def test_the_closest_grade_counts_and_the_last_one_repeats() -> None:
    policy = SurveillancePolicy(
        grades=(
            Grade(actions=("warn", "deduct", "close")),
            Grade(family="copying", actions=("deduct", "close")),
            Grade(product="instant", actions=("deny",)),
            Grade(family="copying", product="instant", actions=("close",)),
        )
    )
    asked = [("sizing", "two-step", 1), ("sizing", "two-step", 9), ("copying", "two-step", 1), ("sizing", "instant", 2)]
    assert [policy.action_for(*each) for each in asked] == ["warn", "close", "deduct", "deny"]
    assert policy.action_for("copying", "instant", 1) == "close"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"holds": {"weak_link": "0.9"}}, "above strong_link"),
        ({"holds": {"escalate_after": 5}}, "below end_after"),
        ({"grades": [{"family": "copying", "actions": ["warn"]}]}, "any family and product"),
        ({"grades": [{"actions": ["warn"]}, {"actions": ["deny"]}]}, "named twice"),
        ({"grades": [{"actions": ["jail"]}]}, "warn"),
    ],
)
def test_a_policy_that_contradicts_itself_is_refused(given: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        SurveillancePolicy.model_validate(given)


def test_numbers_of_a_product_come_before_those_of_any() -> None:
    numbers = {"copy_trading": {"*": {"min_matches": "6", "max_lag_seconds": "30"}, "instant": {"min_matches": "9"}}}
    policy = SurveillancePolicy.model_validate({"thresholds": numbers})
    assert policy.thresholds_of("copy_trading", "instant") == {"min_matches": 9, "max_lag_seconds": 30}
    assert policy.thresholds_of("copy_trading", "two-step") == {"min_matches": 6, "max_lag_seconds": 30}
    assert policy.thresholds_of("grid", "two-step") == {}
    assert changed(SurveillancePolicy(), policy) == {"copy_trading": policy.thresholds["copy_trading"]}
    assert changed(policy, policy.model_copy(update={"holds": Holds(end_after=9)})) == {}
    with_six = with_numbers(FollowingThresholds(), {"min_matches": Decimal(6)})
    assert isinstance(with_six, FollowingThresholds) and with_six.min_matches == 6
    with pytest.raises(ValidationError):
        with_numbers(FollowingThresholds(), {"min_match": Decimal(6)})


def test_a_replay_counts_what_is_found_again_what_is_new_and_what_is_lost() -> None:
    """Of four alerts the new numbers find a confirmed, an overturned and an open one; another confirmed one is lost."""
    alerts = {
        "k/1": outcome_of("warned", "confirmed"),
        "k/2": outcome_of("overturned", "false_positive"),
        "k/3": outcome_of("open", None),
        "k/4": outcome_of("confirmed", "confirmed"),
    }
    counts = counted("copy_trading", ["k/1", "k/2", "k/3", "k/9", "k/9"], alerts, cannot_judge="", source="trades")
    assert (counts.flagged, counts.unseen) == (4, 1)
    assert (counts.confirmed, counts.false_positive, counts.lost) == (1, 1, 1)


def test_a_message_is_filled_for_its_reader() -> None:
    text = trader_messages.template("copying", "deduct", "Copying is not allowed.")
    trader_messages.check(text, others={"Leo Brandt"}, numbers={"A-10001"}, scores={Decimal("0.91")})
    letter = trader_messages.filled(text, accounts=["A-10002", "A-10003"], trades=["P1, EURUSD"])
    assert "A-10002 and A-10003" in letter and "- P1, EURUSD" in letter and "{" not in letter
    assert "\n\n\n" not in trader_messages.filled(text, accounts=["A-10002"], trades=[])


@pytest.mark.parametrize("text", ["Will Stone did it.", "will stone did it", "Ask Stone.", "Like A-10001."])
def test_another_trader_is_not_named(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        trader_messages.check(text, others={"Will Stone"}, numbers={"A-10001"}, scores=set())
    assert caught.value.field == "message"
    trader_messages.check("It will not be paid.", others={"Will Stone"}, numbers={"A-10001"}, scores={Decimal(1)})
