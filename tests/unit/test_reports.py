"""Months, shares and cohorts of reports, worked by hand."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from console.present.reports import of_whole, still_open, took
from domain.errors import BadInput
from domain.reports.months import months
from domain.reports.shares import Alike, early, fates, share
from store.read.pass_rates import RateRow

NOW = datetime(2026, 3, 31, 22, 30, tzinfo=UTC)  # already April in Prague, in summer time


def test_months_are_those_of_the_firms_zone_and_twelve_without_a_wish() -> None:
    usual = months("", "", NOW, "Europe/Prague")
    assert (usual.names[0], usual.names[-1], len(usual.names)) == ("2025-05", "2026-04", 12)
    assert months("", "", NOW, "UTC").names[-1] == "2026-03"
    asked = months("2025-12", "2026-03", NOW, "Europe/Prague")
    assert asked.names == ("2025-12", "2026-01", "2026-02", "2026-03")
    assert asked.since == datetime(2025, 11, 30, 23, tzinfo=UTC), "winter time"
    assert asked.until == datetime(2026, 3, 31, 22, tzinfo=UTC), "summer time"


@pytest.mark.parametrize(
    ("first", "last", "field"),
    [
        ("2026-02", "2026-01", "from_month"),
        ("2023-03", "2026-03", "from_month"),
        ("2026-13", "", "from_month"),
        ("2026-1", "", "from_month"),
        ("", "0000-01", "to_month"),
        ("", "soon", "to_month"),
    ],
)
def test_what_is_no_range_of_months_is_refused(first: str, last: str, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        months(first, last, NOW, "UTC")
    assert refused.value.field == field
    assert len(months("2023-04", "2026-03", NOW, "UTC").names) == 36


def test_a_share_stands_on_its_number() -> None:
    assert share(31, 120) == Decimal("0.2583")
    assert share(1, 3) == Decimal("0.3333") and share(1, 6) == Decimal("0.1667") and share(0, 7) == 0
    assert share(0, 0) is None
    assert of_whole(31, 120) == "of 120, 25.8 %" and of_whole(0, 0) == ""
    assert of_whole(1_200, 2_400) == "of 2,400, 50.0 %"


def test_a_rate_is_early_while_a_tenth_can_still_change_it() -> None:
    assert early(12, 120) and not early(11, 120)
    assert not early(0, 0) and early(1, 1)


def test_purchases_are_counted_by_what_became_of_them() -> None:
    def alike(purchases: int, passed: int, funded: bool, paid: bool, ended: str) -> Alike:
        return Alike("2026-01", "two-step", 1, purchases, passed, funded, paid, ended)  # type: ignore[arg-type]

    rows = (
        alike(50, 0, False, False, "breached"),
        alike(20, 1, False, False, "breached"),
        alike(5, 0, False, False, "expired"),
        alike(3, 0, False, False, "otherwise"),
        alike(11, 1, False, False, ""),  # in the second phase
        alike(8, 2, True, False, ""),  # funded, no payout yet
        alike(10, 2, True, True, ""),
        alike(6, 2, True, True, "breached"),  # paid, and broken later
        alike(7, 2, True, False, "breached"),
    )
    found = fates(rows, 2)
    assert (found.bought, found.passed) == (120, (62, 31))
    assert (found.funded, found.paid) == (31, 16)
    assert (found.breached, found.expired, found.ended_otherwise) == (83, 5, 3)
    assert (found.in_evaluation, found.unpaid_yet) == (11, 8)
    assert found.bought == found.breached + found.expired + found.ended_otherwise + 11 + 8 + 10
    assert not found.pass_rate_early, "11 of 120 are less than a tenth"
    assert found.payout_rate_early, "19 of 120 can still get a first payout"
    assert fates((), 1).passed == (0,)


def test_a_young_cohort_is_marked_in_words() -> None:
    counts = {"bought": 20, "passed": (1,), "funded": 1, "paid": 0, "breached": 5, "expired": 0, "ended_otherwise": 0}
    shares = {"funded_share": None, "paid_share": None, "paid_of_funded": None}

    def row(in_evaluation: int, *, passes: bool, payouts: bool) -> RateRow:
        marks = {
            "in_evaluation": in_evaluation,
            "unpaid_yet": 1,
            "pass_rate_early": passes,
            "payout_rate_early": payouts,
        }
        return RateRow.model_validate(counts | shares | marks)

    assert still_open(row(14, passes=True, payouts=True)) == "both rates: 14 of 20 open"
    assert still_open(row(1, passes=False, payouts=True)) == "payout rate: 2 of 20 open"
    assert still_open(row(0, passes=False, payouts=False)) == ""


def test_times_are_written_as_people_say_them() -> None:
    assert [took(seconds) for seconds in (None, 45, 120, 12_000, 172_800, 273_600)] == [
        "–", "45 s", "2 min", "3 h 20 min", "2 d", "3 d 4 h",
    ]  # fmt: skip
