from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.exchange import Rate, convert
from domain.money import Money
from domain.payouts import PayoutFacts, PayoutTerms
from domain.payouts.amounts import available_minor, split
from domain.payouts.checks import RiskFacts, risk_checks, risk_decision, room_check, spare_minor
from domain.payouts.eligibility import eligible_from, refusals
from domain.payouts.payout import PAYOUT, ends_round, terms_digest, without_beneficiary
from domain.rules.base import EquityRule
from domain.rules.equity.daily_loss import DailyLoss
from domain.rules.equity.max_loss_static import MaxLossStatic
from domain.rules.equity.max_loss_trailing import Lock, MaxLossTrailing
from domain.rules.floors import Mark, marked, opened, rolled
from domain.rules.room import rooms_after_payout
from domain.rules.state import AccountRules
from domain.rules.terms import Size

NOW = datetime(2014, 5, 20, tzinfo=UTC)
CLEAR = RiskFacts(challenge_state="funded", identity="verified")


def usd(minor: int) -> Money:
    return Money(minor=minor, currency="USD")


def terms(**changes: object) -> PayoutTerms:
    given = {"first_after_days": 14, "every_days": 7, "split_pct": "80", "min_request": "50"}
    return PayoutTerms.model_validate({**given, **changes})


def facts(**changes: object) -> PayoutFacts:
    given = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": NOW - timedelta(days=14),
        "last_payout_at": None,
        "balance_minor": 10_400_000,
        "initial_minor": 10_000_000,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
    }
    return PayoutFacts.model_validate({**given, **changes})


@pytest.mark.parametrize("state", sorted(PAYOUT.states))
@pytest.mark.parametrize("trigger", sorted(PAYOUT.triggers))
def test_every_pair_of_state_and_trigger_is_in_the_table_or_refused(state: str, trigger: str) -> None:
    if PAYOUT.allows(state, trigger):
        assert PAYOUT.next(state, trigger) in PAYOUT.states
        assert state not in PAYOUT.terminal - PAYOUT.reopens
    else:
        with pytest.raises(Exception, match="cannot take"):
            PAYOUT.next(state, trigger)


def test_every_state_leads_to_an_end_and_money_leaves_only_through_approval() -> None:
    ends = {"paid", "refused", "rejected", "cancelled", "timed_out", "released"}
    assert PAYOUT.terminal == ends
    assert PAYOUT.reopens == {"paid"}
    assert {state for (state, trigger) in PAYOUT.table if trigger == "transfer_accepted"} == {"approved"}
    for start in PAYOUT.states - ends:
        seen, todo = set[str](), [start]
        while todo:
            state = todo.pop()
            seen.add(state)
            todo += [to for (at, _), to in PAYOUT.table.items() if at == state and to not in seen]
        assert seen & ends, start


@pytest.mark.parametrize(
    ("changes", "gross", "words"),
    [
        ({}, 400_000, None),
        ({}, 400_001, "more than the 4,000.00 USD available"),
        ({}, 4_999, "the smallest request is 50.00 USD"),
        ({"challenge_state": "breached"}, 400_000, "not funded; its state is breached"),
        ({"funded_at": NOW - timedelta(days=13)}, 400_000, "from 2014-05-21 00:00 UTC"),
        ({"last_payout_at": NOW - timedelta(days=6)}, 400_000, "from 2014-05-21 00:00 UTC"),
        ({"open_positions": 2}, 400_000, "close all positions first (2 open)"),
        ({"beneficiary_known": False}, 400_000, "add the bank account"),
        ({"balance_minor": 9_900_000}, 5_000, "more than the 0.00 USD available"),
    ],
)
def test_eligibility(changes: dict[str, object], gross: int, words: str | None) -> None:
    found = [refusal.sentence for refusal in refusals(facts(**changes), terms(), usd(gross))]
    assert found == [] if words is None else words in found[0]


def test_the_cap_limits_what_is_available() -> None:
    assert available_minor(facts(), terms(cap_per_request="1000"), "USD") == 100_000
    assert eligible_from(facts(funded_at=None), terms()) is None


@given(gross=st.integers(1, 10**12), percent=st.decimals("0.01", "100", places=2))
def test_a_split_loses_no_cent(gross: int, percent: Decimal) -> None:
    trader, firm = split(usd(gross), terms(split_pct=str(percent)))
    assert trader + firm == usd(gross)
    assert trader.minor >= 0
    assert firm.minor >= 0


def test_a_transfer_that_ends_ends_the_round_of_approvals() -> None:
    ending = {(state, trigger) for (state, trigger), to in PAYOUT.table.items() if ends_round(trigger, to)}
    assert {trigger for _, trigger in ending} >= {"transfer_refused", "transfer_returned"}
    assert not {trigger for _, trigger in ending} & {"transfer_accepted", "transfer_found", "transfer_paid"}
    assert ("approved", "risk_found") not in ending, "nothing was sent"


def test_the_digest_changes_with_everything_that_is_approved() -> None:
    def digest(
        minor: int = 5, currency: str = "USD", payout: str = "pay_1", to: str = "DE1", rules: str = "h", **more: Any
    ) -> str:
        share = Money(minor=minor, currency=currency)
        return terms_digest(payout_id=payout, trader_share=share, beneficiary_digest=to, product_hash=rules, **more)

    others = [digest(6), digest(currency="EUR"), digest(payout="pay_2"), digest(to="DE2"), digest(rules="i")]
    others += [digest(refund_minor=1), digest(forfeited_minor=1)]
    money = Money(minor=500, currency="USD")
    exchanged = [
        convert(money, Rate(sold="USD", bought=to, price=Decimal(price), source=source, at=NOW + timedelta(hours=hour)))
        for to, price, source, hour in (
            ("EUR", "0.9", "ECB", 0),
            ("GBP", "0.9", "ECB", 0),
            ("EUR", "0.91", "ECB", 0),
            ("EUR", "0.9", "desk", 0),
            ("EUR", "0.9", "ECB", 1),
        )
    ]
    others += [digest(conversion=each) for each in exchanged]
    assert len({digest(), *others}) == 13


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        ("Account DE89 3704-0044 is closed.", "Account (the beneficiary) is closed."),
        ("de8937040044: unknown", "(the beneficiary): unknown"),
        ("No such bank.", "No such bank."),
    ],
)
def test_what_a_provider_says_goes_on_the_record_without_the_beneficiary(said: str, kept: str) -> None:
    assert without_beneficiary(said, "DE89 37040044") == kept
    assert without_beneficiary(said, "") == said


@pytest.mark.parametrize(
    ("changes", "outcome", "by_case"),
    [
        ({}, "clear", False),
        ({"challenge_state": "breached"}, "cancel", False),
        ({"challenge_state": "charged_back", "confirmed_cases": ("cas_1",)}, "cancel", False),
        ({"confirmed_cases": ("cas_1",)}, "reject", True),
        ({"identity": "refused", "open_cases": {"cas_1": "It copies."}}, "reject", False),
        ({"open_cases": {"cas_1": "It copies."}}, "hold", True),
        ({"denied_by": {"cas_1": "Copying is not allowed."}}, "reject", True),
        ({"open_disputes": ("dsp_1",)}, "hold", False),
        ({"identity": "unverified"}, "hold", False),
        ({"terms_intact": False}, "hold", False),
        ({"halted": "No such bank."}, "hold", False),
        ({"breaches": ("brc_1",)}, "cancel", False),
        ({"breaches": ("brc_1",), "transfer_begun": True}, "hold", False),
        ({"account_status": "closed"}, "cancel", False),
        ({"account_status": "locked"}, "hold", False),
        ({"open_reviews": ("rev_1 (offence)",)}, "hold", False),
        ({"levels_beyond": ("There is no room.",)}, "hold", False),
    ],
)
def test_the_gravest_finding_decides(changes: dict[str, object], outcome: str, by_case: bool) -> None:
    found = risk_decision(CLEAR.model_copy(update=changes))
    assert (found.outcome, found.held_by_case) == (outcome, by_case)
    assert "cas_1" not in found.trader_message, "who is watched is not told"
    assert (outcome == "clear") == all(check["ok"] for check in risk_checks(CLEAR.model_copy(update=changes)).values())


TEN = Size(type="pct_of_initial", value=Decimal(10))
DAILY = DailyLoss(type="daily_loss", anchor="balance", allowance=TEN, breach_when="equity < floor")
STATIC = MaxLossStatic(type="max_loss_static", allowance=TEN, breach_when="equity <= floor")


def trailing(effect: str = "unchanged", lock: str | None = None, *, falls: bool = False) -> MaxLossTrailing:
    return MaxLossTrailing.model_validate(
        {
            "type": "max_loss_trailing",
            "peak_basis": "intraday_equity_peak",
            "allowance": TEN,
            "lock": None if lock is None else Lock(offset=Decimal(lock)),
            "peak_falls_by_payout": falls,
            "payout_effect": effect,
            "breach_when": "equity < floor",
        }
    )


@pytest.mark.parametrize(
    ("rule", "spare"),
    [
        (DAILY, 1_000_000),
        (STATIC, 1_399_999),  # at the floor is too far
        (trailing(), 1_000_000),
        (trailing(falls=True), 10_400_000),  # the floor goes with the payout
        (trailing(lock="-8000", falls=True), 10_400_000),  # below its lock the floor falls with the peak again
        (trailing("locks_at_initial"), 400_000),
        (trailing("floor_set_to_zero"), 10_400_000),
    ],
)
def test_the_most_that_can_leave_without_breaking_a_rule(rule: EquityRule, spare: int) -> None:
    (spec,) = rule.compile(10_000_000, "USD")
    mark = Mark(10_400_000, 10_400_000, 1, NOW)
    state = marked(spec, rolled(spec, opened(spec), mark), mark)
    most = spare_minor(spec, state, 10_400_000)
    assert most == spare
    rules = AccountRules((spec,), (state,))
    (after,), (too_far,) = (rooms_after_payout(rules, mark, size) for size in (spare, spare + 1))
    assert room_check(after, most, usd(spare))["ok"]
    refused = room_check(too_far, most, usd(spare + 1))
    assert not refused["ok"]
    assert "would break" in str(refused["words"])


def test_a_payout_that_leaves_no_room_is_named_before_it_is_asked_for() -> None:
    (spec,) = trailing("locks_at_initial").compile(10_000_000, "USD")
    mark = Mark(10_400_000, 10_400_000, 1, NOW)
    rules = AccountRules((spec,), (marked(spec, opened(spec), mark),))
    (left,) = rooms_after_payout(rules, mark, 400_000)
    check = room_check(left, 400_000, usd(400_000))
    assert (left.room_minor, check["ok"], check.get("warns")) == (0, True, True)
    assert str(check["words"]).startswith("After this payout the room is 0.00 USD under")
    (roomy,) = rooms_after_payout(rules, mark, 399_000)
    assert "warns" not in room_check(roomy, 400_000, usd(399_000))
