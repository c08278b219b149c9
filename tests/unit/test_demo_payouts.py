"""When the demo looks again at an account of which nothing could be paid out."""

from datetime import UTC, datetime, timedelta

from cli.demo.payouts import Figures, TooLittle

NOW = datetime(2026, 3, 6, 12, tzinfo=UTC)
DAY = timedelta(days=1)
FLAT, RESET, WON = Figures((100,), "a"), Figures((100,), "b"), Figures((120,), "b")


def test_an_account_is_looked_at_again_when_its_money_changes_and_once_after_its_limits_began_anew() -> None:
    known = TooLittle()
    known.note("acc", FLAT, NOW, None)
    assert known.is_known("acc", FLAT, NOW + DAY)
    assert not known.is_known("acc", WON, NOW)
    assert not known.is_known("acc", RESET, NOW + DAY), "a daily limit may have left too little room before its reset"
    known.note("acc", RESET, NOW + 2 * DAY, None)
    assert known.is_known("acc", FLAT, NOW + 3 * DAY), "its money is as it was, and every limit has begun anew"
    assert known.payable() == {}


def test_an_account_that_has_enough_is_looked_at_when_it_is_time() -> None:
    known = TooLittle()
    known.note("acc", FLAT, NOW, NOW + 7 * DAY)
    assert known.payable() == {"acc": NOW + 7 * DAY}
    assert known.is_known("acc", FLAT, NOW + 6 * DAY)
    assert not known.is_known("acc", FLAT, NOW + 7 * DAY)
