"""The example products in one table: what passes each phase, the floors of the first day, and the terms of payouts."""

from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Final

import pytest

from domain.money import Money
from domain.payouts.amounts import split
from domain.payouts.eligibility import eligible_from, refusals
from domain.products.phase_terms import phase_terms
from domain.rules import floors
from tests.unit.example_life import EXAMPLES, Life, minor


@dataclass(frozen=True)
class Row:
    """In major units. `passes`: (closed balance, trading days) that pass each phase. `first_day`: the floors of the
    first phase, then of the funded account where they differ, by rule. `waits`: days before the first payout, and
    before the next. `shares`: of 1,000, by payout number."""

    passes: tuple[tuple[int, int], ...]
    first_day: tuple[dict[str, object], ...]
    waits: tuple[int, int]
    least: int
    shares: dict[int, int] = field(default_factory=dict)


ROWS: Final = {
    "two-step-static": Row(
        ((110_000, 4), (105_000, 4)), ({"daily_loss": 95_000, "max_loss": 90_000},), (14, 14), 20, {1: 800, 9: 800}
    ),
    "two-step-chosen-cycle": Row(
        ((108_000, 3), (105_000, 3)), ({"daily_loss": 95_000, "max_loss": 90_000},), (14, 14), 1_000, {1: 800}
    ),
    "two-step-no-correlated-hedge": Row(
        ((108_000, 3), (105_000, 3)), ({"daily_loss": 95_000, "max_loss": 90_000},), (14, 14), 100, {1: 800}
    ),
    "two-step-split-ladder": Row(
        ((108_000, 3), (105_000, 3)),
        (
            {"daily_loss": 96_000, "max_loss": 92_000, "open_loss": 99_000},
            {"daily_loss": 96_000, "max_loss": 92_000, "open_loss": 99_400},
        ),
        (14, 14),
        100,
        {1: 800},
    ),
    "two-step-weekly-loss": Row(
        ((108_000, 5), (105_000, 5)),
        ({"daily_loss": 97_000, "weekly_loss": 95_000, "max_loss": 90_000},),
        (30, 30),
        100,
        {1: 800},
    ),
    "one-step-eod-trailing": Row(
        ((110_000, 0),), ({"daily_loss": 97_000, "trailing_loss": 90_000},), (14, 14), 20, {1: 900}
    ),
    "one-step-flat-for-news": Row(
        ((27_250, 0),), ({"daily_loss": 24_000, "trailing_loss": 23_500},), (7, 7), 100, {1: 800}
    ),
    "three-step-stop-required": Row(
        ((106_000, 0), (106_000, 0), (106_000, 0)),
        ({"max_loss": 95_000}, {"daily_pause": 97_000, "max_loss": 96_000}),
        (14, 14),
        150,
        {1: 500, 2: 750, 7: 750},
    ),
    "instant-smart-drawdown": Row((), ({"max_loss": 9_000},), (0, 14), 50, {1: 800}),
    "instant-tight-risk": Row(
        (), ({"daily_loss": 48_500, "trailing_loss": 47_500, "open_loss": 49_500},), (14, 14), 500, {1: 950}
    ),
    "instant-even-sizes": Row((), ({"daily_loss": 48_000, "trailing_loss": 47_000},), (7, 7), 100, {1: 750}),
    "futures-eod-buffer": Row(((54_000, 0),), ({"trailing_loss": 48_000},), (14, 14), 1_000, {1: 1_000}),
    "futures-eod-winning-days": Row(
        ((53_000, 2),),
        ({"daily_loss": 49_000, "trailing_loss": 48_000}, {"daily_loss": -1_000, "trailing_loss": -2_000}),
        (0, 0),
        125,
        {1: 900},
    ),
    "futures-intraday-safety-net": Row(
        ((53_000, 7),),
        ({"trailing_loss": 47_500}, {"trailing_loss": 47_500, "open_loss": -750}),
        (8, 8),
        500,
        {1: 1_000},
    ),
    "futures-closing-payout": Row(((53_000, 5),), ({"trailing_loss": 48_000},), (0, 0), 50, {1: 800}),
    "futures-payout-ladder": Row(
        ((53_000, 0),), ({"daily_loss": 48_750, "trailing_loss": 48_000},), (0, 0), 500, {1: 1_000}
    ),
    "futures-closing-judged": Row(
        ((106_000, 0),), ({"daily_loss": 97_600, "trailing_loss": 97_000},), (14, 7), 1_000, {1: 900}
    ),
    "futures-instant-one-size": Row((), ({"daily_loss": 48_750, "trailing_loss": 48_000},), (0, 0), 500, {1: 900}),
    "crypto-day-peak": Row(
        ((55_000, 0), (52_500, 0)), ({"daily_loss": 47_500, "max_loss": 45_000},), (0, 0), 100, {1: 700, 3: 800, 6: 900}
    ),
    "crypto-cured-sizes": Row(
        ((11_000, 0), (10_500, 0)), ({"daily_loss": 9_500, "max_loss": 9_000},), (0, 0), 50, {1: 800, 3: 800, 4: 900}
    ),
    "crypto-instant-stepped": Row((), ({"max_loss": 9_000},), (7, 7), 50, {1: 800}),
    "swing-margin-by-class": Row(
        ((110_000, 0), (108_000, 0)), ({"daily_loss": 95_000, "max_loss": 90_000},), (14, 14), 100, {1: 800}
    ),
}


def test_every_example_has_a_row() -> None:
    assert set(ROWS) == set(EXAMPLES)


@pytest.mark.parametrize("name", ROWS)
def test_what_passes_and_the_floors_of_the_first_day(name: str) -> None:
    product, row = EXAMPLES[name], ROWS[name]
    terms = [phase_terms(product, index) for index in range(1, product.funded_index + 1)]
    assert [(each.passing_minor, each.min_trading_days) for each in terms[:-1]] == [
        (minor(balance), days) for balance, days in row.passes
    ]
    for each, wanted in ((terms[0], row.first_day[0]), (terms[-1], row.first_day[-1])):
        found = {spec.rule_id: Decimal(floors.opened(spec).floor_minor) / 100 for spec in each.specs}
        assert found == wanted


@pytest.mark.parametrize("name", ROWS)
def test_the_waits_the_least_request_and_the_shares(name: str) -> None:
    """Funded on Monday the 2nd at 08:00, first trade at that instant; a payout was paid on Monday the 16th."""
    product, row, life = EXAMPLES[name], ROWS[name], Life(name)
    life.open("2 08:00", "a", "ES")
    first, then = row.waits
    facts = life.facts("2 08:00", profit_minor=minor(4_000), balance_minor=life.initial_minor + minor(4_000))
    found = eligible_from(facts, product.payout)
    business = product.payout.days_are != "full"
    funded = product.clock.day_start(product.clock.trading_day(facts.now)) if business else facts.now
    wait = product.payout.after_first_trade
    assert found == funded + timedelta(days=first + (wait.days if wait else 0))
    paid_at = life.instant("16 08:00")
    later = facts.model_copy(
        update={"last_payout_at": paid_at, "payouts_paid": 1, "first_trade_since_payout_at": paid_at, "now": paid_at}
    )
    begun = product.clock.day_start(product.clock.trading_day(paid_at)) if business else paid_at
    assert eligible_from(later, product.payout) == begun + timedelta(days=then + (wait.days if wait else 0))

    def too_small(cents: int) -> bool:
        asked = Money(minor=cents, currency=product.currency)
        return "request_too_small" in {refusal.code for refusal in refusals(facts, product.payout, asked)}

    assert (too_small(minor(row.least) - 1), too_small(minor(row.least))) == (True, False)
    thousand = Money(minor=100_000, currency=product.currency)
    for number, share in row.shares.items():
        trader, _ = split(thousand, product.payout, facts.model_copy(update={"payouts_paid": number - 1}))
        assert trader.minor == minor(share)
