"""Day padding: token days before the minimum, their evasions, and what only looks like them."""

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.pattern import Limits
from surveillance.patterns.day_padding import DayPadding, DayPaddingThresholds
from tests.books import Rows

DAY = 86_400.0
NOON = 43_200.0


def found(rows: Rows, **limits: float) -> tuple[Finding, ...]:
    return DayPadding(Limits(DayPaddingThresholds.model_validate(limits))).judge(rows.book()).findings


def account(min_days: int = 5, zone: str = "UTC", target: float = 8_000) -> Rows:
    rows = Rows()
    rows.account("a", min_days=min_days, zone=zone, target=target)
    return rows


def real(rows: Rows, day: int, profit: float = 2_000, lots: float = 5.0) -> None:
    for n in range(2):
        rows.trade("a", day * DAY + NOON + n * 4_000, 3_000, lots=lots, profit=profit)


def token(rows: Rows, day: int, lots: float = 0.05) -> None:
    rows.trade("a", day * DAY + NOON, 600, lots=lots, profit=2)


def test_tokens_after_the_target_until_the_minimum_are_found() -> None:
    rows = account()
    real(rows, 0)
    real(rows, 1)
    for day in (4, 5, 6):
        token(rows, day)
    (finding,) = found(rows)
    assert finding.key == "day_padding/a"
    # the third trade of 2,000 brings 8,000 on 2 May; 0.05 of 5 lots is 1 %
    assert finding.sentence == (
        "After reaching the profit target on 2014-05-02, 3 of the 3 days that count towards the minimum of 5 trading "
        "days had very small trades only: at most 1.0 % of the account's usual size."
    )
    assert finding.deals == ("t5", "t6", "t7")
    assert [row[5] for row in finding.evidence[1].rows] == ["", ""] + 3 * ["very small only"]  # type: ignore[union-attr]


def test_one_day_that_passes_and_four_tokens_are_found() -> None:
    rows = account()
    real(rows, 0, profit=4_500)
    for day in (1, 4, 5, 6):
        token(rows, day, lots=0.4)
    (finding,) = found(rows)
    assert "4 of the 4 days" in finding.sentence


def test_tokens_between_real_days_before_the_target_are_found() -> None:
    rows = account(min_days=8)
    for day in (0, 4, 8):
        real(rows, day, profit=500)
    for day in (1, 2, 5, 6, 7):
        token(rows, day)
    (finding,) = found(rows)
    assert finding.sentence.startswith("Before reaching the profit target, 5 of the 8 days that count")


def test_tokens_in_another_symbol_and_in_legs_are_found() -> None:
    rows = account()
    real(rows, 0)
    real(rows, 1)
    for day in (4, 5, 6):
        for leg in range(3):
            rows.trade("a", day * DAY + NOON + leg, 600, symbol="XAUUSD", lots=0.05, profit=0.5)
    assert found(rows)


def test_positions_opened_and_closed_at_once_are_tokens_of_any_size() -> None:
    rows = account()
    real(rows, 0)
    real(rows, 1)
    for day in (4, 5, 6):
        rows.trade("a", day * DAY + NOON, 3, lots=5, profit=-5)
    (finding,) = found(rows)
    assert finding.sentence.endswith("very short trades only: 3 closed within 60 seconds near break-even.")
    assert [each.name for each in finding.evidence[0].figures] == [  # type: ignore[union-attr]
        "Days with very small trades only",
        "Share of the days that count towards the minimum",
        "Trades closed at once near break-even",
    ]


@pytest.mark.parametrize("target", [8_000, 0], ids=["after the target", "before it"])
def test_the_usual_lots_of_a_quieter_symbol_are_no_tokens(target: float) -> None:
    """A lot of gold makes 2,000, a lot of EURUSD 100: half a lot of the one is a fortieth of a lot of the other."""
    for lots, count in ((0.5, 0), (0.05, 1)):
        rows = account(target=target)
        for day in (0, 1):
            for n in range(2):
                at = day * DAY + NOON + n * 4_000
                rows.trade("a", at, 3_000, symbol="XAUUSD", lots=1.0, profit=2_000)
        for day in (4, 5, 6):
            rows.trade("a", day * DAY + NOON, 3_000, lots=lots, profit=100 * lots)
        findings = found(rows, max_token_result_pct=1)
        assert len(findings) == count


def test_before_the_target_the_figures_are_those_that_decided() -> None:
    """The real days open 1, 1 and 10 lots: 0.05 lots are 0.5 % of the largest, which decided, and 5 % of the usual."""
    rows = account(min_days=8, target=0)
    for day in (0, 4, 8):
        for n, lots in enumerate((1.0, 1.0, 10.0)):
            rows.trade("a", day * DAY + NOON + n * 4_000, 3_000, lots=lots, profit=100 * lots)
    for day in (1, 2, 5, 6):
        rows.trade("a", day * DAY + NOON, 600, lots=0.05, profit=5)
    (finding,) = found(rows)
    assert "at most 0.5 % of the account's usual size" in finding.sentence
    assert [(float(each.measured), float(each.threshold)) for each in finding.evidence[0].figures] == [  # type: ignore[union-attr]
        (4, 2),
        (57.14, 40),  # of 7 days
        (0.5, 10),
    ]


def test_a_funded_account_with_one_real_day_and_tiny_days_is_found() -> None:
    rows = account(target=0)
    real(rows, 0)
    for day in (1, 4, 5, 6):
        token(rows, day)
    (finding,) = found(rows)
    assert "4 of the 5 days" in finding.sentence


def test_days_are_those_of_the_account() -> None:
    """22:30 and 23:30 UTC are two days in Prague: with the one before they were three of five, and two tokens are
    needed. In UTC they are one day, and the third token is needed as well."""

    def sentence(zone: str) -> str:
        rows = account(zone=zone)
        real(rows, 0)
        rows.trade("a", DAY + 21.5 * 3600, 600, lots=5, profit=10)
        rows.trade("a", DAY + 22.5 * 3600, 600, lots=5, profit=10)
        for day in (4, 5, 6):
            token(rows, day)
        rows.trades[0]["profit"] = 7_000.0
        return found(rows, min_token_days_pct=40)[0].sentence

    assert "3 of the 4 days" in sentence("UTC")
    assert "2 of the 4 days" in sentence("Europe/Prague")


@pytest.mark.parametrize("lots", [2.5, 1.2, 0.6])
def test_caution_after_the_target_is_spared(lots: float) -> None:
    rows = account()
    real(rows, 0)
    real(rows, 1)
    for day in (4, 5, 6):
        token(rows, day, lots=lots)
    assert not found(rows)


def test_small_days_beyond_the_minimum_are_spared() -> None:
    rows = account()
    for day in range(5):
        real(rows, day, profit=1_000)
    for day in (5, 6, 7):
        token(rows, day)
    assert not found(rows)


def test_first_tests_of_the_platform_are_spared() -> None:
    rows = account()
    for day in (0, 1, 2):
        token(rows, day)
    for day in (4, 5, 6):
        real(rows, day, profit=100)
    assert not found(rows)


def test_one_small_day_is_spared() -> None:
    rows = account()
    for day in (0, 1, 2, 5):
        real(rows, day)
    token(rows, 6)
    assert not found(rows)


def test_sizes_of_a_wide_range_are_spared() -> None:
    rng = np.random.default_rng(1)
    for _ in range(60):
        rows = account(min_days=10)
        for day in range(12):
            for n in range(int(rng.integers(1, 4))):
                lots = round(float(rng.lognormal(0, 0.9)), 2)
                rows.trade("a", day * DAY + NOON + n * 900, 600, lots=lots, profit=float(rng.normal(0, 300)))
        assert not found(rows)


def test_one_large_trade_does_not_make_ordinary_days_tokens() -> None:
    rows = account(min_days=10, target=20_000)
    for day in range(9):
        real(rows, day, profit=100, lots=1)
    real(rows, 9, profit=1_000, lots=20)
    assert not found(rows)


def test_a_product_may_allow_it_and_another_has_no_minimum() -> None:
    rows = account()
    real(rows, 0)
    real(rows, 1)
    for day in (4, 5, 6):
        token(rows, day)
    assert not found(rows, max_token_size_pct=0)
    rows.accounts[0]["min_days"] = -1
    judged = DayPadding(Limits(DayPaddingThresholds())).judge(rows.book())
    assert (judged.findings, judged.cannot_judge) == ((), "1 accounts have no minimum of trading days")
