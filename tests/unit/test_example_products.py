"""The example products: figures of rulebooks with one, two and three steps, instant, swing and crypto, worked by hand.

All dates are in June 2025: the 2nd is a Monday.
"""

from datetime import date
from decimal import Decimal

import pytest

from domain.payouts.scaling import ScalingFacts
from tests.unit.example_life import EXAMPLES, Life, paid

# two-step-static: daily floor = balance at midnight - 5,000; floor of the phase 90,000; first payout after 14 days


def test_static_the_daily_floor_follows_the_balance_at_midnight() -> None:
    """102,000 at midnight, so the floor of the day is 97,000: exactly there is allowed, a cent below is not."""
    life = Life("two-step-static", 1).trade("2 10:00", 2_000).open("3 09:00", "a").mark("3 10:00", "97000.00")
    assert life.floor("daily_loss") == 97_000
    assert life.ends() == ""
    assert life.mark("3 10:01", "96999.99").ends() == "daily_loss"


def test_static_the_target_waits_for_the_fourth_day() -> None:
    """10,000 is made on the third day; the fourth day passes it."""
    life = Life("two-step-static", 1).trade("2 10:00", 4_000).trade("3 10:00", 3_000).trade("4 10:00", 3_000)
    assert life.ends() == ""
    assert life.trade("5 10:00", "-0.01").ends() == ""
    assert life.trade("5 11:00", "0.01").ends() == "pass"


def test_static_the_first_payout() -> None:
    """The first trade is on the 2nd at 10:00, so the 16th at 10:00 is the first instant. 80 % of 2,000 and the fee."""
    life = Life("two-step-static").trade("2 10:00", 2_000)
    assert life.refused("15 10:00") == ["too_early"]
    assert life.refused("16 09:59") == ["too_early"]
    assert life.refused("16 10:00") == []
    payout = life.payout("16 10:00")
    assert paid(payout) == ("2000.00", "1600.00", "400.00")
    assert payout.refund == 54_000
    assert life.refused("16 10:00", pending_orders=1) == ["orders_pending"]


def test_static_a_stop_within_two_minutes_of_a_release_is_reviewed() -> None:
    """14:32:00 is within, 14:32:01 is not; EURGBP is no instrument of the dollar."""
    for closed, symbol, expected in (
        ("2 14:32:00", "XAUUSD", [("news", "review")]),
        ("2 14:32:01", "XAUUSD", []),
        ("2 14:32:00", "EURGBP", []),
    ):
        life = Life("two-step-static").release("2 14:30").open("2 10:00", "a", symbol)
        assert life.close(closed, "a", -100, action="stop_loss").offences() == expected


def test_static_nothing_stays_open_over_the_weekend() -> None:
    """New York closes on Friday the 6th at 17:00, which is 23:00 in Prague."""
    life = Life("two-step-static").open("6 10:00", "a").wait("6 22:59")
    assert life.offences() == []
    assert life.wait("6 23:00").offences() == [("flat_over_weekend", "close_position")]


def test_static_the_account_grows_by_a_quarter_of_its_first_size() -> None:
    """Four months, 10 % of the size and two payouts: 125,000, then 150,000 (not 156,250). Then 90 %."""
    plan = EXAMPLES["two-step-static"].payout.scaling
    assert plan is not None
    facts = ScalingFacts(
        today=date(2025, 10, 1),
        since=date(2025, 6, 2),
        profit_minor=999_999,
        payouts_paid=1,
        original_minor=10_000_000,
        current_minor=10_000_000,
        balance_minor=10_000_000,
    )
    assert len(plan.missing(facts, "USD")) == 3
    ready = {"today": date(2025, 10, 2), "profit_minor": 1_000_000, "payouts_paid": 2}
    assert plan.missing(facts.model_copy(update=ready), "USD") == ()
    assert plan.next_size(facts, "USD") == 12_500_000
    assert plan.next_size(facts.model_copy(update={"current_minor": 12_500_000}), "USD") == 15_000_000
    assert plan.split_pct == 90


# one-step-eod-trailing: floor = highest balance at midnight - 10,000, without a lock


def test_eod_trailing_only_the_balance_at_midnight_lifts_the_floor() -> None:
    """Equity touched 108,000; the balance at midnight was 106,000: floor 96,000 (and 103,000 for the day)."""
    life = Life("one-step-eod-trailing", 1).open("2 10:00", "a").mark("2 11:00", 108_000).close("2 12:00", "a", 6_000)
    assert life.floor("trailing_loss") == 90_000
    life.wait("3 08:00")
    assert life.floor("trailing_loss") == 96_000
    assert life.floor("daily_loss") == 103_000
    life.trade("3 10:00", 9_000).wait("4 08:00")
    assert life.floor("trailing_loss") == 105_000, "115,000 - 10,000: it does not lock at 100,000"


def test_eod_trailing_half_of_the_profit_on_one_day_is_just_allowed() -> None:
    """6,000 of 10,000 is 60 %; 6,000 of 11,999.99 is above 50 %; 6,000 of 12,000 is 50 %."""
    life = Life("one-step-eod-trailing", 1).trade("2 10:00", 6_000).trade("3 10:00", 4_000)
    assert life.ends() == ""
    assert life.trade("4 10:00", "1999.99").ends() == ""
    assert life.trade("4 11:00", "0.01").ends() == "pass"


def test_eod_trailing_the_best_day_also_holds_back_payouts() -> None:
    """2,000 of 3,000 is 66.67 %. 2,000 of 4,000 is 50 %: 90 % of 4,000 is paid."""
    life = Life("one-step-eod-trailing").trade("2 10:00", 2_000).trade("3 10:00", 1_000)
    assert life.refused("16 10:00") == ["gate_unmet"]
    life.trade("4 10:00", 1_000)
    assert life.refused("16 10:00") == []
    assert paid(life.payout("16 10:00")) == ("4000.00", "3600.00", "400.00")


# instant-smart-drawdown: floor 9,000, and 9,500 for good once the balance has reached 10,500


def test_smart_drawdown_steps_once_and_for_good() -> None:
    life = Life("instant-smart-drawdown").trade("2 10:00", "499.99")
    assert life.floor("max_loss") == 9_000
    life.trade("2 12:00", "0.01")
    assert life.floor("max_loss") == 9_500
    life.trade("3 10:00", 1_500).open("4 10:00", "a")
    assert life.floor("max_loss") == 9_500, "it does not trail"
    assert life.mark("4 11:00", "9500.00").ends() == ""
    assert life.mark("4 11:01", "9499.99").ends() == "max_loss"


def test_smart_drawdown_equity_alone_does_not_step() -> None:
    assert Life("instant-smart-drawdown").open("2 10:00", "a").mark("2 11:00", 11_000).floor("max_loss") == 9_000


def test_smart_drawdown_only_the_first_payout_needs_the_step() -> None:
    """10,500: 80 % of 500 is 400. After it, 10,000.01 would be enough, 14 days later."""
    life = Life("instant-smart-drawdown").trade("2 10:00", "499.99")
    assert life.refused("2 12:00") == ["balance_too_low"]
    life.trade("2 12:00", "0.01")
    assert life.refused("2 13:00") == []
    assert paid(life.payout("2 13:00")) == ("500.00", "400.00", "100.00")
    life.pay("2 14:00", 500).trade("10 10:00", 60)
    later = {"payouts_paid": 1, "last_payout_at": life.instant("2 14:00")}
    assert life.refused("16 13:59", **later) == ["too_early"]
    assert life.refused("16 14:00", **later) == []


# instant-tight-risk: open loss 500; daily floor 97 % of the higher figure at midnight; trailing 2,500 up to 50,000


def test_tight_risk_one_percent_of_open_loss_ends_the_account() -> None:
    life = Life("instant-tight-risk").open("2 10:00", "a").mark("2 11:00", "49500.00")
    assert life.ends() == ""
    assert life.mark("2 11:01", "49499.99").ends() == "open_loss"


def test_tight_risk_the_daily_floor_follows_the_higher_of_balance_and_equity() -> None:
    """At midnight the balance is 50,000 and equity 51,000: 97 % of it, 49,470, may not be reached."""
    life = Life("instant-tight-risk").open("2 10:00", "a").mark("2 11:00", 51_000).close("3 10:00", "a", "-529.99")
    assert life.floor("daily_loss") == 49_470
    assert life.ends() == ""
    assert life.trade("3 11:00", "-0.01").ends() == "daily_loss"


def test_tight_risk_the_trailing_floor_stops_at_the_initial_balance() -> None:
    """A peak of 51,000 gives 48,500 (5 % of the initial balance, not of the peak); from 52,500 on it is 50,000."""
    life = Life("instant-tight-risk").open("2 10:00", "a").mark("2 11:00", 51_000)
    assert life.floor("trailing_loss") == 48_500
    assert life.mark("2 12:00", 60_000).floor("trailing_loss") == 50_000


@pytest.mark.parametrize(("best", "refused"), [(525, []), (526, ["gate_unmet"])])
def test_tight_risk_the_best_day_of_seven(best: int, refused: list[str]) -> None:
    """2,975 on six days and 525 on the seventh: 525 of 3,500 is 15 %. 526 of 3,501 is 15.02 %."""
    life = Life("instant-tight-risk")
    for day, made in zip((2, 3, 4, 5, 9, 10, 11), (500, 500, 500, 500, 500, 475, best), strict=True):
        life.trade(f"{day} 10:00", made)
    life.wait("12 08:00")
    assert life.refused("16 08:00") == refused
    assert life.refused("16 07:59") == ["too_early", *refused]
    if not refused:
        assert paid(life.payout("16 08:00")) == ("3500.00", "3325.00", "175.00")


# crypto-day-peak: daily floor = the day's highest equity - 2,500


def test_day_peak_the_floor_rises_within_the_day_and_begins_anew_at_midnight() -> None:
    """A peak of 52,000 gives 49,500. At midnight equity is 51,000, so that the new day begins with 48,500."""
    life = Life("crypto-day-peak", 1).open("2 10:00", "a", "BTCUSDT", stop_price=Decimal(1)).mark("2 11:00", 52_000)
    assert life.floor("daily_loss") == 49_500
    assert life.mark("2 12:00", "49500.00").ends() == ""
    assert life.mark("2 13:00", 51_000).wait("3 00:01").floor("daily_loss") == 48_500
    assert life.mark("3 01:00", "48500.00").ends() == ""
    assert life.mark("3 01:01", "48499.99").ends() == "daily_loss"


def test_day_peak_a_stop_within_five_minutes_for_three_percent() -> None:
    life = Life("crypto-day-peak").open("2 10:00:00", "a", "BTCUSDT").stop("2 10:05:00", "a", "1500.00")
    assert life.offences() == []
    life.open("2 11:00:00", "b", "ETHUSDT").wait("2 11:05:01")
    assert life.offences() == [("required_stop", "warn")]
    life.stop("2 11:06", "b", "1500.01")
    assert life.ends() == "required_stop"


def test_day_peak_a_trading_day_needs_a_trade_of_some_size() -> None:
    """A trade of 2,500 (5 %) with a result of 25 (1 % of it) counts; one of 24.99 or a trade of 2,499.99 does not."""
    life = Life("crypto-day-peak", 1)
    for day, made, value in ((2, 25, 2_500), (3, -25, 2_500), (4, "24.99", 2_500), (5, 500, "2499.99")):
        life.trade(f"{day} 10:00", made, value=value)
    gate, status = next(pair for pair in life.judged().gates if pair[0].id == "trading_days")
    assert (gate.blocks, status.met, status.figures["trading_days"]) == (("pass",), False, 2)


def test_day_peak_the_best_day_is_compared_with_the_profitable_days_alone() -> None:
    """2,000 + 1,500 + 1,500 = 5,000 on profitable days, 1,000 lost on another: 2,000 of 5,000 is 40 %."""
    life = Life("crypto-day-peak", 1)
    for day, made in ((2, 2_000), (3, 1_500), (4, -1_000), (5, "1499.99")):
        life.trade(f"{day} 10:00", made, value=5_000)
    assert not life.gate("best_day")
    assert life.trade("5 12:00", "0.01", value=5_000).gate("best_day")


def test_day_peak_the_share_rises_with_the_payouts() -> None:
    life = Life("crypto-day-peak").trade("2 10:00", 1_000)
    shares = [paid(life.payout("9 10:00", payouts_paid=number))[1] for number in (0, 2, 5)]
    assert shares == ["700.00", "800.00", "900.00"]
    assert life.payout("9 10:00").refund == 39_900


# swing-margin-by-class: 30,000 of margin in each class; days by equity


def test_swing_open_profit_lifts_the_daily_floor() -> None:
    """104,000 of equity at 17:00 in New York: the floor is 98,800, above the balance less 5 %."""
    life = Life("swing-margin-by-class", 1).open("2 10:00", "a").mark("2 16:00", 104_000).wait("2 17:01")
    assert life.floor("daily_loss") == 98_800
    assert life.mark("2 18:00", "98800.00").ends() == ""
    assert life.mark("2 18:01", "98799.99").ends() == "daily_loss"


def test_swing_the_margin_of_each_class_is_a_sum_of_its_own() -> None:
    """900,000 / 30 = 30,000 in metals is the limit, and 30,000 in currencies too; one cent of margin more is not."""
    life = Life("swing-margin-by-class").open("2 10:00", "a", "XAUUSD", value=900_000)
    assert life.open("2 10:01", "b", "EURUSD", value=900_000).offences() == []
    life.open("2 10:02", "c", "XAGUSD", value="0.30")
    assert life.offences() == [("margin", "deduct_profit")]


def test_swing_a_winner_of_two_days_counts_on_both() -> None:
    """+2,000 by equity on the first day, +2,000 on the second: 50 %. With 445 more it is 2,000 / 4,445 = 44.99 %."""
    life = Life("swing-margin-by-class").open("2 10:00", "a").mark("2 16:00", 102_000).close("3 10:00", "a", 4_000)
    assert not life.wait("3 17:01").gate("best_day")
    assert not life.trade("4 10:00", 444).gate("best_day")
    assert life.trade("4 12:00", 1).gate("best_day")
    assert life.refused("16 08:00") == []
    assert paid(life.payout("16 08:00")) == ("4445.00", "3556.00", "889.00")


# three-step-stop-required: no daily limit in the steps; the fifth violation ends the account


def test_stop_required_the_fifth_violation_is_the_last() -> None:
    life = Life("three-step-stop-required", 1)
    for number in range(5):
        assert life.ends() == ""
        life.open(f"{number + 2} 10:00:00", f"p{number}").wait(f"{number + 2} 10:03:00")
        assert len(life.offences()) == number
        life.wait(f"{number + 2} 10:03:01").close(f"{number + 2} 10:10", f"p{number}", 1)
    assert life.offences() == [("required_stop", "warn")] * 4 + [("required_stop", "fail")]


def test_stop_required_the_stop_may_risk_two_percent_of_the_balance() -> None:
    """2 % of 101,000 is 2,020."""
    life = Life("three-step-stop-required", 1).trade("2 09:00", 1_000, minutes=2)
    life.open("2 10:00", "a", stop_price=Decimal(1), risk="2020.00")
    assert life.offences() == []
    assert life.stop("2 10:01", "a", "2020.01").offences() == [("required_stop", "warn")]


def test_stop_required_a_step_has_no_daily_limit_and_the_funded_account_pauses() -> None:
    """4,999.99 lost in one day is no breach of a step; 95,000 is. Funded, 97,000 pauses the day."""
    life = Life("three-step-stop-required", 1).trade("2 10:00", "-4999.99", minutes=2)
    assert life.offences() == []
    assert life.trade("2 11:00", "-0.01", minutes=2).ends() == "max_loss"
    assert Life("three-step-stop-required").trade("2 10:00", "-2999.99", minutes=2).offences() == []
    funded = Life("three-step-stop-required").trade("2 10:00", -3_000, minutes=2)
    assert funded.offences() == [("daily_pause", "pause_until_reset")]
