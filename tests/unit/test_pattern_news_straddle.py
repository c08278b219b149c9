"""Straddles of releases, with and without orders; and what only looks like them."""

from dataclasses import replace
from typing import Any, Final

import numpy as np
import pytest

from domain.surveillance.evidence import Figures
from surveillance.book import SECOND, Book
from surveillance.pattern import Judged, Limits
from surveillance.patterns.news_straddle import NewsStraddle, NewsStraddleThresholds
from tests.books import Rows
from tests.markets import tape

HOUR: Final = 3600.0
RELEASES: Final = [day * 86_400 + 12.5 * HOUR for day in range(6)]


def firm(accounts: int = 3) -> Rows:
    """Some who trade the news by hand, a quarter of a minute or more after the release."""
    rows, rng = Rows(), np.random.default_rng(7)
    for at in RELEASES:
        rows.event(at)
    rows.event(RELEASES[0] + HOUR, currency="EUR", impact=2, title="Manufacturing PMI")
    for n in range(accounts):
        rows.account(f"usual {n}")
        for at in RELEASES:
            rows.trade(f"usual {n}", at + rng.uniform(12, 58), 600, side=int(rng.choice((-1, 1))))
            rows.order(f"usual {n}", at + 20, at + 20.2, state="filled", type="market")
    rows.account("a", owner="Ann")
    return rows


def straddle(
    rows: Rows,
    release: float,
    *,
    placed: float = 60,
    after: float = 0.8,
    cancelled: float = 1.5,
    side: int = 1,
    other: str = "a",
    other_state: str = "cancelled",
    **told: Any,
) -> None:
    position = f"p{len(rows.trades)}"
    rows.order(
        "a", release - placed, release + after, state="filled", type="stop", side=side, position=position, **told
    )
    ended = release + after + cancelled
    rows.order(other, release - placed + 2, ended, state=other_state, type="stop", side=-side, **told)
    rows.trade("a", release + after, 300, side=side, position=position, symbol=told.get("symbol", "EURUSD"))


def judge(book: Book, **numbers: float) -> Judged:
    return NewsStraddle(Limits(NewsStraddleThresholds(**numbers))).judge(book)


def test_stops_on_both_sides_before_releases_are_found() -> None:
    rows = firm()
    for n, release in enumerate(RELEASES[:4]):
        straddle(rows, release, side=1 if n % 2 else -1, price=1.1)
    (finding,) = judge(rows.book()).findings
    assert finding.key == "news_straddle/Ann"
    assert finding.blamed == ("a",)
    assert finding.relation == "one_account"
    assert finding.sentence == (
        "Placed a buy stop and a sell stop around the price 60 seconds before 4 news releases; one order was filled, "
        "the other ended."
    )
    assert len(finding.deals) == 4
    figures = next(each for each in finding.evidence if isinstance(each, Figures)).figures
    assert [float(each.measured) for each in figures] == [4, 60, 0.8]
    assert finding.score > 0.8


def test_a_single_straddle_counts_when_it_is_placed_minutes_before_by_who_places_no_others() -> None:
    rows = firm()
    straddle(rows, RELEASES[2])
    (finding,) = judge(rows.book()).findings
    assert finding.score < 0.75
    rows = firm()
    straddle(rows, RELEASES[2], placed=900)
    assert judge(rows.book()).findings == ()
    rows = firm()
    straddle(rows, RELEASES[2])
    for n in range(30):  # places such pairs all day
        for side in (1, -1):
            rows.order("a", 3600 * n, 3600 * n + 1800, state="cancelled", type="stop", side=side)
    assert judge(rows.book()).findings == ()


def test_one_sided_bets_old_orders_and_other_currencies_are_not_found() -> None:
    rows = firm()
    for release in RELEASES:
        position = f"one {release}"
        rows.order("a", release - 60, release + 1, state="filled", type="stop", position=position)
        rows.trade("a", release + 1, 300, position=position)
    assert judge(rows.book()).findings == ()
    rows = firm()
    for release in RELEASES:
        straddle(rows, release, placed=6 * HOUR)
    assert judge(rows.book()).findings == ()
    rows = firm()
    rows.events = []
    for release in RELEASES:
        rows.event(release, currency="JPY")
        straddle(rows, release)
    assert judge(rows.book()).findings == ()
    rows.events.append({"at": RELEASES[0], "currency": "USD", "impact": 1, "title": "Redbook"})
    assert judge(rows.book()).findings == ()
    assert len(judge(rows.book(), min_impact=1).findings) == 1


@pytest.mark.parametrize(
    "told",
    [
        {"after": 600.0},  # the market came to the order ten minutes later
        {"cancelled": 4 * HOUR},  # the other order was left until the evening
        {"placed": 60.0, "other_state": "placed", "cancelled": 9 * HOUR},
    ],
)
def test_orders_that_did_not_wait_for_the_release_are_not_found(told: dict[str, Any]) -> None:
    rows = firm()
    for release in RELEASES:
        straddle(rows, release, **told)
    assert judge(rows.book()).findings == ()


def test_a_straddle_with_a_leg_on_each_of_two_accounts_of_an_owner_is_found() -> None:
    rows = firm()
    rows.account("b", owner="Ann")
    for release in RELEASES[:3]:
        straddle(rows, release, other="b")
    (finding,) = judge(rows.book()).findings
    assert finding.relation == "same_owner"
    assert finding.blamed == ("a", "b")


def test_a_release_that_fills_both_sides_counts() -> None:
    rows = firm()
    for release in RELEASES[:3]:
        straddle(rows, release, other_state="filled", cancelled=3)
    (finding,) = judge(rows.book()).findings
    assert "both filled" in str(finding.evidence)
    rows = firm()
    straddle(rows, RELEASES[0], other_state="filled", cancelled=3)  # once, it may be two bets
    assert judge(rows.book()).findings == ()


def test_products_have_windows_of_their_own() -> None:
    rows = firm()
    rows.account("c", product="patient")
    for release in RELEASES[:3]:
        straddle(rows, release, placed=1500, other="a")
    rows.orders = [{**each, "account": "c"} if each["account"] == "a" else each for each in rows.orders]
    rows.order("a", 0, 1, state="filled", type="market")
    limits = Limits(NewsStraddleThresholds(), {"patient": NewsStraddleThresholds(placed_minutes=30)})
    assert judge(rows.book()).findings == ()
    (finding,) = NewsStraddle(limits).judge(rows.book()).findings
    assert finding.blamed == ("c",)


def test_without_orders_repeated_fills_in_the_first_seconds_score_lower() -> None:
    rows = firm()
    for release in RELEASES[:5]:
        rows.trade("a", release + 1, 300)
    judged = judge(rows.book())
    (finding,) = judged.findings
    assert finding.score < 0.7
    assert finding.sentence.startswith("Opened trades within 3 seconds of 5 of 5 news releases")
    assert judged.cannot_judge is not None and judged.cannot_judge.startswith("1 accounts have no orders")
    rows.orders = []
    judged = judge(rows.book())
    assert len(judged.findings) == 1
    assert judged.cannot_judge == (
        "no orders were given: only openings in the first seconds after releases could be judged"
    )


def test_releases_are_compared_with_the_time_of_our_clock() -> None:
    """The venue of the account is an hour ahead of the calendar."""
    rows = firm()
    for release in RELEASES[:3]:
        straddle(rows, release + HOUR)
    book = rows.book()
    assert judge(book).findings == ()
    offset = np.where(book.accounts.id == "a", round(HOUR) * SECOND, 0)
    (finding,) = judge(replace(book, clock_offset=offset)).findings
    assert finding.sentence.startswith(
        "Placed a buy stop and a sell stop around the price 60 seconds before 3 news releases"
    )


def test_seconds_after_a_release_are_not_judged_where_the_clock_is_not_known() -> None:
    rows = firm()
    for release in RELEASES[:5]:
        rows.trade("a", release + 1, 300)
    book = rows.book()
    group = np.where(book.accounts.id == "a", 1, 0).astype(np.int32)
    judged = judge(replace(book, clock_offset=np.zeros(len(group), dtype=np.int64), clock_group=group))
    assert judged.findings == ()
    assert judged.cannot_judge is not None and "whose clock is not estimated" in judged.cannot_judge


def test_without_orders_who_stays_for_the_move_is_no_straddler() -> None:
    rows = firm()
    for release in RELEASES[:5]:
        rows.trade("a", release + 1, 1_800)
    assert judge(rows.book()).findings == ()


def test_the_few_other_straddlers_of_a_small_firm_do_not_make_it_usual() -> None:
    rows = firm(accounts=0)
    for release in RELEASES[:4]:
        rows.trade("a", release + 0.5, 300)
    for n in range(5):
        rows.account(f"twice {n}")
        for release in RELEASES[n % 4 : n % 4 + 2]:
            rows.trade(f"twice {n}", release + 0.6, 300)
    (finding,) = judge(rows.book()).findings
    assert finding.sentence.startswith("Opened trades within 0.75 seconds of 4 of 4 news releases")
    assert "2 % are expected this early" in finding.chance


def test_without_orders_whipsaws_are_found_and_trading_by_hand_is_not() -> None:
    rows = firm()
    for release in RELEASES[:2]:
        rows.trade("a", release + 1, 300, side=1)
        rows.trade("a", release + 3, 300, side=-1)
    (finding,) = judge(rows.book()).findings
    assert "in both directions at 2 of these releases" in finding.sentence
    rows = firm()
    for n, release in enumerate(RELEASES):
        rows.trade("a", release + 3 + 10 * n, 300)
    assert judge(rows.book()).findings == ()


def test_without_a_calendar_nothing_is_said() -> None:
    rows = firm()
    rows.events = []
    assert judge(rows.book()) == Judged(cannot_judge="no calendar was given")


def test_without_orders_openings_against_the_move_are_no_stops() -> None:
    """The price jumps at each release; who sells into a rise within the first second had no stop order there."""
    jumping = tape(hours=140, step=0.00001).jumping(RELEASES, [0.002] * len(RELEASES))
    for side, found in ((1, 1), (-1, 0)):
        rows = firm()
        rows.quotes["EURUSD"] = jumping.quotes
        for release in RELEASES[:5]:
            price = jumping.fill(release - 1, side) + side * 0.001
            rows.trade(
                "a", release + 1, 300, side=side, open_price=price if side > 0 else jumping.fill(release + 1, -1)
            )
        assert len(judge(rows.book()).findings) == found
