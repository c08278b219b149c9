"""The meanings that systems get wrong, each as figures. Balances are dollars of a 100,000 account."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from domain.products.phase import Phase
from domain.products.phase_terms import PhaseTerms, compile_phase, phase_terms
from domain.products.target import target_reached
from domain.rules import state as rules_of
from domain.rules.evaluate import judge, level_breaches
from domain.rules.events import Moment
from domain.rules.floors import Costs, Mark
from domain.rules.room import rooms_after_payout
from domain.rules.state import AccountRules, fresh
from tests.shelf import shipped

AT = datetime(2025, 6, 3, tzinfo=UTC)


def rules(**rule: Any) -> AccountRules:
    phase = Phase.model_validate({"name": "Test", "rules": [{"breach_when": "equity < floor", **rule}]})
    return fresh(compile_phase(phase, 10_000_000, "USD"))


def dollars(balance: int | str, equity: int | str | None = None) -> Mark:
    cash = int(Decimal(balance) * 100)
    return Mark(cash, cash if equity is None else int(Decimal(equity) * 100), 1, AT)


def money(balance: int) -> Moment:
    return Moment(seq=1, at=AT, balance_minor=balance)


def floor(account: AccountRules) -> Decimal:
    return Decimal(account.states[0].floor_minor) / 100


def roll(account: AccountRules, balance: int | str, equity: int | str | None = None) -> AccountRules:
    return rules_of.on_rollover(account, dollars(balance, equity))


def breaks(account: AccountRules, balance: int | str, equity: int | str | None = None) -> bool:
    return bool(judge(account, dollars(balance, equity))[1])


DAILY = {"type": "daily_loss", "anchor": "balance", "allowance": {"type": "pct_of_initial", "value": "5"}}
TRAILING = {
    "type": "max_loss_trailing",
    "peak_basis": "intraday_equity_peak",
    "allowance": {"type": "pct_of_initial", "value": "6"},
}


def test_1_a_rollover_breaches_with_no_price_move() -> None:
    account = rules(**DAILY)
    assert not breaks(account, 104_000, 98_000)
    after = roll(account, 104_000, 98_000)
    assert floor(after) == 99_000
    assert level_breaches(after, dollars(104_000, 98_000))[0].floor_minor == 9_900_000


@pytest.mark.parametrize(
    ("anchor", "expected"), [("balance", 95_000), ("equity", 96_000), ("max(balance,equity)", 96_000)]
)
def test_2_equity_above_balance_raises_some_floors_and_not_others(anchor: str, expected: int) -> None:
    assert floor(roll(rules(**{**DAILY, "anchor": anchor}), 100_000, 101_000)) == expected


@pytest.mark.parametrize(
    ("kind", "floors"), [("pct_of_initial", (94_000, 114_000)), ("pct_of_peak", (94_000, 112_800))]
)
def test_3_percent_of_initial_and_of_peak_differ(kind: str, floors: tuple[int, int]) -> None:
    account = rules(**{**TRAILING, "allowance": {"type": kind, "value": "6"}})
    assert floor(account) == floors[0]
    assert floor(rules_of.on_mark(account, dollars(100_000, 120_000))) == floors[1]


@pytest.mark.parametrize(("operator", "broken"), [("equity < floor", False), ("equity <= floor", True)])
def test_4_reaching_is_not_falling_below(operator: str, broken: bool) -> None:
    assert breaks(rules(**{**DAILY, "breach_when": operator}), 100_000, 95_000) is broken


@pytest.mark.parametrize(
    ("lock", "expected"), [(None, 104_000), ({"offset": "0"}, 100_000), ({"offset": "100"}, 100_100)]
)
def test_5_the_lock(lock: dict[str, str] | None, expected: int) -> None:
    account = rules(**{**TRAILING, "lock": lock})
    assert floor(rules_of.on_mark(account, dollars(110_000))) == expected


def test_5_the_lock_on_the_first_payout_comes_when_it_is_settled() -> None:
    account = rules(**{**TRAILING, "payout_effect": "locks_at_initial"})
    held = rules_of.on_payout_hold(account, 100_000)
    assert floor(held) == 94_000
    settled = rules_of.on_payout_settled(held)
    assert floor(settled) == 100_000
    assert floor(rules_of.on_mark(settled, dollars(150_000))) == 100_000


def test_6_a_floor_taken_at_the_end_of_the_day_binds_all_day() -> None:
    account = rules(**{**TRAILING, "peak_basis": "eod_balance_peak"})
    account = roll(account, 103_000)
    assert floor(account) == 97_000
    assert not breaks(account, 103_000, 97_000)
    assert breaks(account, 103_000, "96999.99")


@pytest.mark.parametrize(
    ("basis", "expected"),
    [
        ("eod_balance_peak", 95_000),
        ("eod_max_balance_equity_peak", 96_000),
        ("intraday_balance_peak", 98_000),
        ("intraday_equity_peak", 99_000),
    ],
)
def test_7_what_sets_the_peak(basis: str, expected: int) -> None:
    account = rules(**{**TRAILING, "peak_basis": basis})
    account = rules_of.on_mark(account, dollars(104_000, 105_000))
    account = roll(account, 101_000, 102_000)
    account = rules_of.on_mark(account, dollars(99_000))
    assert floor(account) == expected


def test_8_withdrawing_everything_leaves_no_room() -> None:
    account = rules(**{**TRAILING, "peak_basis": "intraday_balance_peak", "lock": {"offset": "0"}})
    account = rules_of.on_mark(account, dollars(110_000))
    (room,) = rooms_after_payout(account, dollars(110_000), 1_000_000)
    assert room.room_minor == 0
    after = rules_of.on_payout_hold(account, 1_000_000)
    assert not breaks(after, 100_000)
    assert breaks(after, 100_000, "99999.99")


def test_8_a_peak_that_falls_with_the_payout_keeps_the_room() -> None:
    account = rules(**{**TRAILING, "peak_falls_by_payout": True})
    account = rules_of.on_mark(account, dollars(104_000))
    held = rules_of.on_payout_hold(account, 400_000)
    assert floor(held) == 94_000
    assert floor(rules_of.on_payout_release(held, 400_000)) == floor(account) == 98_000


def test_10_the_trading_day_follows_the_clock_through_daylight_saving() -> None:
    clock = next(p for p in shipped() if p.product == "two-step").clock
    assert clock.reset_on(datetime(2014, 3, 30).date()) == datetime(2014, 3, 29, 23, tzinfo=UTC)
    assert clock.reset_on(datetime(2014, 3, 31).date()) == datetime(2014, 3, 30, 22, tzinfo=UTC)


def test_11_days_and_flatness_are_part_of_the_target() -> None:
    product = next(p for p in shipped() if p.product == "two-step")
    terms: PhaseTerms = phase_terms(product, 1)
    assert target_reached(terms, money(10_800_000), 0, 1)
    assert not target_reached(terms, money(10_799_999), 0, 1)
    assert not target_reached(terms, money(10_800_000), 1, 1)
    assert not target_reached(terms, money(10_800_000), 0, 0)
    assert not target_reached(phase_terms(product, 3), money(99_999_999), 0, 9)


def test_several_rules_may_break_at_once_and_the_first_is_the_cause() -> None:
    product = next(p for p in shipped() if p.product == "two-step")
    account = rules_of.fresh(phase_terms(product, 1).specs)
    _, found = judge(account, dollars(100_000, 89_000))
    assert [verdict.spec.rule_id for verdict in found] == ["daily_loss", "max_loss"]


def test_state_survives_its_checkpoint() -> None:
    for product in shipped():
        account = rules_of.fresh(phase_terms(product, 1).specs)
        account = rules_of.on_payout_hold(roll(account, 103_000, 104_000), 12_345)
        assert rules_of.from_json(account.specs, rules_of.to_json(account)) == account


def test_reinstatement_starts_the_day_anew_and_keeps_the_peak() -> None:
    daily = rules_of.on_reinstatement(rules(**DAILY), dollars(93_000))
    assert floor(daily) == 88_000
    trailing = rules_of.on_mark(rules(**TRAILING), dollars(103_000))
    assert rules_of.on_reinstatement(trailing, dollars(96_000)) == trailing


CAP = {
    "type": "daily_move_cap",
    "anchor": "balance",
    "allowance": {"type": "pct_of_anchor", "value": "4"},
    "directions": ["down", "up"],
}
STATIC = {"type": "max_loss_static", "allowance": {"type": "pct_of_initial", "value": "10"}}


def levels(account: AccountRules) -> list[Decimal]:
    return [Decimal(state.floor_minor) / 100 for state in account.states]


@pytest.mark.parametrize(("operator", "at_it"), [("equity < floor", False), ("equity <= floor", True)])
def test_a_cap_binds_both_ways_and_its_ceiling_mirrors_the_operator(operator: str, at_it: bool) -> None:
    account = roll(rules(**{**CAP, "breach_when": operator}), 110_000)
    assert levels(account) == [105_600, 114_400]
    assert breaks(account, 110_000, 114_400) is breaks(account, 110_000, 105_600) is at_it
    assert breaks(account, 110_000, "114400.01") and breaks(account, 110_000, "105599.99")
    assert not breaks(account, 110_000, 110_000)


def test_a_cap_downwards_only_has_no_ceiling() -> None:
    assert not breaks(rules(**{**CAP, "directions": ["down"]}), 200_000)


def test_what_a_rule_does_not_hold_moves_neither_its_anchor_nor_its_worth() -> None:
    costs = Costs(commission_minor=-30_000, swap_minor=-20_000, fee_minor=-10_000)
    account = rules(**{**DAILY, "anchor": "equity", "holds": {"floating": False, "commissions": False}})
    account = rules_of.on_rollover(account, replace(dollars(101_000, 104_000), costs=costs))
    assert floor(account) == 96_300, "101,000 and the 300 of commissions, without the open 3,000"
    assert not judge(account, replace(dollars(96_000, 90_000), costs=costs))[1]
    assert judge(account, replace(dollars("95999.99", 120_000), costs=costs))[1]


@pytest.mark.parametrize(
    ("effect", "held", "settled"),
    [("unchanged", 90_000, 90_000), ("locks_at_initial", 90_000, 100_000), ("floor_set_to_zero", 90_000, 0)],
)
def test_the_first_payout_paid_may_fix_a_static_floor(effect: str, held: int, settled: int) -> None:
    account = rules_of.on_payout_hold(rules(**{**STATIC, "payout_effect": effect}), 300_000)
    assert floor(account) == held
    assert floor(rules_of.on_payout_settled(account)) == settled


def test_a_full_reset_begins_the_peak_anew_at_each_payout() -> None:
    account = rules(**{**TRAILING, "payout_effect": "full_reset"})
    for _ in range(2):
        account = rules_of.on_mark(account, dollars(120_000))
        assert floor(account) == 114_000
        account = rules_of.on_payout_settled(rules_of.on_payout_hold(account, 2_000_000))
        assert floor(account) == 94_000


def test_a_payout_lowers_an_anchor_that_falls_by_it_and_its_return_lifts_it() -> None:
    account = roll(rules(**{**DAILY, "payout_effects": ["anchor_falls_by_payout"]}), 110_000)
    held = rules_of.on_payout_hold(account, 1_000_000)
    assert floor(account) == 105_000
    assert floor(held) == 95_000
    assert floor(rules_of.on_payout_release(held, 1_000_000)) == 105_000
    assert floor(roll(held, 100_000)) == 95_000, "the next reset takes the anchor from what is left"


def test_a_futures_session_counts_from_the_equity_it_began_with() -> None:
    account = roll(rules(**{**DAILY, "anchor": "session_start_net_pnl"}), 103_000, 101_000)
    assert floor(account) == 96_000
    assert not breaks(account, 103_000, 96_000)
    assert breaks(account, 103_000, "95999.99")


def test_an_anchor_at_the_initial_balance_never_moves() -> None:
    assert floor(roll(rules(**{**DAILY, "anchor": "initial_balance"}), 130_000)) == 95_000
