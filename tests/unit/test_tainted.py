"""Tainted profit: what a deduction may name, what it takes off the profit, and that nothing is taken off twice."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.errors import BadInput
from domain.histories.recorded import Bar, Fill, Operation, RecordedLife
from domain.money import Money
from domain.payouts import PayoutFacts, PayoutTerms
from domain.payouts.amounts import base_minor, payout_amount
from domain.payouts.checks import RiskFacts, eligibility_checks, risk_checks, risk_decision
from domain.payouts.eligibility import refusals
from domain.payouts.tainted import (
    MOST_NAMED,
    TaintedTrade,
    Trade,
    beside_tainted,
    check_named,
    digest,
    tainted_part_minor,
    total_minor,
)

NOW = datetime(2014, 5, 20, tzinfo=UTC)
INITIAL = 10_000_000
TERMS = PayoutTerms.model_validate(
    {"first_after_days": 14, "every_days": 7, "split_pct": "80", "min_request": "50", "base": "profit"}
)
MONEY = st.integers(0, 10**9)


def tainted(minor: int, position: str = "P1", closed: datetime = NOW - timedelta(days=3)) -> TaintedTrade:
    return TaintedTrade(
        position_id=position,
        symbol="EURUSD",
        opened_at=closed - timedelta(hours=1),
        closed_at=closed,
        profit_minor=minor,
        rule="Copying trades is not allowed.",
    )


def facts(profit: int, *trades: TaintedTrade, **changes: object) -> PayoutFacts:
    given_facts = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": NOW - timedelta(days=30),
        "last_payout_at": None,
        "balance_minor": INITIAL + profit,
        "initial_minor": INITIAL,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
        "tainted": trades,
    }
    return PayoutFacts.model_validate({**given_facts, **changes})


def trade(**changes: Any) -> Trade:
    plain = Trade("acc_1", "P1", "EURUSD", "USD", NOW, NOW, 7, Decimal(1), Decimal(1), 500)
    return replace(plain, **changes)


@given(st.integers(-(10**9), 10**9), st.lists(st.integers(1, 10**8), max_size=4), MONEY)
def test_a_deduction_takes_its_amount_off_and_never_makes_a_loss(profit: int, made: list[int], ruled: int) -> None:
    trades = [tainted(minor, f"P{number}") for number, minor in enumerate(made)]
    before = base_minor(facts(profit, deducted_minor=ruled), TERMS, "USD")
    after = base_minor(facts(profit, *trades, deducted_minor=ruled), TERMS, "USD")
    assert after == before - min(sum(made), max(0, before))
    amount = payout_amount(facts(profit, *trades, deducted_minor=ruled), TERMS, "USD")
    assert amount.gross == max(0, before - sum(made))
    assert amount.balance >= min(INITIAL + profit, INITIAL + sum(made)), "the tainted profit stays on the account"


def test_the_arithmetic_has_a_line_for_each_trade() -> None:
    known = facts(400_000, tainted(100_000), tainted(25_050, "P2"))
    words = str(eligibility_checks(known, TERMS, Money(minor=100, currency="USD"))["eligibility"]["words"])
    line = "tainted profit {} of trade {} (EURUSD, closed 2014-05-17 00:00 UTC): Copying trades is not allowed"
    assert line.format("1,000.00 USD", "P1") in words and line.format("250.50 USD", "P2") in words
    assert "payouts come from 2,749.50 USD" in words
    assert "more_than_available" in str(refusals(known, TERMS, Money(minor=274_951, currency="USD")))
    assert not refusals(known, TERMS, Money(minor=274_950, currency="USD"))


def test_the_profit_since_the_last_payout_loses_only_the_trades_after_it() -> None:
    terms = PayoutTerms.model_validate(
        {
            **TERMS.model_dump(mode="json"),
            "profit_since": "last_payout",
            "min_profit": {"type": "amount", "value": "900"},
        }
    )
    paid = {"last_payout_at": NOW - timedelta(days=8), "payouts_paid": 1, "payout_balance_minor": INITIAL + 200_000}
    least = Money(minor=5_000, currency="USD")
    earlier, later = tainted(50_000, closed=NOW - timedelta(days=9)), tainted(50_000)
    assert "profit_too_low" not in str(refusals(facts(300_000, earlier, **paid), terms, least))
    assert "profit_too_low" in str(refusals(facts(300_000, later, **paid), terms, least))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({}, ""),
        ({"is_deducted": True}, "deducted already"),
        ({"lots_out": Decimal("0.5")}, "not closed"),
        ({"lots_in": Decimal(0), "lots_out": Decimal(0)}, "not closed"),
        ({"profit_minor": 0}, "made no profit"),
        ({"profit_minor": -1}, "made no profit"),
        ({"pays_out": False}, "not paid out"),
        ({"was_reset": True}, "reset of the balance"),
    ],
)
def test_which_trades_can_be_named(changes: dict[str, object], why: str) -> None:
    one = trade(**changes)
    assert why in one.why_not and bool(why) == bool(one.why_not)
    if not why:
        assert check_named([("acc_1", "P1")], [one]) == [one]
        return
    with pytest.raises(BadInput, match=why) as refused:
        check_named([("acc_1", "P1")], [one])
    assert refused.value.field == "trades" and "P1" in str(refused.value)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ([], "No trade is named"),
        ([("acc_1", "P1")] * 2, "named twice"),
        ([("acc_2", "P1")], "no trade of an account"),
        ([("acc_1", str(number)) for number in range(MOST_NAMED + 1)], "At most"),
    ],
)
def test_what_names_nothing_of_the_case_is_refused(named: list[tuple[str, str]], words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_named(named, [trade()])


def test_the_digest_changes_with_all_that_is_approved() -> None:
    same = digest("cas_1", "rule", "why", [("a", "1", 5), ("b", "2", 6)])
    assert same == digest("cas_1", "rule", "why", [("b", "2", 6), ("a", "1", 5)])
    others = [
        digest("cas_2", "rule", "why", [("a", "1", 5), ("b", "2", 6)]),
        digest("cas_1", "other", "why", [("a", "1", 5), ("b", "2", 6)]),
        digest("cas_1", "rule", "other", [("a", "1", 5), ("b", "2", 6)]),
        digest("cas_1", "rule", "why", [("a", "1", 5)]),
        digest("cas_1", "rule", "why", [("a", "1", 5), ("b", "2", 7)]),
    ]
    assert len({same, *others}) == 6


RULES = st.dictionaries(st.sampled_from("abc"), st.integers(0, 10_000))


@given(RULES, RULES, RULES, st.integers(0, 20_000))
def test_rules_deduct_no_profit_that_is_tainted_already(
    counted: dict[str, int], clean: dict[str, int], offences: dict[str, int], made: int
) -> None:
    alone = beside_tainted(counted, counted, offences, {}, 0)
    assert alone == sum(max(counted.get(rule, 0), offences.get(rule, 0)) for rule in {*counted, *offences})
    beside = beside_tainted(counted, clean, offences, offences if made else {}, made)
    assert 0 <= beside <= alone, "a deduction never makes the rules deduct more"
    assert beside + made >= alone or any(clean.get(rule, 0) < minor for rule, minor in counted.items())


@pytest.mark.parametrize(
    ("counted", "clean", "offences", "since", "made", "beside"),
    [
        ({"cap": 300}, {"cap": 0}, {}, {}, 500, 0),  # all that the cap left out was tainted
        ({"cap": 300}, {"cap": 300}, {}, {}, 500, 300),  # another day's profit
        ({"cap": 300}, {"cap": 100}, {"cap": 300}, {"cap": 300}, 500, 100),  # both say the same
        ({"ratio": 100}, {"ratio": 400}, {}, {}, 500, 100),  # without the trades the ratio would be worse
        ({}, {}, {"level": 300}, {"level": 300}, 200, 100),
        ({}, {}, {"level": 300}, {}, 200, 300),  # before the first tainted trade
    ],
)
def test_what_rules_deduct_beside_the_tainted_trades(
    counted: dict[str, int], clean: dict[str, int], offences: dict[str, int], since: dict[str, int], made: int,
    beside: int,
) -> None:  # fmt: skip
    assert beside_tainted(counted, clean, offences, since, made) == beside


@pytest.mark.parametrize(
    ("now", "judged", "base", "leaves", "part"),
    [
        (0, 0, 400, 400, 0),
        (100, 100, 400, 400, 0),  # it was left out when the payout was judged
        (100, 0, 400, 300, 0),  # enough is left beside the payout
        (100, 0, 400, 301, 1),
        (900, 0, 400, 400, 400),  # never more than the payout
        (100, 0, None, 400, 100),  # a payout from before the figure was kept
    ],
)
def test_how_much_of_a_payout_is_tainted(now: int, judged: int, base: int | None, leaves: int, part: int) -> None:
    assert tainted_part_minor(tainted_minor=now, judged_minor=judged, base_minor=base, leaves_minor=leaves) == part


def test_a_payout_of_tainted_profit_ends_with_facts_and_rule_unless_its_money_may_be_out() -> None:
    known = {"challenge_state": "funded", "identity": "verified", "tainted": (tainted(100_000),)}
    beside = RiskFacts.model_validate(known)
    assert risk_decision(beside).outcome == "clear" and risk_checks(beside)["deductions"]["ok"]
    part = RiskFacts.model_validate({**known, "tainted_part": Money(minor=100, currency="USD")})
    ended = risk_decision(part)
    assert ended.outcome == "cancel" and "1.00 USD of it is tainted" in ended.reason
    assert "P1 (EURUSD" in ended.trader_message and "Copying trades is not allowed" in ended.trader_message
    assert not risk_checks(part)["deductions"]["ok"]
    assert risk_decision(part.model_copy(update={"transfer_begun": True})).outcome == "hold"
    assert risk_decision(part.model_copy(update={"has_arrived": True})).outcome == "clear"


def test_a_history_without_the_profit_of_some_positions() -> None:
    def fill(minute: int, position: str, profit: int, balance: int) -> Fill:
        at = NOW + timedelta(minutes=minute)
        return Fill(at, position, "EURUSD", "buy", "out", Decimal(1), Decimal(1), profit, -2, 0, balance)

    life = RecordedLife(
        opened_at=NOW,
        bars=(Bar(NOW + timedelta(minutes=5), 1100, 1200, 1000, 1146, 1146),),
        fills=(fill(1, "a", 52, 1050), fill(2, "b", 100, 1148), fill(7, "c", 10, 1156)),
        operations=(Operation(NOW + timedelta(minutes=3), "adjustment", 10, 1158),),
        snapshots={NOW: 1000, NOW + timedelta(minutes=4): 1158},
    )
    clean = life.without_profit_of({"b"})
    assert [(one.profit_minor, one.commission_minor, one.balance_minor) for one in clean.fills] == [
        (52, -2, 1050), (0, 0, 1050), (10, -2, 1058),
    ]  # fmt: skip
    assert clean.bars[0].balance_minor == 1048 and clean.bars[0].low_minor == 902
    assert clean.operations[0].balance_minor == 1060 and list(clean.snapshots.values()) == [1000, 1060]
    assert life.without_profit_of(set()) == life


def test_the_total_of_trades_after_a_date() -> None:
    trades = [tainted(5, closed=NOW - timedelta(days=2)), tainted(7, "P2", closed=NOW)]
    assert (total_minor(trades), total_minor(trades, NOW - timedelta(days=2))) == (12, 7)
