"""Payout terms: every axis by itself, at its edges, with the figures that a refusal shows."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.clocks import Clock
from domain.money import Money
from domain.payouts import GateFact, PayoutFacts, PayoutTerms
from domain.payouts.amounts import (
    available_minor,
    base_minor,
    cap_minor,
    next_cycle,
    payout_amount,
    refund_minor,
    split,
)
from domain.payouts.eligibility import eligible_from, refusals, refusals_of_any_amount
from domain.payouts.words import words
from domain.rules.base import Context

NOW = datetime(2025, 6, 16, 9, tzinfo=UTC)
BEST = GateFact(rule_id="best_day", met=False, sentence="The best day is 47.20 % of the profit.")


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


def terms(**changes: object) -> PayoutTerms:
    given = {"first_after_days": 14, "every_days": 7, "split_pct": "80", "min_request": "50"}
    return PayoutTerms.model_validate({**given, **changes})


def facts(**changes: object) -> PayoutFacts:
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


def codes(known: PayoutFacts, own: PayoutTerms, gross: int = 100_000) -> list[str]:
    return [refusal.code for refusal in refusals(known, own, usd(gross))]


LEAST = {"type": "amount", "value": "4000"}


@pytest.mark.parametrize(
    ("known", "own", "gross", "code"),
    [
        ({}, {}, 400_000, None),
        ({"challenge_state": "breached"}, {}, 400_000, "not_funded"),
        ({"funded_at": NOW - timedelta(days=14)}, {}, 400_000, None),
        ({"funded_at": NOW - timedelta(days=13, hours=23)}, {}, 400_000, "too_early"),
        ({"first_trade_at": NOW - timedelta(days=13)}, {"first_after": "first_trade"}, 400_000, "too_early"),
        ({}, {"first_after": "first_trade"}, 400_000, "no_trade_yet"),
        ({"open_positions": 1}, {}, 400_000, "positions_open"),
        ({"open_positions": 1}, {"requires_flat": False}, 400_000, None),
        ({"pending_orders": 1}, {}, 400_000, None),
        ({"pending_orders": 1}, {"requires_no_pending_orders": True}, 400_000, "orders_pending"),
        ({"gates": (BEST,)}, {}, 400_000, "gate_unmet"),
        ({"gates": (BEST,)}, {"gates": ["other"]}, 400_000, None),
        ({}, {"min_balance_above_initial": LEAST}, 400_000, None),
        ({}, {"min_balance_above_initial": LEAST, "compare": ">"}, 400_000, "balance_too_low"),
        ({"balance_minor": 10_399_999}, {"min_balance_above_initial": LEAST}, 5_000, "balance_too_low"),
        ({}, {"min_profit": {"type": "pct_of_initial", "value": "4"}}, 400_000, None),
        ({}, {"min_profit": {"type": "pct_of_initial", "value": "4.01"}}, 400_000, "profit_too_low"),
        ({}, {}, 400_001, "more_than_available"),
        ({}, {}, 4_999, "request_too_small"),
        ({}, {"min_trader_share": "80"}, 10_000, None),
        ({}, {"min_trader_share": "80"}, 9_999, "share_too_small"),
        ({}, {"unlock_when_total_withdrawn": "1000"}, 400_000, "locked"),
        ({"paid_gross_minor": 100_000}, {"unlock_when_total_withdrawn": "1000"}, 400_000, None),
        ({"beneficiary_known": False}, {}, 400_000, "beneficiary_missing"),
    ],
)
def test_each_condition_by_itself(
    known: dict[str, object], own: dict[str, object], gross: int, code: str | None
) -> None:
    found = refusals(facts(**known), terms(**own), usd(gross))
    assert [refusal.code for refusal in found] == ([] if code is None else [code])


def test_a_refusal_has_its_figures_and_keeps_as_json() -> None:
    (found,) = refusals(facts(), terms(), usd(400_001))
    assert found.figures == {"requested": 400_001, "available": 400_000}
    assert type(found).model_validate_json(found.model_dump_json()) == found
    (early,) = refusals_of_any_amount(facts(last_payout_at=NOW - timedelta(days=6)), terms(), "USD")
    assert early.figures == {"now": NOW, "from": NOW + timedelta(days=1)}


def test_the_first_cycle_may_be_longer_than_the_next() -> None:
    own = terms(first_after_days=21, every_days=14)
    assert eligible_from(facts(), own) == NOW - timedelta(days=9)
    assert eligible_from(facts(last_payout_at=NOW), own) == NOW + timedelta(days=14)
    assert eligible_from(facts(funded_at=None), own) is None


@pytest.mark.parametrize(("late", "expected"), [(0, 7), (1, 7), (6, 7), (7, 14), (15, 21)])
def test_a_fixed_cycle_keeps_its_grid_however_late_a_payout_was_paid(late: int, expected: int) -> None:
    own, first = terms(cycle="fixed"), NOW - timedelta(days=30) + timedelta(days=14)
    found = eligible_from(facts(last_payout_at=first + timedelta(days=late)), own)
    assert found == first + timedelta(days=expected)


def test_the_chosen_cycle_changes_what_it_names_and_nothing_else() -> None:
    fast = {"name": "on-demand", "first_after_days": 0, "split_pct": "90", "gates": ["best_day"]}
    own = terms(cycles=[fast, {"name": "monthly", "every_days": 30, "split_pct": "100", "gates": []}])
    known = facts(gates=(BEST,), funded_at=NOW)
    assert codes(known.model_copy(update={"cycle": "on-demand"}), own) == ["gate_unmet"]
    assert codes(known.model_copy(update={"cycle": "monthly"}), own) == ["too_early"]
    assert split(usd(10_000), own, facts(cycle="on-demand"))[0] == usd(9_000)
    assert split(usd(10_000), own, facts(cycle="monthly"))[0] == usd(10_000)
    assert split(usd(10_000), own, facts())[0] == usd(8_000)
    with pytest.raises(KeyError):
        own.chosen("weekly", 1)


@pytest.mark.parametrize(
    ("base", "extra", "expected"),
    [
        ("balance_minus_initial", {}, 400_000),
        ("profit", {}, 350_000),
        ("profit_above_safety_net", {"safety_net": {"type": "amount", "value": "1900"}}, 210_000),
        ("profit_target", {"profit_target": {"type": "pct_of_initial", "value": "8"}}, 800_000),
        ("min(profit,profit_target)", {"profit_target": {"type": "amount", "value": "3000"}}, 300_000),
        ("min(profit,profit_target)", {"profit_target": {"type": "amount", "value": "3500.01"}}, 350_000),
    ],
)
def test_the_base(base: str, extra: dict[str, object], expected: int) -> None:
    known = facts(profit_minor=350_000)
    assert base_minor(known, terms(base=base, **extra), "USD") == expected
    short = known.model_copy(update={"deducted_minor": 1})
    assert base_minor(short, terms(base=base, **extra), "USD") == expected - 1


def test_an_account_below_its_safety_net_has_nothing_to_pay() -> None:
    own = terms(base="profit_above_safety_net", safety_net={"type": "amount", "value": "5000"})
    assert base_minor(facts(), own, "USD") == -100_000
    assert available_minor(facts(), own, "USD") == 0
    assert payout_amount(facts(), own, "USD").gross == 0


def test_caps_bind_where_they_apply_and_the_smallest_wins() -> None:
    first_two = {"type": "pct_of_initial", "value": "3", "to_payout": 2}
    half = {"type": "pct_of_balance", "value": "50", "until": "winning_days"}
    third = {"type": "amount", "value": "2500", "from_payout": 3, "to_payout": 3}
    own = terms(caps=[first_two, half, third])
    assert cap_minor(facts(), own, "USD") == 300_000
    assert cap_minor(facts(payouts_paid=1), own, "USD") == 300_000
    assert cap_minor(facts(payouts_paid=2), own, "USD") == 250_000
    assert cap_minor(facts(payouts_paid=3), own, "USD") == 5_200_000
    done = GateFact(rule_id="winning_days", met=True, sentence="30 of 30 are done.")
    assert cap_minor(facts(payouts_paid=3, gates=(done,)), own, "USD") is None
    assert available_minor(facts(), terms(cap_per_request="1000", caps=[first_two]), "USD") == 100_000


def test_half_of_an_odd_balance_rounds_half_up() -> None:
    own = terms(caps=[{"type": "pct_of_balance", "value": "50"}])
    assert cap_minor(facts(initial_minor=0, balance_minor=246_813), own, "USD") == 123_407


@pytest.mark.parametrize(
    ("excess", "forfeited", "left"),
    [("kept_in_account", 0, 10_400_000), ("deducted_from_account", 400_000, 10_000_000)],
)
def test_the_excess_stays_or_goes(excess: str, forfeited: int, left: int) -> None:
    own = terms(caps=[{"type": "pct_of_initial", "value": "5"}], excess=excess)
    found = payout_amount(facts(balance_minor=10_900_000), own, "USD")
    assert (found.base, found.gross, found.trader, found.firm) == (900_000, 500_000, 400_000, 100_000)
    assert (found.forfeited, found.balance) == (forfeited, left)


def test_the_firms_share_leaves_the_account_even_when_only_a_part_is_taken() -> None:
    found = payout_amount(facts(), terms(), "USD", requested_minor=100_001)
    assert (found.trader, found.firm, found.balance) == (80_001, 20_000, 10_299_999)
    assert payout_amount(facts(), terms(), "USD", requested_minor=900_000).gross == 400_000


@pytest.mark.parametrize(
    ("cycle", "number", "pct"),
    [(None, 1, 80), (None, 2, 85), (None, 3, 70), (None, 4, 90), ("monthly", 1, 95), ("monthly", 4, 95)],
)
def test_a_share_that_a_cycle_or_a_later_payout_names_counts_before_the_list(
    cycle: str | None, number: int, pct: int
) -> None:
    own = terms(
        split_by_payout=[{"from_payout": 2, "pct": "85"}, {"from_payout": 4, "pct": "90"}],
        by_payout=[{"from_payout": 3, "split_pct": "70"}],
        cycles=[{"name": "monthly", "split_pct": "95"}],
    )
    chosen = own.chosen(cycle, number)
    assert chosen.split_pct == Decimal(pct)
    assert chosen.chosen(cycle, number) == chosen


def test_the_split_by_payout_number() -> None:
    own = terms(split_by_payout=[{"from_payout": 2, "pct": "85"}, {"from_payout": 4, "pct": "90"}])
    shares = [split(usd(10_000), own, facts(payouts_paid=paid))[0].minor for paid in range(5)]
    assert shares == [8_000, 8_500, 8_500, 9_000, 9_000]


@pytest.mark.parametrize(
    ("before", "gross", "share"),
    [(0, 1_000_000, 1_000_000), (0, 1_444_444, 1_400_000), (900_000, 200_000, 190_000), (1_000_000, 15, 14)],
)
def test_the_split_by_tier_counts_what_was_paid_before(before: int, gross: int, share: int) -> None:
    own = terms(split_tiers=[{"up_to": "10000", "pct": "100"}, {"up_to": None, "pct": "90"}])
    assert split(usd(gross), own, facts(paid_gross_minor=before))[0].minor == share


@pytest.mark.parametrize(
    ("change", "share"),
    [
        # tiers: 100 percent of the first 100.00, then 90; trading days: 50 percent below 10, then 80
        ({"split_by_trading_days": [{"below": 10, "pct": "50"}, {"pct": "70"}]}, 14_000),
        ({"split_by_trading_days": [{"below": 10, "pct": "50"}], "split_pct": "60"}, 12_000),
        ({"split_pct": "60"}, 12_000),
        ({"split_tiers": [{"up_to": None, "pct": "40"}]}, 8_000),
        ({"min_request": "60"}, 19_000),
    ],
)
def test_the_split_of_a_variant_replaces_the_tiers_of_the_product(change: dict[str, Any], share: int) -> None:
    tiers = {"split_tiers": [{"up_to": "100", "pct": "100"}, {"up_to": None, "pct": "90"}]}
    stepped = terms(**tiers, by_payout=[{"from_payout": 2, **change}])
    assert split(usd(20_000), stepped, facts(trading_days=10))[0].minor == 19_000
    paid = facts(trading_days=10, payouts_paid=1)
    assert split(usd(20_000), stepped, paid)[0].minor == share
    cycled = terms(**tiers, cycles=[{"name": "other", **change}])
    assert split(usd(20_000), cycled, facts(trading_days=10, cycle="other"))[0].minor == share
    # the cycle replaces also what a payout number replaces
    both = terms(by_payout=[{"from_payout": 2, **tiers}], cycles=[{"name": "other", **change}])
    assert split(usd(20_000), both, paid.model_copy(update={"cycle": "other"}))[0].minor == share


def test_tiers_of_a_variant_replace_the_split_by_trading_days() -> None:
    tiers = [{"up_to": "100", "pct": "100"}, {"up_to": None, "pct": "90"}]
    own = terms(split_by_trading_days=[{"pct": "50"}], by_payout=[{"from_payout": 2, "split_tiers": tiers}])
    assert split(usd(20_000), own, facts())[0].minor == 10_000
    assert split(usd(20_000), own, facts(payouts_paid=1))[0].minor == 19_000
    assert own.chosen(None, 2).split_by_trading_days == ()


def test_a_variant_has_one_kind_of_split() -> None:
    both = {"split_tiers": [{"up_to": None, "pct": "90"}], "split_by_trading_days": [{"pct": "80"}]}
    for variant in ({"by_payout": [{"from_payout": 2, **both}]}, {"cycles": [{"name": "other", **both}]}):
        with pytest.raises(ValueError, match="or on tiers"):
            terms(**variant)


@given(
    gross=st.integers(0, 10**11),
    paid=st.integers(0, 10**9),
    percents=st.lists(st.decimals("0.01", "100", places=2), min_size=2, max_size=3),
)
def test_no_split_loses_a_cent(gross: int, paid: int, percents: list[Decimal]) -> None:
    limits: list[str | None] = [str(1_000 * (number + 1)) for number in range(len(percents) - 1)]
    tiers = [{"up_to": up, "pct": str(pct)} for up, pct in zip([*limits, None], percents, strict=True)]
    trader, firm = split(usd(gross), terms(split_tiers=tiers), facts(paid_gross_minor=paid))
    assert trader + firm == usd(gross)
    assert min(trader.minor, firm.minor) >= 0


def test_the_fee_comes_back_with_the_first_payout_only() -> None:
    own = terms(fee_refund={})
    assert refund_minor(facts(last_fee_minor=54_000), own) == 54_000
    assert refund_minor(facts(last_fee_minor=54_000, payouts_paid=1), own) == 0
    assert refund_minor(facts(last_fee_minor=54_000), terms()) == 0
    assert refund_minor(facts(last_fee_minor=54_001), terms(fee_refund={"pct": "50"})) == 27_001
    assert payout_amount(facts(last_fee_minor=54_000), own, "USD").refund == 54_000


def test_the_next_cycle_counts_both_its_ends() -> None:
    assert next_cycle(date(2025, 6, 21), 14) == (date(2025, 6, 22), date(2025, 7, 5))
    assert next_cycle(date(2024, 2, 28), 1) == (date(2024, 2, 29), date(2024, 2, 29))


CAP = {"type": "amount", "value": "20"}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"safety_net": LEAST}, "a base that names it needs it, and no other base has it"),
        ({"base": "profit_above_safety_net"}, "a base that names it needs it, and no other base has it"),
        ({"base": "profit_target"}, "a base that names it needs it, and no other base has it"),
        ({"excess": "deducted_from_account"}, "there is no cap to exceed"),
        ({"cap_per_request": "49"}, "no request can be that large"),
        ({"caps": [{**CAP, "from_payout": 3, "to_payout": 2}]}, "it is before from_payout"),
        ({"caps": [{"type": "pct_of_balance", "value": "101"}]}, "a cap above 100 percent has no effect"),
        ({"split_tiers": [{"up_to": "5", "pct": "90"}]}, "so that every amount is shared"),
        (
            {
                "split_tiers": [{"up_to": None, "pct": "90"}],
                "split_by_payout": [{"from_payout": 2, "pct": "90"}],
            },
            "depends on the payout number or on tiers",
        ),
        (
            {"split_by_payout": [{"from_payout": 3, "pct": "90"}, {"from_payout": 2, "pct": "95"}]},
            "must rise from step to step",
        ),
        ({"cycles": [{"name": "weekly"}, {"name": "weekly"}]}, "two cycles share a name"),
        ({"bands": [{"up_to": "5", "approvers": 0}]}, "every amount has a policy"),
        ({"safety_net": {"type": "pct_of_peak", "value": "1"}, "base": "profit_above_safety_net"}, "pct_of_initial"),
    ],
)
def test_contradictions_are_refused(changes: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        terms(**changes)


def test_what_contradicts_the_account_or_its_gates_is_named() -> None:
    own = terms(
        gates=["best_day", "unheard_of"],
        caps=[{"type": "pct_of_initial", "value": "0.04"}, {**CAP, "until": "nowhere"}],
        cycles=[{"name": "fast", "gates": ["gone"]}],
        scaling={"increase_pct": "25", "cap": "100000"},
    )
    found = [where for where, _ in own.problems(10_000_000, "USD", frozenset({"best_day"}))]
    assert found == [
        ("gates",),
        ("cycles", 0, "gates"),
        ("caps", 1, "until"),
        ("caps", 0),
        ("caps", 1),
        ("scaling", "cap"),
    ]
    assert not list(terms(gates=["best_day"]).problems(10_000_000, "USD", frozenset({"best_day"})))


def test_everything_that_is_money_is_found() -> None:
    own = terms(
        cap_per_request="5000",
        min_trader_share="20",
        min_profit=LEAST,
        caps=[{"type": "amount", "value": "3000"}, {"type": "pct_of_initial", "value": "6"}],
        split_tiers=[{"up_to": "10000", "pct": "100"}, {"up_to": None, "pct": "90"}],
        scaling={"increase_pct": "25", "cap": "2000000"},
    )
    assert dict(own.amounts()) == {
        ("min_request",): 50,
        ("cap_per_request",): 5000,
        ("min_trader_share",): 20,
        ("min_profit", "value"): 4000,
        ("caps", 0, "value"): 3000,
        ("split_tiers", 0, "up_to"): 10000,
        ("scaling", "cap"): 2000000,
    }


def test_the_words_say_what_binds() -> None:
    context = Context(initial_minor=10_000_000, currency="USD", clock=Clock(zone="UTC", reset="00:00"))
    own = terms(
        first_after="first_trade",
        cycle="fixed",
        requires_no_pending_orders=True,
        compare=">",
        min_profit=LEAST,
        caps=[
            {"type": "pct_of_initial", "value": "6", "to_payout": 2},
            {"type": "pct_of_balance", "value": "50", "until": "winning_days"},
        ],
        excess="deducted_from_account",
        split_tiers=[{"up_to": "10000", "pct": "100"}, {"up_to": None, "pct": "90"}],
        fee_refund={},
        goodwill_pct="50",
        cycles=[{"name": "on-demand", "split_pct": "90", "gates": ["best_day"]}],
        scaling={"increase_pct": "25", "cap": "2000000"},
    )
    told = " ".join(words(own, context))
    for sentence in (
        "The first payout can be requested 14 days after your first trade.",
        'You may choose the cycle "on-demand": your share is 90 %; of the rules above that hold back a payout',
        'only "best day" must be met.',
        "The profit must be more than 4,000.00 USD.",
        "For the first 2 payouts, a request may be at most 6 % of the initial balance (6,000.00 USD).",
        'A request may be at most 50 % of the balance, until the rule "winning days" is met.',
        "Profit above the cap leaves the account and is paid to nobody.",
        "You receive 90 % of the total paid out above 10,000.00 USD.",
        "After a soft breach you still receive 50 % of the profit made until then.",
        "Every 4 months the account may grow by 25 % of its original size, up to at most 2,000,000.00 USD",
    ):
        assert sentence in told
    assert "Your share is 80 %." in words(terms(), context)
