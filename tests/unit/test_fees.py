"""The fees of a challenge: what each event charges, by hand from the format."""

from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from domain.charges import Fees, Prices, step
from domain.clocks import month_later
from domain.errors import BadInput
from tests.unit.worked_cases import check, event

Json = dict[str, Any]


def of_purchase(value: float) -> Json:
    return {"type": "pct_of_purchase", "value": value}


MONTHLY = {"monthly": 49, "activation": 149, "reset": 39.5}
ONE_OFF = {"purchase": 155.55, "buyback": of_purchase(110), "reset": of_purchase(50), "extension": 20}
WITH_ADD_ONS = {"purchase": 100, "add_ons": {"split 90": of_purchase(20), "weekly payouts": 12.5}}


def bought(t: str, *add_ons: str) -> Json:
    return event(t, "purchase", add_ons=list(add_ons)) if add_ons else event(t, "purchase")


CASES: list[tuple[Json, list[Json], Json]] = [
    (MONTHLY, [bought("2025-01-05")], {"charged": [49], "total": 49}),
    (MONTHLY, [bought("2025-01-05"), event("2025-03-04", "clock")], {"charged": [49, 49]}),
    (MONTHLY, [bought("2025-01-05"), event("2025-03-05", "clock")], {"charged": [49, 49, 49]}),
    # no month begins on the day of the funding, and none after it
    (
        MONTHLY,
        [bought("2025-01-05"), event("2025-02-05", "funded"), event("2025-06-05", "clock")],
        {"charged": [49, 149], "total": 198},
    ),
    (
        MONTHLY,
        [bought("2025-01-05"), event("2025-02-06", "cancelled"), event("2025-06-05", "clock")],
        {"charged": [49, 49]},
    ),
    (
        MONTHLY,
        [bought("2025-01-05"), event("2025-02-10", "reset"), event("2025-03-10", "reset")],
        {"charged": [49, 49, 39.5, 49, 39.5], "total": 226},
    ),
    # the 31st of a shorter month is its last day
    (
        MONTHLY,
        [bought("2025-01-31"), event("2025-02-28", "clock"), event("2025-03-30", "clock")],
        {"charged": [49, 49]},
    ),
    # half of 155.55 is 77.775
    (ONE_OFF, [bought("x"), event("y", "reset")], {"charged": [155.55, 77.78], "total": 233.33}),
    (ONE_OFF, [bought("x"), event("y", "buyback"), event("z", "extension")], {"charged": [155.55, 171.11, 20]}),
    (ONE_OFF, [bought("x"), event("y", "funded")], {"charged": [155.55]}),
    (WITH_ADD_ONS, [bought("x", "weekly payouts", "split 90")], {"charged": [100, 12.5, 20], "total": 132.5}),
    (
        {**WITH_ADD_ONS, "monthly": of_purchase(10)},
        [bought("2025-01-05", "split 90"), event("2025-02-05", "clock")],
        {"charged": [100, 10, 20, 10], "total": [{"after_event": 0, "value": 130}]},
    ),
    (MONTHLY, [], {"charged": [], "total": 0}),
]


@pytest.mark.parametrize(("prices", "events", "amounts"), CASES)
def test_what_is_charged(prices: Json, events: list[Json], amounts: Json) -> None:
    check("fees", {"prices": prices}, events, {"outcome": "computed", "amounts": amounts})


def test_a_month_is_of_the_rules_clock() -> None:
    clock = {"timezone": "America/New_York", "reset": "00:00"}
    events = [bought("2025-01-06T03:00:00+00:00"), event("2025-02-06T04:59:00+00:00", "clock")]
    check("fees", {"prices": MONTHLY, "day": clock}, events, {"amounts": {"charged": [49, 49]}})
    check("fees", {"prices": MONTHLY, "day": clock}, [events[0]], {"amounts": {"charged": [49]}})


@pytest.mark.parametrize(
    ("prices", "events", "field"),
    [
        ({"monthly": -1}, [], "monthly"),
        ({"moon": 1}, [], "moon"),
        ({"purchase": of_purchase(5)}, [], "purchase"),
        ({"reset": {"type": "pct_of_luck", "value": 1}}, [], "type"),
        (WITH_ADD_ONS, [bought("x", "a pony")], "add_ons"),
    ],
)
def test_what_has_no_price_is_refused(prices: Json, events: list[Json], field: str) -> None:
    check("fees", {"prices": prices}, events, {"outcome": "refused", "field": field})


def test_a_subscription_that_is_bought_again_begins_a_month_of_its_own() -> None:
    prices, fees = Prices(monthly=Decimal(10)), Fees()
    fees = step(fees, "purchase", date(2025, 1, 5), prices, "USD")
    fees = step(fees, "cancelled", date(2025, 1, 20), prices, "USD")
    fees = step(fees, "purchase", date(2025, 3, 9), prices, "USD")
    assert step(fees, "time", date(2025, 4, 8), prices, "USD").total_minor == 2000
    assert step(fees, "time", date(2025, 4, 9), prices, "USD").total_minor == 3000
    with pytest.raises(BadInput, match="no add-on"):
        step(fees, "purchase", date(2025, 4, 9), prices, "USD", ("x",))


def test_the_same_day_months_later() -> None:
    assert month_later(date(2024, 1, 31), 1) == date(2024, 2, 29)
    assert month_later(date(2025, 10, 31), 4) == date(2026, 2, 28)
    assert month_later(date(2025, 12, 5), 13) == date(2027, 1, 5)
