"""The example products for futures: the figures of each rulebook, worked by hand.

All dates are in June 2025: the 2nd is a Monday. A trading day ends at 17:00 (16:00 for the payout ladder).
"""

from decimal import Decimal

import pytest

from tests.unit.example_life import EXAMPLES, Life, paid

# futures-eod-buffer: floor = highest closing balance - 2,000, at most 50,100; 60 % of the profit below 2,100


def test_eod_buffer_the_floor_trails_the_close_and_locks() -> None:
    """51,800 at the close gives 49,800, whatever equity was; 53,000 gives 51,000, cut to 50,100."""
    life = Life("futures-eod-buffer", 1).open("2 09:00", "a", "ES").mark("2 10:00", 53_500).close("2 11:00", "a", 1_800)
    assert life.floor("trailing_loss") == 48_000
    assert life.wait("3 08:00").floor("trailing_loss") == 49_800
    assert life.trade("3 09:00", 1_200).wait("4 08:00").floor("trailing_loss") == 50_100
    assert life.open("4 09:00", "b", "ES").mark("4 10:00", "50100.01").ends() == ""
    assert life.mark("4 10:01", "50100.00").ends() == "trailing_loss"


def test_eod_buffer_sixty_percent_before_the_buffer_is_full() -> None:
    """1,800 of profit: 1,080, all of it for the trader. From 2,100 on there is no cap."""
    life = Life("futures-eod-buffer").trade("2 09:00", 1_800)
    assert life.refused("16 07:59") == ["too_early"]
    assert life.refused("16 08:00") == []
    assert paid(life.payout("16 08:00")) == ("1080.00", "1080.00", "0.00")
    assert paid(life.trade("3 09:00", "299.99").payout("16 08:00")) == ("1259.99", "1259.99", "0.00")
    assert paid(life.trade("3 10:00", "0.01").payout("16 08:00")) == ("2100.00", "2100.00", "0.00")


def test_eod_buffer_the_first_payout_fixes_the_floor() -> None:
    """50,720 is left above a floor of 50,100: 620 of room."""
    life = Life("futures-eod-buffer").trade("2 09:00", 1_800).pay("16 08:00", 1_080).open("16 09:00", "a", "ES")
    assert life.floor("trailing_loss") == 50_100
    assert life.mark("16 10:00", "50100.01").ends() == ""
    assert life.mark("16 10:01", "50100.00").ends() == "trailing_loss"


def test_eod_buffer_requests_on_weekdays_and_ten_percent_for_the_firm_after_ten_thousand() -> None:
    """500 of 1,000 are still within the first 10,000: 500 + 450."""
    life = Life("futures-eod-buffer").trade("2 09:00", 3_000)
    assert life.refused("21 10:00") == ["too_early"], "a Saturday"
    assert life.refused("23 00:00") == []
    facts = life.facts("23 10:00", paid_gross_minor=950_000)
    assert (facts.withdrawn_minor, paid(life.payout("23 10:00", paid_gross_minor=950_000))) == (
        950_000,
        ("3000.00", "2750.00", "250.00"),
    )


def test_eod_buffer_a_micro_counts_a_tenth() -> None:
    """4 minis and 10 micros are 5 contracts; one micro more is closed, the next ends the account."""
    life = Life("futures-eod-buffer", 1).open("2 09:00", "a", "ES", lots=4).open("2 09:01", "b", "MNQ", lots=10)
    assert life.offences() == []
    assert life.open("2 09:02", "c", "MES").offences() == [("contracts", "close_position")]
    assert life.open("2 09:03", "d", "MES").ends() == "contracts"


# futures-eod-winning-days: a soft daily loss of 1,000; winning days of 150; half the profit


def test_winning_days_the_daily_loss_pauses_and_restarts() -> None:
    """49,000 is reached: paused. The next session begins with 49,100 and may fall to 48,100."""
    life = Life("futures-eod-winning-days", 1).open("2 09:00", "a", "ES").mark("2 10:00", "49000.01")
    assert life.offences() == []
    assert life.mark("2 10:01", "49000.00").offences() == [("daily_loss", "pause_until_reset")]
    life.close("2 10:02", "a", -900).wait("2 17:00")
    assert life.floor("daily_loss") == 48_100
    assert life.ends() == ""


def test_winning_days_exactly_forty_percent_is_too_much() -> None:
    """1,200 of 3,000 is 40 % and not below it; 1,200 of 3,000.01 is."""
    life = Life("futures-eod-winning-days", 1).trade("2 09:00", 1_200).trade("3 09:00", 900).trade("4 09:00", 900)
    assert life.ends() == ""
    assert life.trade("4 10:00", "0.01").ends() == "pass"


def test_winning_days_contracts_rise_with_the_profit_of_the_close() -> None:
    """2 contracts below 1,500. The profit of 1,500 counts from the close on: then 3."""
    life = Life("futures-eod-winning-days").open("2 09:00", "a", "ES", lots=2).close("2 09:30", "a", 1_500)
    assert life.open("2 10:00", "b", "ES", lots=3).offences() == [("contracts", "close_position")]
    life.close("2 10:01", "b", 0).wait("2 17:00")
    assert len(life.open("3 09:00", "c", "ES", lots=3).offences()) == 1


def test_winning_days_five_of_150_and_half_the_profit() -> None:
    """149.99 does not count, and a losing day resets nothing. 90 % of half of 699.99; the account started at zero."""
    life = Life("futures-eod-winning-days")
    for day, made in ((2, 150), (3, 150), (4, -200), (5, 150), (6, 150), (9, "149.99")):
        life.trade(f"{day} 09:00", made)
    assert life.wait("10 08:00").refused("10 08:00") == ["gate_unmet"]
    life.trade("10 09:00", 150).wait("11 08:00")
    assert life.refused("11 08:00") == []
    assert paid(life.payout("11 08:00")) == ("350.00", "315.00", "35.00"), "699.99 / 2 = 349.995"
    life.pay("11 09:00", 350)
    assert not life.gate("winning_days"), "the count begins anew"


def test_winning_days_the_funded_account_starts_at_zero_and_its_first_payout_sets_the_floor_to_zero() -> None:
    """-2,000 at first; 1,500 at the close gives -500; after 600 are paid it is 0, and 900 of room are left."""
    life = Life("futures-eod-winning-days").trade("2 09:00", 1_500)
    assert life.floor("trailing_loss") == -2_000
    assert life.wait("3 08:00").floor("trailing_loss") == -500
    assert life.pay("3 09:00", 600).floor("trailing_loss") == 0
    assert life.open("3 10:00", "a", "ES").mark("3 11:00", "0.01").ends() == ""
    assert life.mark("3 11:01", "0.00").ends() == "trailing_loss"


def test_later_prices() -> None:
    """A reset at the full price of 165.00, an activation of 130.00 or 149.00, and 449.00 for a broken account."""
    prices = [
        EXAMPLES["futures-eod-buffer"].order_minor("reset"),
        EXAMPLES["futures-closing-payout"].order_minor("activation"),
        EXAMPLES["futures-closing-payout"].order_minor("buyback"),
        EXAMPLES["futures-payout-ladder"].order_minor("activation"),
        EXAMPLES["futures-eod-winning-days"].order_minor("activation"),
    ]
    assert prices == [16_500, 13_000, 44_900, 14_900, 14_900]


def test_winning_days_flat_at_ten_past_three() -> None:
    life = Life("futures-eod-winning-days").open("2 09:00", "a", "ES").wait("2 15:09")
    assert life.offences() == []
    assert life.wait("2 15:10").offences() == [("flat_by_session_end", "close_position")]


# futures-intraday-safety-net: floor = highest equity - 2,500, at most 50,100; open loss 30 % of the day's profit


def test_safety_net_every_moment_lifts_the_floor() -> None:
    """An equity of 51,000 that is gone again leaves the floor at 48,500. From 52,600 on it is 50,100."""
    life = Life("futures-intraday-safety-net", 1).open("2 09:00", "a", "ES").mark("2 10:00", 51_000)
    assert life.floor("trailing_loss") == 48_500
    assert life.mark("2 11:00", "48500.01").ends() == ""
    assert life.mark("2 11:01", "48500.00").ends() == "trailing_loss"
    other = Life("futures-intraday-safety-net", 1).open("2 09:00", "a", "ES").mark("2 10:00", 60_000)
    assert other.floor("trailing_loss") == 50_100


@pytest.mark.parametrize(
    ("profit", "most"), [(2_000, "750.00"), (4_000, "1200.00"), ("5199.99", "1560.00"), (5_200, "2600.00")]
)
def test_safety_net_the_open_loss_of_one_position(profit: object, most: str) -> None:
    """30 % of the profit at the last close, at least 750; 50 % from a profit of 5,200 on."""
    life = Life("futures-intraday-safety-net").trade("2 09:00", profit).open("3 09:00", "a", "ES")
    lost, balance = Decimal(most), Decimal(life.balance) / 100
    life.mark("3 10:00", balance - lost, a=-lost)
    assert life.offences() == []
    lost += Decimal("0.01")
    life.mark("3 10:01", balance - lost, a=-lost)
    assert life.offences() == [("open_loss", "review")]


def test_safety_net_the_first_payout() -> None:
    """Eight days of 325 make 2,600: the safety net is full to the cent, and 2,000 is the most of the first five."""
    life = Life("futures-intraday-safety-net")
    for day in (2, 3, 4, 5, 6, 9, 10):
        life.trade(f"{day} 09:00", 325)
    life.trade("11 09:00", "324.99").wait("12 08:00")
    assert life.refused("12 08:00") == ["balance_too_low"]
    life.trade("12 09:00", "0.01").wait("13 08:00")
    assert life.refused("13 08:00") == []
    assert life.refused("10 07:59") == ["too_early"]
    assert paid(life.payout("13 08:00")) == ("2000.00", "2000.00", "0.00")
    assert paid(life.payout("13 08:00", payouts_paid=5)) == ("2600.00", "2600.00", "0.00")


def test_safety_net_thirty_percent_on_one_day() -> None:
    """900 of 3,000 is 30 %; 900.01 of 3,000.01 is more."""
    life = Life("futures-intraday-safety-net")
    for day in (2, 3, 4, 5, 6, 9, 10):
        life.trade(f"{day} 09:00", 300)
    life.trade("11 09:00", 900).wait("12 08:00")
    assert life.gate("best_day")
    other = Life("futures-intraday-safety-net")
    for day in (2, 3, 4, 5, 6, 9, 10):
        other.trade(f"{day} 09:00", 300)
    assert not other.trade("11 09:00", "900.01").wait("12 08:00").gate("best_day")


# futures-closing-payout: above a buffer of 2,000 at any time; within it when the account is closed


def test_closing_payout_only_what_is_above_the_buffer() -> None:
    life = Life("futures-closing-payout").trade("2 09:00", 2_000)
    assert life.payout("2 12:00").gross == 0
    assert paid(life.trade("2 10:00", 500).payout("2 12:00")) == ("500.00", "400.00", "100.00")


@pytest.mark.parametrize(("days", "share"), [(59, "1000.00"), (60, "1600.00")])
def test_closing_payout_the_buffer_by_the_age_of_the_account(days: int, share: str) -> None:
    life = Life("futures-closing-payout").trade("2 09:00", 2_500)
    payout = life.payout("2 12:00", cycle="closing", trading_days=days)
    assert paid(payout)[:2] == ("2000.00", share)
    assert life.product.payout.closes("closing")
    assert life.refused("3 12:00", closed_by_payout=True) == ["closing_payout_paid"]


def test_closing_payout_the_test_trails_the_close_and_the_funded_account_every_moment() -> None:
    test = Life("futures-closing-payout", 1).open("2 09:00", "a", "ES").mark("2 10:00", 51_500)
    assert test.floor("trailing_loss") == 48_000
    funded = Life("futures-closing-payout").open("2 09:00", "a", "ES").mark("2 10:00", 51_500)
    assert funded.floor("trailing_loss") == 49_500


# futures-payout-ladder: 6 % of the size, then 5 % and 4 % of what the last payout left


def test_payout_ladder_each_payout_has_a_profit_of_its_own() -> None:
    """The first needs 53,000. 52,100 are left: the second needs 52,100 + 2,605, the third 2,084."""
    life = Life("futures-payout-ladder")
    for day in (2, 3, 4, 5, 6, 9, 10, 11, 12):
        life.trade(f"{day} 09:00", 300)
    life.trade("13 09:00", "299.99")
    assert life.refused("16 08:00") == ["profit_too_low"]
    life.trade("13 10:00", "0.01")
    assert life.refused("16 08:00") == []
    assert paid(life.payout("16 08:00")) == ("900.00", "900.00", "0.00")
    left = {"payout_balance_minor": 5_210_000, "last_payout_at": life.instant("16 08:00")}
    for number, least in ((1, 5_470_500), (2, 5_418_400)):
        facts = {**left, "payouts_paid": number, "balance_minor": least}
        assert life.refused("30 08:00", **facts) == []
        assert life.refused("30 08:00", **{**facts, "balance_minor": least - 1}) == ["profit_too_low"]
    assert life.refused("30 08:00", **left, payouts_paid=3, balance_minor=6_000_000) == ["payouts_used_up"]


def test_payout_ladder_whole_hundreds_up_to_three_thousand() -> None:
    """53,099.99 is 999.99 above the buffer: 900. 56,000 is 3,900 above it: 3,000."""
    life = Life("futures-payout-ladder").trade("2 09:00", "3099.99")
    assert life.payout("16 08:00").gross == 90_000
    assert life.trade("3 09:00", "2900.01").payout("16 08:00").gross == 300_000


def test_payout_ladder_the_daily_floor_grows_with_the_balance() -> None:
    """2.5 % of 53,000 is 1,325: the floor is 51,675, and reaching it is the end."""
    life = Life("futures-payout-ladder", 1).trade("2 09:00", 2_999).trade("2 10:00", 1, minutes=1).wait("2 16:30")
    assert life.ends() == "pass"
    funded = Life("futures-payout-ladder").trade("2 09:00", 3_000).wait("2 16:00").open("3 09:00", "a", "ES")
    assert funded.floor("daily_loss") == 51_675
    assert funded.mark("3 10:00", "51675.01").ends() == ""
    assert funded.mark("3 10:01", "51675.00").ends() == "daily_loss"


# futures-closing-judged: only the closing balance is compared, with the floor from before the close


def test_closing_judged_a_loss_within_the_session_does_not_count() -> None:
    """102,000 at the close: floor 99,000. 98,500 in the session only pauses (limit of the day: 99,600)."""
    life = Life("futures-closing-judged", 1).trade("2 09:00", 2_000).open("3 09:00", "a", "ES").mark("3 10:00", 98_500)
    assert life.floor("trailing_loss") == 99_000
    assert life.floor("daily_loss") == 99_600
    assert life.offences() == [("daily_loss", "pause_until_reset")]
    assert life.close("3 11:00", "a", -3_000).wait("3 17:00").ends() == "", "99,000 at the close"


def test_closing_judged_a_cent_below_at_the_close_ends_it() -> None:
    life = Life("futures-closing-judged", 1).trade("2 09:00", 2_000).trade("3 09:00", "-3000.01").wait("3 16:59")
    assert life.ends() == ""
    assert life.wait("3 17:00").ends() == "trailing_loss"


def test_closing_judged_the_daily_loss_is_sixty_percent_of_the_highest_profit() -> None:
    """A profit of 4,000 gives 2,400, one of 5,000 gives 3,000, and it stays 3,000 when 500 are lost."""
    life = Life("futures-closing-judged").trade("2 09:00", 4_000).wait("3 08:00")
    assert life.floor("daily_loss") == 104_000 - 2_400
    assert life.trade("3 09:00", 1_000).wait("4 08:00").floor("daily_loss") == 105_000 - 3_000
    assert life.trade("4 09:00", -500).wait("5 08:00").floor("daily_loss") == 104_500 - 3_000


def test_closing_judged_at_most_1750_a_week_and_forty_percent_of_one_day() -> None:
    """2,000 of 4,000 is 50 %: 400 do not count yet. 1,750 is the most of seven days, 750 after 1,000."""
    life = Life("futures-closing-judged")
    for day, made in ((2, 2_000), (3, 250), (4, 250), (5, 250), (6, 250), (9, 250), (10, 250), (11, 250), (12, 250)):
        life.trade(f"{day} 09:00", made)
    life.trade("13 09:00", 0).wait("16 08:00")
    assert life.payout("16 08:00").base == 360_000
    assert life.refused("13 08:00") == ["too_early"]
    assert life.refused("16 08:00") == []
    assert paid(life.payout("16 08:00")) == ("1750.00", "1575.00", "175.00")
    assert paid(life.payout("16 08:00", paid_lately={7: 100_000}))[0] == "750.00"


# futures-instant-one-size: minis or micros; 20 % of one day, the rest later


def test_one_size_minis_and_micros_are_not_open_together() -> None:
    life = Life("futures-instant-one-size").open("2 09:00", "a", "ES").open("2 09:01", "b", "NQ")
    assert life.offences() == []
    assert life.open("2 09:02", "c", "MCL").offences() == [("one_size", "close_position")]
    life.close("2 09:03", "c", 0).close("2 09:04", "a", 0).close("2 09:05", "b", 0)
    assert len(life.open("2 09:06", "d", "MNQ").offences()) == 1


def test_one_size_opposite_sides_of_one_index_end_it_the_second_time() -> None:
    life = Life("futures-instant-one-size").open("2 09:00", "a", "ES").open("2 09:01", "b", "ES", "sell")
    assert life.offences() == [("hedging", "close_position")]
    life.close("2 09:02", "b", 0)
    assert life.open("2 09:03", "c", "MES", "sell").ends() == "hedging"


def test_one_size_a_fifth_of_one_day_counts_and_the_rest_waits() -> None:
    """1,000 of 2,500 on one day: 20 % is 500, so 500 wait. 90 % of 2,000 is 1,800."""
    life = Life("futures-instant-one-size").trade("2 09:00", 1_000)
    for day in (3, 4, 5, 6, 9):
        life.trade(f"{day} 09:00", 250)
    life.wait("10 08:00")
    assert life.refused("10 08:00") == ["gate_unmet"], "six trading days"
    life.trade("10 09:00", 250).wait("11 08:00")
    assert life.refused("11 08:00") == []
    assert paid(life.payout("11 08:00")) == ("2000.00", "1800.00", "200.00")
    life.pay("11 09:00", 2_000)
    assert life.judged().deducted_minor == 0, "the 500 that are left count in the next window"


def test_one_size_more_than_half_of_the_trades_and_of_the_profit_are_longer_than_ten_seconds() -> None:
    """One trade of 11 seconds and one of 10: half is not more than half. In money it is 300 of 500."""
    life = Life("futures-instant-one-size").trade("2 09:00", 300, minutes=11 / 60).trade("2 10:00", 200, minutes=1 / 6)
    assert not life.gate("holding_time")
    assert life.gate("holding_time_of_profit")
    assert life.trade("2 11:00", 0, minutes=11 / 60).gate("holding_time")


def test_one_size_only_the_close_ends_the_account() -> None:
    """The floor is 48,000. 47,900 in the session pauses the day; 48,000 at the close is allowed."""
    life = Life("futures-instant-one-size").open("2 09:00", "a", "ES").mark("2 10:00", 47_900)
    assert life.offences() == [("daily_loss", "pause_until_reset")]
    assert life.mark("2 16:59", 48_000).wait("2 17:00").ends() == ""
    assert life.mark("3 16:59", "47999.99").wait("3 17:00").ends() == "trailing_loss"
