"""Conduct rules, gates and consequences short of the end, on the live path: a shard fed event by event."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal

import pytest

from domain.proofs.check import check
from monitor.facts import BreachFact, OffenceFact
from ports.platform import PendingOrder
from store.news import ScheduledRelease
from tests.unit.conduct_venue import DAILY, START, Venue


def test_a_rule_of_conduct_warns_first_and_then_ends_the_phase() -> None:
    exposure = {"type": "max_exposure", "limit": "2", "consequences": [{"kind": "warn"}, {"kind": "fail"}]}
    venue = Venue(exposure)
    venue.open("a", "2")
    assert venue.found == []
    venue.open("b", "0.1")
    assert venue.found == [("warn", "max_exposure", 1)]
    venue.restart()
    venue.close("b")
    venue.open("c", "0.2")
    assert venue.found == [("warn", "max_exposure", 1), ("breach", "max_exposure", 2)]
    breach = venue.shard.state.facts.verdicts[-1]
    assert isinstance(breach, BreachFact) and breach.floor_minor is None and breach.cause
    venue.open("d", "5")
    assert len(venue.found) == 2, "an account that has ended is judged no more"


def test_a_soft_daily_limit_pauses_until_the_reset_once_a_day() -> None:
    venue = Venue(DAILY | {"consequences": [{"kind": "pause_until_reset"}, {"kind": "fail"}]})
    venue.open("a", "10")
    venue.quote("1.09899")
    assert venue.found == [("pause_until_reset", "daily_loss", 1)]
    venue.quote("1.09800")
    assert len(venue.found) == 1
    venue.close("a")
    assert venue.shard.state.facts.resumes == []
    venue.wait(hours=16)
    (resume,) = venue.shard.state.facts.resumes
    assert resume.login == 1 and resume.at == datetime(2014, 5, 3, tzinfo=UTC)
    venue.open("b", "10")
    venue.quote("1.09690")
    assert venue.found[1:] == [("breach", "daily_loss", 2)]


@pytest.mark.parametrize(("back", "found"), [("1.09950", []), ("1.09890", [("breach", "daily_loss", 1)])])
def test_a_limit_may_be_cured_within_its_minutes(back: str, found: list[tuple[str, str, int]]) -> None:
    venue = Venue(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.restart()
    venue.quote(back, minutes=9)
    venue.wait(minutes=2)
    assert venue.found == found
    if not found:
        venue.quote("1.09899")
        assert venue.found == [("breach", "daily_loss", 1)], "only once"


def test_a_cure_that_a_mere_price_brings_counts_so_that_the_next_break_ends_the_phase() -> None:
    venue = Venue(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.quote("1.09990", minutes=3)
    conduct = venue.shard.state.accounts[0].conduct
    assert conduct is not None and (conduct.curing, conduct.limits["daily_loss"].cured) == (False, 1)
    venue.quote("1.09899", minutes=2)
    assert venue.found == [("breach", "daily_loss", 1)]


def test_a_cap_on_gains_takes_away_what_is_above_it() -> None:
    cap = DAILY | {
        "type": "daily_move_cap",
        "id": "cap",
        "directions": ["up"],
        "consequences": [{"kind": "deduct_profit"}],
    }
    venue = Venue(cap, target="9000")
    venue.open("a", "10")
    venue.quote("1.10120")
    (fact,) = venue.shard.state.facts.verdicts
    assert isinstance(fact, OffenceFact)
    assert (fact.consequence, fact.deducted_minor) == ("deduct_profit", 20_000)
    assert venue.found == [("deduct_profit", "cap", 1)]


def test_time_alone_ends_an_account_that_nobody_trades() -> None:
    venue = Venue({"type": "inactivity", "calendar_days": 3})
    venue.wait(days=2)
    venue.open("a")
    venue.wait(days=5)
    assert venue.found == []
    venue.close("a")
    venue.restart()
    venue.wait(days=3, seconds=-1)
    assert venue.found == []
    venue.wait(hours=1)
    assert venue.found == [("breach", "inactivity", 1)]
    assert venue.shard.state.facts.verdicts[0].at < venue.now - timedelta(minutes=50), "found at its own instant"


def test_positions_over_the_weekend_are_closed_and_nothing_more() -> None:
    flat = {
        "type": "flat_by",
        "weekday": "friday",
        "time": "21:00",
        "zone": "UTC",
        "consequences": [{"kind": "close_position"}],
    }
    venue = Venue(flat)
    venue.open("a")
    venue.open("b", side="sell")
    venue.wait(hours=12, minutes=1)
    fact = venue.shard.state.facts.verdicts[0]
    assert isinstance(fact, OffenceFact)
    assert (fact.consequence, sorted(fact.position_ids)) == ("close_position", ["a", "b"])
    assert venue.found[0] == ("close_position", "flat_by", 1)


def test_a_position_that_is_closed_at_the_very_deadline_is_closed_in_time() -> None:
    flat = {"type": "flat_by", "weekday": "friday", "time": "21:00", "zone": "UTC"}
    venue = Venue(flat)
    venue.open("a")
    venue.now += timedelta(hours=12)
    venue.close("a")
    venue.wait(hours=1)
    assert venue.found == []
    venue = Venue(flat)
    venue.open("a")
    venue.now += timedelta(hours=12, microseconds=1)
    venue.close("a")
    assert venue.found == [("breach", "flat_by", 1)]


def pending(venue: Venue, change: Literal["placed", "gone"]) -> PendingOrder:
    return PendingOrder(
        seq=venue.next,
        at=venue.now,
        login=1,
        order_id="o1",
        symbol="EURUSD",
        side="buy",
        lots=Decimal(1),
        change=change,
    )


@pytest.mark.parametrize(
    ("terms", "breaks"),
    [({}, True), ({"pending_orders_count": True}, False), ({"counter_starts": "last_order_placed"}, False)],
)
def test_a_pending_order_is_activity_if_the_terms_say_so(terms: dict[str, Any], breaks: bool) -> None:
    venue = Venue({"type": "inactivity", "calendar_days": 5, **terms})
    venue.wait(days=3)
    venue.send(pending(venue, "placed"))
    venue.send(pending(venue, "gone"))
    venue.restart()
    venue.wait(days=4)
    assert venue.found == ([("breach", "inactivity", 1)] if breaks else [])
    venue.wait(days=2)
    assert venue.found == [("breach", "inactivity", 1)]


@pytest.mark.parametrize("applies_to", ["open", "pending_fill"])
def test_the_fill_of_a_pending_order_is_told_from_an_opening(applies_to: str) -> None:
    venue = Venue(AROUND_NEWS | {"applies_to": [applies_to]}, news=[NFP])
    venue.wait(minutes=30)
    venue.open("a", reason="pending_fill")
    assert [found[1] for found in venue.found] == (["news_window"] if applies_to == "pending_fill" else [])


def test_a_gate_holds_a_pass_back_until_a_day_has_ended() -> None:
    ratio = {"type": "best_day_ratio", "limit_pct": "60", "compare": "<=", "denominator": "total_profit",
             "effect": "continue_trading", "blocks": ["pass"]}  # fmt: skip
    venue = Venue(ratio)
    venue.open("a")
    venue.quote("1.10600")
    venue.close("a")
    assert venue.found == [], "600 in one day is all of the profit"
    venue.wait(days=1)
    venue.open("b")
    venue.quote("1.11100")
    venue.restart()
    venue.close("b")
    venue.wait(days=1)
    assert venue.found == [("pass", "", 0)]
    told = venue.shard.state.facts.gates
    assert [(fact.outcome, fact.met) for fact in told] == [("blocked", False)], "as of the end of the first day"
    assert check(json.loads(json.dumps(told[0].proof))) == []


def test_a_payout_and_news_reach_the_rules() -> None:
    release = ScheduledRelease(1, "nfp", START + timedelta(minutes=30), ("USD",), "high")
    news = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "applies_to": ["open", "close"],
            "consequences": [{"kind": "review"}]}  # fmt: skip
    venue = Venue(news, news=[release])
    venue.wait(minutes=27, seconds=59)
    venue.open("a")
    assert venue.found == []
    venue.restart()
    venue.wait(seconds=1)
    venue.open("b")
    assert venue.found == [("review", "news_window", 1)]
    assert [note.kind for note in venue.shard.state.facts.reviews if note.kind == "offence"] == ["offence"]


NFP = ScheduledRelease(1, "nfp", START + timedelta(minutes=30), ("USD",), "high")
AROUND_NEWS = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "consequences": [{"kind": "review"}]}


def test_a_position_held_into_news_is_found_by_time_alone() -> None:
    venue = Venue(AROUND_NEWS | {"applies_to": ["hold"]}, news=[NFP])
    venue.open("a")
    venue.wait(minutes=28)
    assert venue.found == [], "it may still be closed at this very instant"
    venue.restart()
    venue.wait(seconds=1)
    assert venue.found == [("review", "news_window", 1)]
    venue.wait(hours=2)
    assert venue.found == [("review", "news_window", 1)]


def test_a_speech_binds_until_its_end() -> None:
    venue = Venue(AROUND_NEWS | {"applies_to": ["open"]}, news=[replace(NFP, ends_at=START + timedelta(minutes=80))])
    venue.wait(minutes=82, seconds=1)
    venue.open("late")
    assert venue.found == []
    venue = Venue(AROUND_NEWS | {"applies_to": ["open"]}, news=[replace(NFP, ends_at=START + timedelta(minutes=80))])
    venue.wait(minutes=82)
    venue.restart()
    venue.open("early")
    assert venue.found == [("review", "news_window", 1)]


@pytest.mark.parametrize("restarts", [False, True])
def test_a_release_that_moves_binds_where_it_moved(restarts: bool) -> None:
    venue = Venue(AROUND_NEWS | {"applies_to": ["open"]}, news=[NFP])
    venue.wait(minutes=5)
    venue.releases[:] = [replace(NFP, id=2, released_at=START + timedelta(hours=2))]
    venue.wait(minutes=5)
    if restarts:
        venue.restart()
    venue.wait(minutes=20)
    venue.open("a")
    assert venue.found == []
    venue.wait(minutes=90)
    venue.open("b")
    assert venue.found == [("review", "news_window", 1)]


def test_an_opening_too_soon_after_a_loss_ends_the_account() -> None:
    venue = Venue({"type": "cooldown", "minutes": 30, "after": "losing_close"})
    venue.open("a")
    venue.quote("1.09990", minutes=1)
    venue.close("a")
    venue.restart()
    venue.wait(minutes=29)
    venue.open("b")
    assert venue.found == [("breach", "cooldown", 1)]


def test_an_opening_outside_the_hours_is_closed_and_too_many_are_reviewed() -> None:
    hours = {
        "type": "opening_hours",
        "zone": "UTC",
        "hours": [{"opens": "09:30", "closes": "16:00"}],
        "consequences": [{"kind": "close_position"}],
    }
    rate = {"type": "max_trade_rate", "limit": 2, "within_minutes": 1, "consequences": [{"kind": "review"}]}
    venue = Venue(hours, rate)
    venue.open("early")
    venue.wait(minutes=30)
    assert venue.found == [("close_position", "opening_hours", 1)]
    for position in ("a", "b", "c"):
        venue.wait(seconds=10)
        venue.open(position)
    assert venue.found[1:] == [("review", "max_trade_rate", 1)]


def test_an_account_without_such_rules_carries_nothing() -> None:
    venue = Venue(DAILY)
    assert venue.shard.state.accounts.conduct_states == {}


def test_an_account_whose_balance_needs_no_reset_can_pass_after_the_offence() -> None:
    """Its positions were closed without a result, so the venue moves no money."""
    venue = Venue({"type": "max_exposure", "limit": "2", "consequences": [{"kind": "reset_balance"}]})
    venue.open("a", "3")
    assert venue.found == [("reset_balance", "max_exposure", 1)]
    venue.close("a")
    venue.restart()
    venue.open("b", "1")
    venue.quote("1.10600")
    venue.close("b")
    assert venue.found[1:] == [("pass", "", 0)]
