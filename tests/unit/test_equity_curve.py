"""The curve shows what is known: a flat account at its balance, a gap without prices, a step at each reset."""

from datetime import UTC, datetime, timedelta

from console.present.curve import Point, points, step_minutes, with_resets
from store.read.market import BarView

NINE = datetime(2026, 3, 2, 9, tzinfo=UTC)


def minute(number: int) -> datetime:
    return NINE + timedelta(minutes=number)


def bar(number: int, close: int, balance: int, spread: int = 0, minutes: int = 1) -> BarView:
    return BarView(
        minute=minute(number),
        minutes=minutes,
        open_minor=close,
        high_minor=close + spread,
        low_minor=close - spread,
        close_minor=close,
        balance_minor=balance,
    )


def still(number: int, balance: int) -> Point:
    return Point(minute(number), balance, balance, balance, balance)


def test_an_account_without_positions_is_worth_its_balance_until_it_trades_again() -> None:
    found = points([bar(0, 100, 100), bar(600, 90, 100)], minute(601), 1500)
    assert found[:2] == [still(0, 100), still(599, 100)], "no slope to the next bar"
    assert found[2] == Point(minute(600), 90, 90, 90, 100)


def test_the_band_of_low_and_high_ends_with_its_bar() -> None:
    found = points([bar(0, 100, 100, spread=20)], minute(600), 1500)
    assert found == [Point(minute(0), 80, 100, 120, 100), still(1, 100), still(600, 100)]


def test_prices_that_are_missing_while_positions_are_open_are_a_gap() -> None:
    found = points([bar(0, 95, 100), bar(600, 90, 100)], minute(900), 1500)
    assert [point.close for point in found] == [95, None, 90, None]
    assert found[1].at == minute(1) and found[1].balance == 100


def test_a_quiet_symbol_is_no_gap_and_neither_is_an_hour_of_an_old_record() -> None:
    assert all(point.close is not None for point in points([bar(0, 95, 100), bar(5, 96, 100)], minute(5), 1500))
    hours = [bar(0, 95, 100, minutes=60), bar(60, 96, 100, minutes=60)]
    assert [point.close for point in points(hours, minute(119), 1500)] == [95, 96]


def test_many_bars_become_few_points_that_lose_no_low_and_no_high() -> None:
    bars = [bar(number, 100, 100, spread=50 if number == 777 else 1) for number in range(3000)]
    found = points(bars, minute(2999), 100)
    assert 90 <= len(found) <= 110
    assert min(point.low or 0 for point in found) == 50 and max(point.high or 0 for point in found) == 150


def test_each_reset_within_the_curve_has_a_point_for_the_step_of_the_floors() -> None:
    found = points([bar(0, 100, 100), bar(600, 90, 100)], minute(601), 1500)
    times = [point.at for point in with_resets(found, [minute(-5), minute(300), minute(600), minute(5000)])]
    assert times == [minute(0), minute(300), minute(599), minute(600), minute(601)]


def test_an_account_without_bars_has_no_points() -> None:
    assert points([], minute(10), 1500) == []


def test_many_bars_with_gaps_everywhere_stay_few_and_lose_no_extreme() -> None:
    bars = [
        bar(number * (1 if number % 7 else 9), 100 + number % 13, 100, spread=number % 5) for number in range(9_000)
    ]
    bars = sorted({each.minute: each for each in bars}.values(), key=lambda each: each.minute)
    for count in (1, 200, 1500):
        found = points(bars, bars[-1].minute, count)
        assert len(found) <= 2 * count + 2
        assert min(point.low for point in found if point.low is not None) == min(each.low_minor for each in bars)
        assert max(point.high for point in found if point.high is not None) == max(each.high_minor for each in bars)
        assert found[0].at == bars[0].minute, "the picture begins with the first tick"
        assert [point.at for point in found] == sorted({point.at for point in found})


def test_one_point_stands_for_as_many_minutes_as_a_pixel_needs() -> None:
    assert step_minutes(minute(0), minute(600), 1500) == 1
    assert step_minutes(minute(0), minute(100_000), 1000) == 100
    assert step_minutes(minute(0), minute(100_001), 1000) == 101
    assert step_minutes(minute(5), minute(0), 0) == 1


def test_a_part_of_the_curve_goes_on_into_the_part_after_it() -> None:
    quiet, missing, flat = [bar(0, 95, 100)], [bar(0, 95, 100)], [bar(0, 100, 100)]
    assert points(quiet, minute(3), 1500, goes_on=True) == [Point(minute(0), 95, 95, 95, 100)]
    assert [point.close for point in points(missing, minute(600), 1500, goes_on=True)] == [95, None]
    assert points(flat, minute(599), 1500, goes_on=True) == [still(0, 100), still(599, 100)], "until the next bar"
    at_reset = with_resets(points(missing, minute(600), 1500, goes_on=True), [minute(300), minute(700)], minute(601))
    assert [point.at for point in at_reset] == [minute(0), minute(1), minute(300)], "the next part has the later one"
