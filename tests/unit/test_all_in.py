"""All-in: what an idea stood to lose beside both rooms, its evasions, and what only looks like it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from domain.surveillance.findings import Finding
from surveillance.book import MINUTE, Quotes
from surveillance.pattern import Limits
from surveillance.patterns.all_in import AllIn, AllInThresholds
from tests.books import START, Rows

DAY = 86_400.0


def found(rows: Rows) -> tuple[Finding, ...]:
    return AllIn(Limits(AllInThresholds())).judge(rows.book()).findings


def ordinary(**told: Any) -> Rows:
    """A daily limit of 5,000, a whole one of 10,000; trades of 1 lot with stops 50 pips away: 500 each."""
    rows = Rows()
    rows.account("a", **told)
    for n in range(20):
        won = (-1) ** n * 300
        rows.trade("a", n * DAY, 3600, open_price=1.3, close_price=1.3 + won / 100_000, stop=1.295, profit=won)
    return rows


def test_the_loss_to_the_stop_is_set_beside_both_rooms() -> None:
    rows = ordinary()
    rows.trade("a", 20 * DAY, 600, profit=-1000)
    rows.trade("a", 20 * DAY + 1200, 600, lots=8, open_price=1.3, close_price=1.3025, stop=1.295, profit=2000)
    (finding,) = found(rows)
    assert finding.key == "all_in/a"
    # 8 lots x 50 pips = 4,000: of 4,000 left today after the loss of 1,000, and of 5,000 fresh
    assert finding.sentence == (
        "Risked 4,000.00 USD on one EURUSD trade: 100 % of the 4,000.00 USD left to the daily loss limit."
    )
    assert finding.deals == ("t22",)
    assert finding.chance == "The median of the account's 22 trades put 10 % of the full loss limit at risk."
    assert float(finding.score) == pytest.approx(0.8)


def test_legs_split_within_minutes_are_one_idea() -> None:
    rows = ordinary()
    for leg in range(8):
        rows.trade("a", 21 * DAY + 40 * leg, 3600, open_price=1.3, stop=1.295)
    (finding,) = found(rows)
    assert len(finding.deals) == 8


def test_legs_one_after_the_other_are_not_added() -> None:
    rows = ordinary()
    for leg in range(8):
        rows.trade("a", 21 * DAY + 100 * leg, 90, open_price=1.3, stop=1.295)
    assert not found(rows)


def test_what_was_lost_without_a_stop_is_found() -> None:
    rows = ordinary()
    rows.trade("a", 21 * DAY, 3600, lots=10, profit=-4500)
    (finding,) = found(rows)
    assert finding.evidence[1].rows[0][5] == "largest loss while open, no stop loss"  # type: ignore[union-attr]


def test_losses_cut_anywhere_do_not_hide_a_bet_of_many_times_the_usual_lots() -> None:
    """Without stops the losses of half a lot to one and a half lie between 3 and 900: 15 lots stand apart all the same,
    one lot that lost as much does not."""
    for lots, count in ((15.0, 1), (1.0, 0)):
        rows = Rows()
        rows.account("a")
        for n, lost in enumerate((3, 900, 8, 20, 400, 5, 150, 60, 12, 700, 30)):
            rows.trade("a", n * DAY, 1800, lots=(0.5, 1, 1.5)[n % 3], profit=-lost)
        rows.trade("a", 21 * DAY, 1800, lots=lots, profit=-4_695)
        assert len(found(rows)) == count


def test_one_winner_without_a_stop_that_decides_is_found() -> None:
    rows = ordinary()
    rows.trade("a", 21 * DAY, 3600, lots=20, profit=8000)
    (finding,) = found(rows)
    assert finding.evidence[1].rows[0][5] == "profit made without a stop loss"  # type: ignore[union-attr]


def test_an_account_of_few_or_only_such_ideas_is_found() -> None:
    for count in (1, 3, 12):
        rows = Rows()
        rows.account("a")
        for n in range(count):
            rows.trade("a", n * DAY, 3600, lots=9, open_price=1.3, stop=1.295)
        (finding,) = found(rows)
        assert len(finding.deals) == count


def test_a_bold_trader_of_varied_sizes_is_spared() -> None:
    """Ideas of 20 to 60 % of the daily limit, 35 % usually: none stands apart."""
    rows = Rows()
    rows.account("a")
    for n, lots in enumerate((2, 3, 4, 3, 6, 3.5, 2.5, 5, 3.5, 4, 5.5, 3)):
        rows.trade("a", n * DAY, 3600, lots=lots, open_price=1.3, stop=1.295)
    assert not found(rows)


def test_a_far_stop_under_usual_lots_is_spared() -> None:
    rows = ordinary()
    rows.trade("a", 21 * DAY, 3600, lots=1, open_price=1.3, stop=1.26)
    assert not found(rows)


def test_a_large_gain_of_usual_size_or_with_a_stop_is_spared() -> None:
    rows = ordinary()
    rows.trade("a", 21 * DAY, 9 * DAY, lots=1, profit=8000)
    rows.trade("a", 40 * DAY, 9 * DAY, lots=4, open_price=1.3, stop=1.295, profit=8000)
    assert not found(rows)


def test_a_drawdown_that_the_quotes_show_is_found() -> None:
    """10 lots without a stop, closed even, 45 pips under water meanwhile: 4,500 of 5,000."""
    rows = ordinary()
    minutes = np.arange(60, dtype=np.float64)
    low = np.where(minutes == 30, 1.2955, 1.2995)
    high = np.full(60, 1.3005)
    at = START + round(21 * DAY) * 1_000_000 + np.arange(60) * MINUTE
    rows.quotes["EURUSD"] = Quotes(at, low, low + 0.0001, low, high, low + 0.0001, high + 0.0001)
    rows.trade("a", 21 * DAY + 10, 3000, lots=10, open_price=1.3)
    (finding,) = found(rows)
    assert "4,500.00 USD" in finding.sentence


def test_a_small_trade_with_little_room_left_is_spared() -> None:
    rows = ordinary()
    rows.trade("a", 21 * DAY, 600, lots=1, open_price=1.3, stop=1.276, profit=-2400)
    rows.trade("a", 21 * DAY + 1000, 600, lots=1, open_price=1.3, stop=1.276, profit=-2200)
    rows.trade("a", 21 * DAY + 2000, 600, lots=1, open_price=1.3, stop=1.295, profit=-390)
    assert not found(rows)


def test_the_day_begins_at_midnight_of_the_account() -> None:
    """400 lost at 23:00 UTC, which is 01:00 of the same day in Prague: 4,600 are left there for an idea of 3,000."""

    def lost_before(zone: str) -> str:
        rows = ordinary(zone=zone)
        rows.trade("a", 20 * DAY + 23 * 3600, 60, lots=1, profit=-400)
        rows.trade("a", 20 * DAY + 26 * 3600, 60, lots=6, open_price=1.3, stop=1.295)
        (finding,) = found(rows)
        return finding.sentence

    assert "65 % of the 4,600.00 USD left" in lost_before("Europe/Prague")
    assert "60 % of the 5,000.00 USD left" in lost_before("UTC")


def _reduced(rows: Rows) -> None:
    rows.trade("a", 21 * DAY, 40, position="p", lots=7, open_price=1.3, stop=1.295)
    rows.trade("a", 21 * DAY, 3600, position="p", lots=1, open_price=1.3, stop=1.295)


def _hedged(rows: Rows) -> None:
    rows.trade("a", 21 * DAY, 3600, lots=8, open_price=1.3, stop=1.295)
    rows.trade("a", 21 * DAY + 5, 3600, side=-1, lots=8, open_price=1.3, stop=1.305)


def _gapped(rows: Rows) -> None:
    rows.trade("a", 21 * DAY, 3600, lots=1, open_price=1.3, stop=1.295, close_price=1.265, profit=-3500, reason="stop")


def _target_near(rows: Rows) -> None:
    rows.trade("a", 21 * DAY, 3600, lots=4.8, open_price=1.3, stop=1.295)


@pytest.mark.parametrize("decoy", [_reduced, _hedged, _gapped, _target_near])
def test_what_only_looks_like_it_is_spared(decoy: Callable[[Rows], None]) -> None:
    rows = ordinary()
    decoy(rows)
    assert not found(rows)


def test_an_account_without_limits_cannot_be_judged() -> None:
    rows = ordinary(daily_loss=0, max_loss=0)
    judged = AllIn(Limits(AllInThresholds())).judge(rows.book())
    assert (judged.findings, judged.cannot_judge) == ((), "1 accounts have no loss limit")
