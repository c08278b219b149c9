"""Doubtful quotes are set aside and named; a level that is confirmed becomes the price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.feed_quality import CONFIRMATIONS, STALE_AFTER, FeedQuality
from ports.platform import Tick

AT = datetime(2014, 5, 2, tzinfo=UTC)


def offer(quality: FeedQuality, bid: str, ask: str | None = None, seq: int = 1, symbol: str = "EURUSD") -> bool:
    tick = Tick(seq=seq, at=AT, symbol=symbol, bid=Decimal(bid), ask=Decimal(ask or bid))
    return quality.accepts(tick, float(tick.bid), float(tick.ask))


def test_ten_percent_is_accepted_and_more_is_not() -> None:
    quality = FeedQuality()
    assert offer(quality, "100")
    assert offer(quality, "110")
    assert not offer(quality, "121.1")
    assert [note.detail["why"] for note in quality.notes] == ["jump"]


def test_crossed_and_non_positive_quotes_never_count() -> None:
    quality = FeedQuality()
    assert not offer(quality, "1.2", "1.1")
    assert not offer(quality, "0", "1.1")
    assert not offer(quality, "-1", "1.1")
    assert offer(quality, "1.1", "1.1")


def test_a_new_level_counts_once_it_is_confirmed_and_the_review_says_so() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=1)
    answers = [offer(quality, "80", seq=2 + n) for n in range(CONFIRMATIONS + 1)]
    assert answers == [False] * CONFIRMATIONS + [True]
    first, last = quality.notes
    assert first.key == last.key == "bad_tick/EURUSD/2"
    assert (first.detail["outcome"], last.detail["outcome"]) == ("set aside", "accepted from sequence 22 on")
    assert offer(quality, "81", seq=99)


def test_the_old_level_coming_back_ends_the_doubt() -> None:
    quality = FeedQuality()
    offer(quality, "100")
    for n in range(CONFIRMATIONS - 1):
        offer(quality, "80", seq=10 + n)
    assert quality.doubtful("EURUSD")
    assert offer(quality, "100")
    assert not quality.doubtful("EURUSD")
    assert not offer(quality, "80", seq=50)


def test_symbols_are_doubted_apart_and_doubts_survive_a_restart() -> None:
    quality = FeedQuality()
    offer(quality, "100")
    offer(quality, "1300", symbol="XAUUSD")
    for n in range(CONFIRMATIONS):
        offer(quality, "80", seq=10 + n)
    again = FeedQuality.from_json(quality.to_json())
    assert offer(again, "1301", symbol="XAUUSD")
    assert offer(again, "80", seq=40)


def test_a_held_symbol_that_falls_silent_is_noted_once() -> None:
    quality = FeedQuality()
    offer(quality, "100")
    quality.check_stale(AT + STALE_AFTER, ["EURUSD", "XAUUSD"])
    assert quality.notes == []
    for _ in range(2):
        quality.check_stale(AT + STALE_AFTER + timedelta(seconds=1), ["EURUSD", "XAUUSD"])
    assert [(note.kind, note.detail["symbol"]) for note in quality.notes] == [("stale", "EURUSD")]
