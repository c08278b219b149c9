"""Every later payout term is said to the trader, survives storage, and contradicts nothing."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.clocks import Clock
from domain.money import Money
from domain.payouts import PayoutFacts, PayoutTerms
from domain.payouts.amounts import payout_amount, split
from domain.payouts.eligibility import eligible_from, refusals
from domain.payouts.schema import Replacing
from domain.payouts.words import words
from domain.rules.base import Context

NOW = datetime(2025, 6, 16, 9, tzinfo=UTC)  # a Monday
PLAIN = {
    "first_after_days": 14,
    "every_days": 7,
    "split_pct": "80",
    "min_request": "50",
    "min_profit": {"type": "amount", "value": "10"},
    "caps": [{"type": "amount", "value": "900"}],
}
CONTEXT = Context(initial_minor=10_000_000, currency="USD", clock=Clock(zone="UTC", reset="00:00"))
CAP = {"type": "amount", "value": "90"}
NET = {"type": "amount", "value": "2000"}


def terms(**changes: Any) -> PayoutTerms:
    return PayoutTerms.model_validate({**PLAIN, **changes})


def facts(**changes: Any) -> PayoutFacts:
    given = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": NOW - timedelta(days=30),
        "last_payout_at": None,
        "balance_minor": 10_400_000,
        "initial_minor": 10_000_000,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
    }
    return PayoutFacts.model_validate({**given, **changes})


def told(own: PayoutTerms) -> str:
    return " ".join(words(own, CONTEXT))


SAID: list[tuple[dict[str, Any], str]] = [
    ({"every_days": 0}, "The next payout can be requested as soon as the last one is paid."),
    (
        {"after_first_trade": {"days": 5, "since": "last_payout"}},
        "Every payout must wait 5 days after your first trade since the last payout.",
    ),
    ({"days_are": "business"}, "14 business days after the account is funded."),
    (
        {"request_days": {"weekdays": ["tuesday", "friday"], "opens": "10:00", "zone": "Europe/Prague"}},
        "A payout can be requested only on Tuesdays and Fridays, from 10:00 on (Europe/Prague).",
    ),
    ({"profit_since": "last_payout"}, "The profit since the last payout must be at least 10.00 USD."),
    ({"compare": {"min_request": ">"}}, "A request must be for more than 50.00 USD."),
    ({"max_payouts": 4}, "At most 4 payouts can be paid from this account."),
    (
        {"max_payouts": 1, "live_account": {"formula": "min(sum_of_balances,largest_size)"}},
        "a live account would start with the smaller of the sum of balances and the largest size of your simulated",
    ),
    ({"cap_total": "5000"}, "All payouts together may be at most 5,000.00 USD."),
    ({"cap_total": "5000", "totals_over": "trader"}, "Totals count the payouts of all your accounts together."),
    ({"cap_trader_share": "700"}, "Your share of a payout may be at most 700.00 USD."),
    ({"in_blocks_of": "250"}, "A request must be a multiple of 250.00 USD."),
    (
        {"caps": [{"type": "amount", "value": "900", "per_days": 30}]},
        "A request, together with everything paid in the 30 days before it, may be at most 900.00 USD.",
    ),
    (
        {"caps": [{"type": "pct_of_profit", "value": "60", "below_profit": NET}]},
        "at most 60 % of the profit, while the profit is below 2,000.00 USD.",
    ),
    ({"base": "profit_within_safety_net", "safety_net": NET}, "Payouts come from the profit within the safety net."),
    (
        {"split_by_trading_days": [{"below": 60, "pct": "50"}, {"pct": "90"}]},
        "With fewer than 60 trading days, your share is 50 %. Otherwise your share is 90 %.",
    ),
    ({"fee_refund": {"pct": "150", "paid_with": {"payout": 3}}}, "With payout 3 you get back 150 % of the last fee"),
    ({"fee_refund": {"amount": "all_fees_paid"}}, "you get back 100 % of all fees you paid."),
    ({"by_payout": [{"from_payout": 2, "split_pct": "90"}]}, "From payout 2 on: your share is 90 %."),
    (
        {"cap_total": "5000", "by_payout": [{"from_payout": 2, "without": ["min_profit", "cap_total"]}]},
        "From payout 2 on: there is no minimum profit or cap on all payouts together any more.",
    ),
    (
        {"by_payout": [{"from_payout": 2, "split_pct": "90", "without": ["min_profit"]}]},
        "From payout 2 on: your share is 90 %; there is no minimum profit any more.",
    ),
    (
        {"caps": [{"type": "amount", "value": "900", "steps": [{"from_profit": "3000", "value": "1500"}]}]},
        "A request may be at most 900.00 USD, from a profit of 3,000.00 USD on 1,500.00 USD.",
    ),
    (
        {"caps": [{"type": "pct_of_profit", "value": "50", "steps": [{"from_profit": "3000", "value": None}]}]},
        "A request may be at most 50 % of the profit, from a profit of 3,000.00 USD on without a cap.",
    ),
    ({"split_pct": "0"}, "Your share is 0 %."),
    (
        {"cycles": [{"name": "closing", "closes_account": True, "split_pct": "50"}]},
        'the cycle "closing": your share is 50 %; the account is closed once it is paid.',
    ),
]


@pytest.mark.parametrize(("changes", "sentence"), SAID)
def test_a_term_is_said_and_kept(changes: dict[str, Any], sentence: str) -> None:
    own = terms(**changes)
    assert sentence in told(own)
    assert PayoutTerms.model_validate_json(own.model_dump_json()) == own


REPLACED: dict[str, Any] = {
    "first_after_days": 3,
    "every_days": 3,
    "split_pct": "61",
    "gates": ["best_day"],
    "caps": [],
    "after_first_trade": {"days": 3},
    "days_are": "calendar",
    "request_days": {"weekdays": ["monday"], "zone": "UTC"},
    "requires_flat": False,
    "requires_no_pending_orders": True,
    "min_balance_above_initial": NET,
    "min_profit": NET,
    "profit_since": "last_payout",
    "compare": ">",
    "min_request": "61",
    "min_trader_share": "61",
    "unlock_when_total_withdrawn": "61",
    "cap_per_request": "61",
    "cap_total": "61",
    "cap_trader_share": "61",
    "in_blocks_of": "61",
    "excess": "deducted_from_account",
    "base": "profit",
    "safety_net": NET,
    "profit_target": NET,
    "split_by_trading_days": [{"pct": "61"}],
    "split_tiers": [{"up_to": None, "pct": "61"}],
}
_BASES: dict[str, dict[str, Any]] = {
    "safety_net": {"base": "profit_above_safety_net"},
    "profit_target": {"base": "profit_target"},
}


def test_every_term_that_can_be_replaced_has_an_example() -> None:
    assert set(REPLACED) == set(Replacing.model_fields)


@pytest.mark.parametrize("field", REPLACED)
def test_what_a_payout_number_or_a_cycle_replaces_is_said_and_binds(field: str) -> None:
    change = {field: REPLACED[field], **_BASES.get(field, {})}
    stepped = terms(by_payout=[{"from_payout": 2, **change}])
    assert told(stepped) != told(terms())
    assert getattr(stepped.chosen(None, 2), field) != getattr(stepped.chosen(None, 1), field)
    cycled = terms(cycles=[{"name": "other", **change}])
    assert told(cycled) != told(terms(cycles=[{"name": "other"}]))
    assert getattr(cycled.chosen("other", 1), field) == getattr(stepped.chosen(None, 2), field)
    assert cycled.chosen("other", 1).chosen("other", 1) == cycled.chosen("other", 1)


def test_the_cycle_that_is_chosen_wins_over_the_payout_number() -> None:
    own = terms(
        by_payout=[{"from_payout": 2, "min_request": "70"}, {"from_payout": 3, "min_request": "90", "every_days": 1}],
        cycles=[{"name": "fast", "every_days": 2}],
    )
    assert [str(own.chosen(None, number).min_request) for number in (1, 2, 3, 9)] == ["50", "70", "90", "90"]
    assert (own.chosen("fast", 3).every_days, str(own.chosen("fast", 3).min_request)) == (2, "90")


@pytest.mark.parametrize(
    ("changes", "problem"),
    [
        ({"profit_since": "last_payout", "min_profit": None}, "there is no min_profit that it counts for"),
        ({"totals_over": "trader"}, "the terms have no total"),
        ({"live_account": {"formula": "sum_of_sizes"}}, "it follows the last of max_payouts"),
        ({"max_payouts": 1, "live_account": {"formula": "half_of_it"}}, "is no figure"),
        ({"by_payout": [{"from_payout": 2, "base": "profit_target"}]}, "by_payout.0.profit_target"),
        ({"by_payout": [{"from_payout": 2}, {"from_payout": 2}]}, "must rise"),
        ({"by_payout": [{"from_payout": 2, "cap_per_request": "10"}]}, "by_payout.0.min_request"),
        ({"split_by_trading_days": [{"pct": "50"}, {"below": 5, "pct": "60"}]}, "only the last may leave it out"),
        ({"cycle": "fixed", "days_are": "business"}, "a fixed cycle is a number of full days"),
        ({"cap_per_request": "100", "in_blocks_of": "250"}, "in_blocks_of: no request can be that large"),
        ({"min_profit": {"type": "pct_of_peak", "value": "1"}}, "a payout knows no pct_of_peak"),
        ({"split_tiers": [{"up_to": None, "pct": "9"}], "split_by_trading_days": [{"pct": "9"}]}, "or on tiers"),
        ({"compare": {"split_pct": ">"}}, "compare"),
        ({"by_payout": [{"from_payout": 2, "without": ["cap_total"]}]}, "the payouts before have none"),
        ({"caps": [{**CAP, "steps": [{"from_profit": "9", "value": "5"}] * 2}]}, "steps: each begins at a larger"),
        (
            {"caps": [{**CAP, "type": "pct_of_profit", "steps": [{"from_profit": "9", "value": "101"}]}]},
            "above 100 percent has no effect",
        ),
    ],
)
def test_a_contradiction_is_refused(changes: dict[str, Any], problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        terms(**changes)


def test_the_split_that_replaces_tiers_is_said_whole() -> None:
    ages = [{"below": 5, "pct": "50"}]
    own = terms(
        split_tiers=[{"up_to": None, "pct": "90"}], by_payout=[{"from_payout": 2, "split_by_trading_days": ages}]
    )
    said = told(own).replace("\N{NO-BREAK SPACE}", " ")
    assert "From payout 2 on: with fewer than 5 trading days, your share is 50 %; otherwise your share is 80 %." in said


def test_a_lowered_share_replaces_every_other() -> None:
    own = terms(split_tiers=[{"up_to": None, "pct": "90"}], cap_trader_share="100", caps=[])
    gross = Money(minor=10_000, currency="USD")
    assert split(gross, own, facts())[0].minor == 9_000
    lowered = facts(lowered_split_pct="50")
    assert split(gross, own, lowered)[0].minor == 5_000
    assert payout_amount(lowered, own, "USD").gross == 20_000


def test_amounts_in_the_terms_of_later_payouts_are_found() -> None:
    own = terms(by_payout=[{"from_payout": 2, "min_request": "70", "caps": [{"type": "amount", "value": "80"}]}])
    found = dict(own.amounts())
    assert found["by_payout", 0, "min_request"] == 70
    assert found["by_payout", 0, "caps", 0, "value"] == 80


def test_business_days_and_request_days_go_together() -> None:
    """Ten business days after Friday the 6th are Friday the 20th; requests are taken on Wednesdays."""
    days = {"weekdays": ["wednesday"], "opens": "08:00", "zone": "UTC"}
    own = terms(every_days=10, days_are="business", request_days=days)
    known = facts(payouts_paid=1, last_payout_at=datetime(2025, 6, 6, 9, tzinfo=UTC))
    assert eligible_from(known, own) == datetime(2025, 6, 25, 8, tzinfo=UTC)
    late = known.model_copy(update={"now": datetime(2025, 6, 25, 8, tzinfo=UTC)})
    asked = Money(minor=5_000, currency="USD")
    assert [refusal.code for refusal in refusals(known, own, asked)] == ["too_early"]
    assert refusals(late, own, asked) == ()
