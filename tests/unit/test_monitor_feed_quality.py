"""Doubtful quotes are ignored and reported; a level that is confirmed becomes the price."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal

from monitor.facts import ReviewKind
from monitor.judging.feed_quality import Doubt, FeedQuality, Limits
from ports.platform import AccountState, Tick

AT = datetime(2014, 5, 2, tzinfo=UTC)
CONFIRMATIONS, STALE_AFTER = Limits().confirmations, Limits().stale_after


def offer(
    quality: FeedQuality, bid: str, ask: str | None = None, seq: int = 1, symbol: str = "EURUSD", *, at: datetime = AT
) -> bool:
    tick = Tick(seq=seq, at=at, symbol=symbol, bid=Decimal(bid), ask=Decimal(ask or bid))
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
    assert (first.detail["outcome"], last.detail["outcome"]) == ("ignored", "accepted from sequence 22 on")
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


def kinds(doubts: list[Doubt]) -> list[tuple[str, str]]:
    return [(doubt.kind.value, doubt.subject) for doubt in doubts]


def test_a_held_symbol_that_is_silent_while_others_tick_is_noted_once_and_until_it_is_quoted() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=1)
    offer(quality, "1300", symbol="XAUUSD", seq=2, at=AT + STALE_AFTER)
    quality.check_stale(AT + STALE_AFTER, ["EURUSD", "XAUUSD"])
    assert quality.notes == []
    later = AT + STALE_AFTER + timedelta(seconds=1)
    offer(quality, "1300", symbol="XAUUSD", seq=3, at=later)
    for _ in range(2):
        quality.check_stale(later, ["EURUSD", "XAUUSD"])
    assert [(note.kind, note.detail["symbol"], note.settled) for note in quality.notes] == [("stale", "EURUSD", None)]
    assert kinds(quality.doubts("acc_1", ["EURUSD"], later)) == [("stale", "EURUSD")]
    assert quality.doubts("acc_1", ["XAUUSD"], later) == []
    offer(quality, "101", seq=4, at=later)
    assert quality.notes[-1].key == quality.notes[0].key
    assert quality.notes[-1].settled == "quoted again from sequence 4 on"
    assert quality.doubts("acc_1", ["EURUSD"], later) == []


def test_a_silent_feed_is_noted_once_and_settles_itself() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=7)
    weekend = AT + timedelta(days=2)
    for _ in range(2):
        quality.check_stale(weekend, ["EURUSD"])
    assert [note.kind for note in quality.notes] == [ReviewKind.STALE_FEED]
    assert kinds(quality.doubts("acc_1", {"EURUSD"}, weekend)) == [("stale_feed", "feed")]
    assert quality.doubts("acc_1", (), weekend) == []  # a flat account rests on no quote
    again = FeedQuality.from_json(quality.to_json())
    offer(again, "101", seq=8, at=weekend)
    assert [note.settled for note in again.notes] == ["quoted again from sequence 8 on"]


def test_a_quote_from_the_past_moves_nothing_and_is_named_once() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=5)
    for seq in (6, 7):
        assert not offer(quality, "90", seq=seq, at=AT - timedelta(seconds=1))
    assert {note.key for note in quality.notes} == {"out_of_order/EURUSD/5"}
    assert (quality.notes[-1].kind, quality.notes[-1].detail["count"]) == ("out_of_order", 2)
    assert quality.suspect is None  # what is past breaks nobody
    assert quality.doubts("acc_1", ["EURUSD"], AT) == []
    assert offer(quality, "101", seq=8)


def test_after_lost_events_a_symbol_is_doubtful_until_it_is_quoted() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=1)
    offer(quality, "1300", symbol="XAUUSD", seq=2)
    quality.gap()
    offer(quality, "1301", symbol="XAUUSD", seq=9)
    assert kinds(quality.doubts("acc_1", ["EURUSD", "XAUUSD"], AT)) == [("gap", "EURUSD")]


def test_a_jump_and_a_crossed_quote_are_suspects_with_their_sequence() -> None:
    quality = FeedQuality()
    offer(quality, "100", seq=1)
    assert not offer(quality, "80", seq=2)
    assert quality.suspect is not None
    assert (quality.suspect.kind, quality.suspect.seq) == (ReviewKind.BAD_TICK, 2)
    assert kinds(quality.doubts("acc_1", ["EURUSD"], AT)) == [("bad_tick", "EURUSD")]
    offer(quality, "80", seq=3)
    assert quality.suspect is None  # the level was looked at already
    offer(quality, "80", "79", seq=4)
    assert quality.suspect is not None
    offer(quality, "0", seq=5)
    assert quality.suspect is None


def test_estimated_figures_are_doubtful_until_the_venue_is_sure_again() -> None:
    quality = FeedQuality()
    sure = AccountState(seq=3, at=AT, login=1, balance_minor=5, equity_minor=4)
    for _ in range(2):
        quality.states("acc_1", sure.model_copy(update={"seq": 2, "estimated": True}))
    assert [(note.kind, note.account_id) for note in quality.notes] == [("estimated", "acc_1")]
    assert kinds(quality.doubts("acc_1", (), AT)) == [("estimated", "acc_1")]
    quality.states("acc_1", sure)
    assert quality.doubts("acc_1", (), AT) == []
