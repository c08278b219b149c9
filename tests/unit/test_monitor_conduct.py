"""Conduct rules, gates and consequences short of the end, on the live path: a shard fed event by event."""

import json
from datetime import UTC, datetime, timedelta

import pytest

from domain.proofs.check import check
from monitor.facts import BreachFact, OffenceFact
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


def test_an_account_without_such_rules_carries_nothing() -> None:
    venue = Venue(DAILY)
    assert venue.shard.state.accounts.conduct_states == {}
