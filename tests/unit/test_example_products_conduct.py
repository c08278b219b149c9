"""The example products: figures of rulebooks about open losses, weeks, news, hedging and sizes, worked by hand.

All dates are in June 2025: the 2nd is a Monday.
"""

import pytest

from tests.unit.example_life import Life, paid

# two-step-split-ladder: 1 % of open loss in the challenge; 0.6 % on the funded account, each offence lowers the share


def test_split_ladder_each_day_above_the_limit_lowers_the_share() -> None:
    """0.6 % of 100,000 is 600. A second time on the same day is the same offence; the next day is another."""
    life = Life("two-step-split-ladder").open("2 10:00", "a").mark("2 11:00", "99400.00")
    assert life.offences() == []
    life.mark("2 11:01", "99399.99").mark("2 12:00", 100_000).mark("2 13:00", 99_000)
    assert life.judged().lowered_split_pct == 50
    life.mark("2 14:00", 100_000).wait("2 17:00").mark("3 10:00", 99_000)
    assert life.offences() == [("open_loss", "lower_split")] * 2
    life.close("3 12:00", "a", 1_000)
    assert life.refused("16 07:59") == ["too_early"]
    assert paid(life.payout("16 08:00")) == ("1000.00", "400.00", "600.00")


def test_split_ladder_a_smaller_balance_has_a_smaller_limit() -> None:
    """1,000 is lost, so 0.6 % of 99,000 is 594: equity 98,406 is allowed."""
    life = Life("two-step-split-ladder").trade("2 09:00", -1_000).open("2 10:00", "a").mark("2 11:00", "98406.00")
    assert life.offences() == []
    assert life.mark("2 11:01", "98405.99").offences() == [("open_loss", "lower_split")]


def test_split_ladder_the_second_offence_ends_the_challenge() -> None:
    life = Life("two-step-split-ladder", 1).open("2 10:00", "a").mark("2 11:00", "98999.99")
    assert life.offences() == [("open_loss", "close_position")]
    life.close("2 11:05", "a", "-1000.01").wait("2 17:00").open("3 10:00", "b").mark("3 11:00", "98009.99")
    assert life.ends() == "", "1 % of 98,999.99 is 990.00"
    assert life.mark("3 11:01", "98009.98").ends() == "open_loss"


# two-step-weekly-loss: the floor of the week is the balance on Monday at midnight - 5,000


def test_weekly_the_floor_stays_for_the_week() -> None:
    """102,000 on Monday the 9th: 97,000 all week, while the floor of the day falls to 96,000 with the balance."""
    life = Life("two-step-weekly-loss", 1, zone="Europe/London").trade("4 10:00", 2_000)
    assert life.floor("weekly_loss") == 95_000, "the first week counts from the initial balance"
    life.trade("9 10:00", -1_500).trade("10 10:00", -1_500).open("11 10:00", "a")
    assert life.floor("weekly_loss") == 97_000
    assert life.floor("daily_loss") == 96_000
    assert life.mark("11 11:00", "97000.00").ends() == ""
    assert life.mark("11 11:01", "96999.99").ends() == "weekly_loss"


def test_weekly_the_day_only_pauses() -> None:
    """3,000 a day: 97,000 is allowed, a cent below pauses trading, and the account goes on."""
    life = Life("two-step-weekly-loss", 1).open("2 10:00", "a").mark("2 11:00", "97000.00")
    assert life.offences() == []
    life.mark("2 11:01", "96999.99")
    assert life.offences() == [("daily_loss", "pause_until_reset")]
    assert life.ends() == ""


def test_weekly_three_payouts_wait_thirty_dates_and_the_fourth_fourteen() -> None:
    """Funded on the 2nd: 30 dates later is 2 July. The first payout gives back 150 % of 449.00: 673.50."""
    life = Life("two-step-weekly-loss").trade("2 10:00", 2_000)
    assert life.refused("30 23:59") == ["too_early"]
    paid_on = {"last_payout_at": life.instant("12 15:00")}
    assert life.refused("26 00:00", payouts_paid=2, **paid_on) == ["too_early"]
    assert life.refused("25 23:59", payouts_paid=3, **paid_on) == ["too_early"]
    assert life.refused("26 00:00", payouts_paid=3, **paid_on) == []
    assert life.payout("30 10:00").refund == 67_350


# two-step-chosen-cycle: the share depends on the cycle that the trader chooses


@pytest.mark.parametrize(
    ("cycle", "when", "refused", "share"),
    [
        (None, "16 07:59", ["too_early"], "2400.00"),
        (None, "16 08:00", [], "2400.00"),
        ("tuesday", "9 23:59", ["too_early"], "1800.00"),
        ("tuesday", "10 00:00", [], "1800.00"),
        ("on-demand", "9 12:00", ["gate_unmet"], "2700.00"),
        ("monthly", "30 08:00", ["too_early"], "3000.00"),
    ],
)
def test_chosen_cycle(cycle: str | None, when: str, refused: list[str], share: str) -> None:
    """3,000 of profit, 1,080 of it on one day: 36 %, which binds on demand only."""
    life = Life("two-step-chosen-cycle").trade("3 10:00", 1_080).trade("4 10:00", 1_000).trade("5 10:00", 920)
    assert life.refused(when, cycle=cycle) == refused
    assert paid(life.payout(when, cycle=cycle))[1] == share


def test_chosen_cycle_thirty_five_percent_is_enough_on_demand() -> None:
    """1,080 of 3,085 is 35.01 %, of 3,086 it is 35.00 % (1,080.10 allowed)."""
    life = Life("two-step-chosen-cycle").trade("3 10:00", 1_080).trade("4 10:00", 1_000).trade("5 10:00", 1_005)
    assert life.refused("9 12:00", cycle="on-demand") == ["gate_unmet"]
    life.trade("5 12:00", 1)
    assert life.refused("9 12:00", cycle="on-demand") == []


@pytest.mark.parametrize(("again", "ends"), [("2 10:35", "trade_idea"), ("2 10:36", "")])
def test_chosen_cycle_two_losses_within_five_minutes_are_one_idea(again: str, ends: str) -> None:
    """1,800 lost at 10:30; bought again at 10:35 the idea has lost 3,000.01, at 10:36 it is another idea."""
    life = Life("two-step-chosen-cycle").trade("2 10:00", -1_800)
    assert life.trade(again, "-1200.01").ends() == ends


@pytest.mark.parametrize(("opened", "deducted"), [("2 09:30", 0), ("2 09:31", 80_000)])
def test_chosen_cycle_news_profit_counts_only_if_the_position_is_five_hours_old(opened: str, deducted: int) -> None:
    """A release at 14:30; the position is closed at 14:35 with 800."""
    life = Life("two-step-chosen-cycle").release("2 14:30").open(opened, "a").close("2 14:35", "a", 800)
    assert life.judged().deducted_minor == deducted
    assert life.payout("16 08:00").base == 80_000 - deducted


# instant-even-sizes: sizes by their average, short trades, best trade, two positions in one symbol


def test_even_sizes_are_judged_by_their_average_at_a_request() -> None:
    """Lots 20, 20, 5 and 35: the average is 20, so 5 to 40 are allowed. With one more of 55 it is 27: 6.75 to 54."""
    life = Life("instant-even-sizes")
    for hour, lots in enumerate((20, 20, 5, 35), start=9):
        life.trade(f"2 {hour:02d}:00", 10, lots=lots)
    assert life.request("3 10:00", 40).offences() == []
    life.trade("3 11:00", 10, lots=55)
    assert life.request("4 10:00", 40).offences() == [("lot_sizes", "review")] * 2


def test_even_sizes_short_gains_do_not_count() -> None:
    """119 seconds: the gain of 300 is out, the loss of 100 counts. 120 seconds are enough."""
    life = Life("instant-even-sizes").trade("2 10:00", 300, minutes=119 / 60).trade("2 11:00", -100, minutes=119 / 60)
    life.trade("2 12:00", 900, minutes=2)
    assert life.judged().deducted_minor == 30_000
    assert life.payout("9 08:00").base == 80_000


def test_even_sizes_the_third_position_in_one_symbol_earns_nothing() -> None:
    life = Life("instant-even-sizes")
    for name in ("a", "b", "c"):
        life.open("2 10:00", name, "XAUUSD")
    assert life.open("2 10:01", "d", "EURUSD").offences() == [("stacking", "deduct_profit")]
    for name in ("a", "b", "c", "d"):
        life.close("2 12:00", name, 100)
    assert life.payout("9 08:00").base == 30_000


def test_even_sizes_the_best_trade_may_make_a_fifth() -> None:
    """Up to a profit of 500 nothing is asked. Then six trades: 150 of 750 is 20 %, 150 of 749.99 is more."""
    life = Life("instant-even-sizes").trade("2 09:00", 150).trade("2 10:00", 150)
    assert life.refused("9 08:00") == []
    life.trade("2 11:00", 150).trade("2 12:00", 150)
    assert life.refused("9 08:00") == ["gate_unmet"]
    life.trade("2 13:00", "149.99")
    assert life.refused("9 08:00") == ["gate_unmet"]
    life.trade("2 14:00", "0.01")
    assert life.refused("9 08:00") == []
    assert paid(life.payout("9 08:00")) == ("750.00", "562.50", "187.50")


def test_even_sizes_a_share_of_five_thousand_is_the_most() -> None:
    """75 % of 6,666.67 is 5,000.00."""
    life = Life("instant-even-sizes").trade("2 10:00", 8_000)
    assert paid(life.payout("9 08:00")) == ("6666.67", "5000.00", "1666.67")


# two-step-no-correlated-hedge: two clocks; groups of symbols; the first two payouts are capped


def test_no_hedge_the_second_opposite_position_in_a_group_ends_the_account() -> None:
    life = Life("two-step-no-correlated-hedge").open("2 10:00", "a", "US30").open("2 10:01", "b", "XAUUSD", "sell")
    assert life.offences() == []
    assert life.open("2 10:02", "c", "US100", "sell").offences() == [("hedging", "warn")]
    assert life.open("2 10:03", "d", "XAGUSD", "buy").ends() == "hedging"


def test_no_hedge_the_loss_limit_restarts_at_20_55() -> None:
    """At 20:55 the balance is 100,000 and equity 103,000: the floor is 98,000. Midnight changes nothing."""
    life = Life("two-step-no-correlated-hedge").open("2 10:00", "a").mark("2 20:00", 103_000).wait("2 20:54")
    assert life.floor("daily_loss") == 95_000
    assert life.wait("2 20:55").floor("daily_loss") == 98_000
    assert life.mark("2 23:00", 101_000).wait("3 00:01").floor("daily_loss") == 98_000
    assert life.mark("3 01:00", "98000.00").ends() == ""
    assert life.mark("3 01:01", "97999.99").ends() == "daily_loss"


def test_no_hedge_the_first_two_payouts_take_six_percent_and_the_rest_is_lost() -> None:
    """Three days of 3,000 and one of 4,000, of which 3,000 count: 12,000. 6,000 are paid and 6,000 forfeited."""
    life = Life("two-step-no-correlated-hedge")
    for day, made in ((2, 3_000), (3, 3_000), (4, 3_000), (5, 4_000)):
        life.trade(f"{day} 10:00", made)
    payout = life.payout("16 08:00")
    assert (payout.base, payout.forfeited, payout.balance) == (1_200_000, 600_000, 10_100_000)
    assert paid(payout) == ("6000.00", "4800.00", "1200.00")
    assert paid(life.payout("16 08:00", payouts_paid=2)) == ("12000.00", "9600.00", "2400.00")


# one-step-flat-for-news: nothing is opened, closed or held around a release


@pytest.mark.parametrize(
    ("closed", "ends"), [("2 08:24:59", ""), ("2 08:25:00", "news"), ("2 08:35:00", "news"), ("2 08:35:01", "news")]
)
def test_flat_for_news_a_position_is_closed_before_the_window(closed: str, ends: str) -> None:
    """A release at 08:30: from 08:25 on nothing may be closed, and nothing held."""
    life = Life("one-step-flat-for-news").release("2 08:30").open("2 08:00", "a")
    assert life.close(closed, "a", 10).ends() == ends


def test_flat_for_news_a_speech_lasts_until_its_end() -> None:
    """From 13:30 to 14:20: an opening at 14:25 is too early, at 14:25:01 it is free."""
    for opened, ends in (("2 14:25:00", "news"), ("2 14:25:01", "")):
        life = Life("one-step-flat-for-news").release("2 13:30", ends="2 14:20")
        assert life.open(opened, "a").ends() == ends


def test_flat_for_news_a_profitable_day_makes_half_a_percent_of_its_first_balance() -> None:
    """26,000 at the start of the day: 130 count, 129.99 do not."""
    life = Life("one-step-flat-for-news").trade("2 10:00", 1_000).trade("3 10:00", "129.99").trade("4 10:00", 150)
    assert not life.wait("5 08:00").gate("profitable_days")
    assert life.trade("5 10:00", 140).wait("6 08:00").gate("profitable_days")


def test_flat_for_news_a_trading_day_needs_a_position_of_a_minute() -> None:
    """The target is 2,250: it is made on the third day, with a position of 59 seconds; one of a minute passes."""
    life = Life("one-step-flat-for-news", 1).trade("2 10:00", 1_000).trade("3 10:00", 1_000)
    assert life.trade("4 10:00", 250, minutes=59 / 60).ends() == ""
    assert life.trade("4 11:00", 0, minutes=1).ends() == "pass"


# crypto-cured-sizes: twice the balance in one symbol, three times in all, each cured once within five minutes


@pytest.mark.parametrize(("closed", "ends"), [("2 10:05:00", ""), ("2 10:05:01", "one_symbol")])
def test_cured_sizes_five_minutes_to_come_back(closed: str, ends: str) -> None:
    """20,000 in one symbol is the limit; one cent more may be open until 10:05:00."""
    life = Life("crypto-cured-sizes").open("2 09:00", "a", "BTCUSDT", value=20_000)
    assert life.offences() == []
    life.open("2 10:00:00", "b", "BTCUSDT", value="0.01").close(closed, "b", 0)
    assert life.ends() == ends


def test_cured_sizes_the_second_time_is_an_offence_at_once() -> None:
    """The sum of all symbols has a limit and a cure of its own: 30,000."""
    life = Life("crypto-cured-sizes").open("2 09:00", "a", "BTCUSDT", value=20_000)
    life.open("2 10:00", "b", "BTCUSDT", value=1).close("2 10:01", "b", 0)
    life.open("2 11:00", "c", "ETHUSDT", value="10000.01").close("2 11:04", "c", 0)
    assert life.offences() == []
    assert life.open("2 12:00", "d", "BTCUSDT", value=1).ends() == "one_symbol"


def test_cured_sizes_a_trading_day_needs_more_than_a_quarter_percent() -> None:
    """25 on 10,000 is exactly 0.25 % and not more. The next day begins with 11,000: 27.50 is not enough."""
    life = Life("crypto-cured-sizes", 1).trade("2 10:00", 25).trade("2 11:00", 975)
    life.trade("3 10:00", "27.50").trade("4 10:00", "27.58").trade("5 10:00", "27.65").trade("6 10:00", "27.71")
    assert life.ends() == "", "the 2nd, the 4th (27.57) and the 5th (27.64); 27.71 on the 6th is the limit"
    assert life.trade("6 11:00", -30).ends() == "pass"


# crypto-instant-stepped: floor 9,000; from a balance of 10,500 on, the balance that reached it - 500


def test_stepped_the_floor_is_measured_from_the_balance_that_reached_it() -> None:
    """10,499.99 leaves 9,000. A trade that brings the balance to 10,800 sets the floor to 10,300 for good."""
    life = Life("crypto-instant-stepped").trade("2 10:00", "499.99")
    assert life.floor("max_loss") == 9_000
    life.trade("2 11:00", "300.01").trade("3 10:00", 700).open("4 10:00", "a", "BTCUSDT")
    assert life.floor("max_loss") == 10_300
    assert life.mark("4 11:00", "10300.00").ends() == ""
    assert life.mark("4 11:01", "10299.99").ends() == "max_loss"


def test_stepped_a_payout_needs_five_percent() -> None:
    life = Life("crypto-instant-stepped").trade("2 10:00", "499.99")
    assert life.refused("9 08:00") == ["profit_too_low"]
    assert life.trade("2 11:00", "0.01").refused("9 08:00") == []
    assert life.refused("9 07:59") == ["too_early"]
    assert paid(life.payout("9 08:00")) == ("500.00", "400.00", "100.00")
