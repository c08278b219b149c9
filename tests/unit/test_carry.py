"""What an account keeps when it goes on under other terms, and what begins for it."""

from datetime import UTC, datetime
from typing import Any

import pytest

from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from domain.rules import history
from domain.rules.carry import carried, carried_history
from domain.rules.events import Closed, Opened
from domain.rules.floors import Mark
from domain.rules.state import AccountRules, fresh, on_payout_settled, on_rollover
from firm.products.shelf import SHELF, load_product

AT = datetime(2014, 5, 2, 22, tzinfo=UTC)
NOW = Mark(10_400_000, 10_300_000, 9, AT)
TRAILING: dict[str, Any] = {
    "type": "max_loss_trailing",
    "id": "trailing_loss",
    "peak_basis": "eod_balance_peak",
    "allowance": {"type": "pct_of_initial", "value": "6"},
    "lock": {"offset": "100"},
    "payout_effect": "locks_at_initial",
    "breach_when": "equity < floor",
}
DAILY: dict[str, Any] = {
    "type": "daily_loss",
    "id": "daily_loss",
    "anchor": "balance",
    "allowance": {"type": "pct_of_initial", "value": "5"},
    "breach_when": "equity < floor",
}


def under(*rules: dict[str, Any]) -> Product:
    terms = load_product(SHELF / "two-step.v1.yaml").model_dump(mode="json")
    for phase in terms["phases"]:
        phase["rules"] = list(rules)
    terms["funded"]["rules"] = [rules[0]]
    return Product.model_validate(terms)


def stood(product: Product, *marks: Mark) -> AccountRules:
    rules = fresh(phase_terms(product, 1).specs)
    for mark in marks:
        rules = on_rollover(rules, mark)
    return rules


def after(rules: AccountRules, product: Product) -> dict[str, tuple[int, int, bool]]:
    moved = carried(rules, phase_terms(product, 1).specs, NOW)
    pairs = zip(moved.specs, moved.states, strict=True)
    return {spec.key: (state.basis_minor, state.floor_minor, state.locked) for spec, state in pairs}


def test_an_anchor_is_kept_and_the_new_allowance_taken_off_it() -> None:
    rules = stood(under(DAILY), Mark(10_200_000, 10_100_000, 5, AT))
    tighter = DAILY | {"allowance": {"type": "pct_of_initial", "value": "3"}}
    assert after(rules, under(tighter)) == {"daily_loss": (10_200_000, 9_900_000, False)}


def test_a_peak_is_kept_though_the_money_has_fallen() -> None:
    rules = stood(under(TRAILING), Mark(10_500_000, 10_500_000, 5, AT))
    wider = TRAILING | {"allowance": {"type": "pct_of_initial", "value": "8"}}
    assert after(rules, under(wider)) == {"trailing_loss": (10_500_000, 9_700_000, False)}


def test_a_lock_is_kept_where_the_new_version_puts_it() -> None:
    rules = on_payout_settled(stood(under(TRAILING)))
    moved = after(rules, under(TRAILING | {"lock": {"offset": "200"}}))
    assert moved == {"trailing_loss": (10_000_000, 10_020_000, True)}


@pytest.mark.parametrize(
    ("anchor", "basis"), [("balance", 10_400_000), ("equity", 10_300_000), ("max(balance,equity)", 10_400_000)]
)
def test_a_new_daily_rule_takes_its_anchor_now(anchor: str, basis: int) -> None:
    moved = after(stood(under(TRAILING)), under(DAILY | {"anchor": anchor}))
    assert moved == {"daily_loss": (basis, basis - 500_000, False)}


def test_a_limit_of_another_period_takes_its_anchor_now() -> None:
    rules = stood(under(DAILY | {"period": "month"}), Mark(12_000_000, 12_000_000, 5, AT))
    assert after(rules, under(DAILY)) == {"daily_loss": (10_400_000, 9_900_000, False)}


def test_a_new_peak_is_the_higher_of_the_start_and_now() -> None:
    assert after(stood(under(DAILY)), under(TRAILING))["trailing_loss"][0] == 10_400_000
    low = Mark(9_800_000, 9_800_000, 9, AT)
    moved = carried(stood(under(DAILY)), phase_terms(under(TRAILING), 1).specs, low)
    assert moved.states[0].basis_minor == 10_000_000


def test_an_id_that_means_another_kind_of_rule_begins_anew() -> None:
    rules = stood(under(DAILY | {"id": "limit"}), Mark(12_000_000, 12_000_000, 5, AT))
    assert after(rules, under(TRAILING | {"id": "limit"})) == {"limit": (10_400_000, 9_800_000, False)}


def test_conduct_and_gates_of_both_versions_go_on_and_others_begin() -> None:
    days: dict[str, Any] = {
        "type": "profitable_day_count",
        "id": "good_days",
        "required": 3,
        "compare": ">",
        "blocks": ["pass"],
    }
    old = under(DAILY, days)
    rules, context = phase_terms(old, 1).phase.history_rules, old.context(1)
    state = history.start(rules, context)
    common: dict[str, Any] = {"at": AT, "balance_minor": 10_000_000, "equity_minor": 10_000_000}
    trade: dict[str, Any] = {"position_id": "p", "symbol": "EURUSD", "side": "buy", "lots": 1}
    for event in (Opened(seq=1, **common, **trade), Closed(seq=2, pnl_minor=70_000, **common, **trade)):
        state, _ = history.step(state, event, rules, context)
    kept = carried_history(state, rules, rules, context, NOW)
    assert kept == state and kept.book.closed_minor == 70_000
    renamed = phase_terms(under(DAILY, days | {"id": "better_days"}), 1).phase.history_rules
    moved = carried_history(state, rules, renamed, context, NOW)
    assert set(moved.rules) == {"better_days"} and moved.rules["better_days"] == renamed[0].start(context)
    begun = carried_history(None, (), rules, context, NOW)
    assert begun.book.opening_balance_minor == NOW.balance_minor and set(begun.rules) == {"good_days"}
