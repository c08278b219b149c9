"""One life, judged by a live shard and by the replay: the same offences of limits at the same events."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

from domain.histories.replay import replay
from domain.rules.events import Closed, Marked
from monitor.columns.conduct_state import stored_conduct_state
from tests.unit.conduct_venue import DAILY, START
from tests.unit.two_ways import CAP, TwoWays, agreed

SOFT = {"consequences": [{"kind": "warn"}]}


SOFT_MAX = {
    "type": "max_loss_static",
    "id": "soft",
    "allowance": {"type": "amount", "value": "1000"},
    "breach_when": "equity < floor",
}


def test_a_floor_crossed_twice_in_one_day_is_one_warning() -> None:
    venue = TwoWays(DAILY | {"consequences": [{"kind": "warn"}, {"kind": "fail"}]})
    venue.open("a", "10")
    for price in ("1.09899", "1.09950", "1.09890"):
        venue.quote(price, minutes=1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_a_limit_that_is_still_broken_at_the_reset_is_a_new_offence() -> None:
    venue = TwoWays(SOFT_MAX | {"consequences": [{"kind": "warn"}, {"kind": "review"}]})
    venue.open("a", "10")
    venue.quote("1.09890")
    venue.wait(days=1)
    venue.quote("1.09880", hours=1)
    assert agreed(venue) == [("warn", "soft", 1), ("review", "soft", 2)]


def test_a_cure_of_ten_minutes_and_the_next_event_after_fifteen_is_an_offence() -> None:
    venue = TwoWays(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.quote("1.09990", minutes=15)
    assert agreed(venue) == [("fail", "daily_loss", 1)]
    assert venue.replay().outcome == "breach"


def test_a_cure_in_time_is_no_offence_and_a_second_one_is_not_allowed() -> None:
    venue = TwoWays(DAILY | {"cure": {"minutes": 10}, "consequences": [{"kind": "warn"}]})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.quote("1.09990", minutes=10)
    assert agreed(venue) == []
    venue.quote("1.09899", minutes=1)
    assert agreed(venue) == [("warn", "daily_loss", 1)]


def test_a_reset_that_moves_the_floor_below_the_account_cures_it() -> None:
    venue = TwoWays(DAILY | {"cure": {"minutes": 30}, "anchor": "equity"})
    venue.open("a", "10")
    venue.quote("1.09899", hours=14, minutes=45)
    venue.wait(minutes=15)
    venue.wait(minutes=20)
    assert agreed(venue) == []


def test_a_cure_runs_over_a_reset() -> None:
    venue = TwoWays(SOFT_MAX | {"cure": {"minutes": 30}})
    venue.open("a", "10")
    venue.quote("1.09890", hours=14, minutes=45)
    venue.wait(minutes=20)
    assert agreed(venue) == []
    venue.wait(minutes=20)
    assert agreed(venue) == [("fail", "soft", 1)]


def test_floor_and_ceiling_of_one_rule_are_two_offences_of_a_day() -> None:
    venue = TwoWays(CAP | {"consequences": [{"kind": "warn"}, {"kind": "review"}]}, target="9000")
    venue.open("a", "10")
    for price in ("1.09890", "1.10120", "1.09890", "1.10120"):
        venue.quote(price, minutes=1)
    assert agreed(venue) == [("warn", "cap", 1), ("review", "cap", 2)]


def test_what_happened_first_within_one_instant_ends_the_account() -> None:
    venue = TwoWays(DAILY)
    venue.open("a", "10")
    venue.quote("1.10060")
    venue.close("a")  # 600.00 of 500.00
    moment: dict[str, Any] = {"seq": venue.seq + 5, "at": venue.now}
    loss = Marked(**moment, balance_minor=9_800_000, equity_minor=9_800_000)
    told = [*venue.told(), loss]
    result = replay(told, venue.terms, venue.terms.context)
    assert venue.found == [("pass", "", 0)]
    assert result.breaches and result.passed is not None and result.breaches[0].at == result.passed.at
    assert (result.outcome, result.on_balance) == ("pass", "pass")


def test_at_one_and_the_same_event_the_breach_ends_the_account() -> None:
    venue = TwoWays(DAILY | {"holds": {"commissions": False}})
    moment: dict[str, Any] = {"at": venue.now, "balance_minor": 10_060_000}
    about: dict[str, Any] = {"position_id": "a", "symbol": "EURUSD", "side": "buy", "lots": Decimal(1)}
    closed = Closed(seq=9, **moment, equity_minor=9_890_000, **about, pnl_minor=60_000)
    result = replay([*venue.told(), closed], venue.terms, venue.terms.context)
    assert [breach.rule_id for breach in result.breaches] == ["daily_loss"]
    assert result.passed is not None and result.outcome == "breach"


def test_a_checkpoint_of_before_keeps_muted_limits_and_cures() -> None:
    """Checkpoints named muted, curing and cured by rule."""
    venue = TwoWays(DAILY | {"cure": {"minutes": 10, "times": 2}, "consequences": [{"kind": "warn"}]}, CAP | SOFT)
    earlier = {
        "history": {"book": {"opening_balance_minor": 10_000_000, "opening_equity_minor": 10_000_000}, "rules": {}},
        "muted": ["cap"],
        "curing": {"daily_loss": {"until": "2014-05-02T09:10:00Z"}},
        "cured": {"daily_loss": 1},
    }
    state = stored_conduct_state(earlier, venue.terms)
    assert state.limits["cap"].counted == ("cap", "cap.up")
    assert state.limits["daily_loss"].curing["daily_loss"].until == START + timedelta(minutes=10)
    assert state.limits["daily_loss"].cured == 1
    assert stored_conduct_state(state.model_dump(mode="json"), venue.terms) == state


def test_an_overturned_breach_counts_again_at_once() -> None:
    """What a limit was an offence for is forgotten when it ended the account, so that it still binds afterwards."""
    venue = TwoWays(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.quote("1.09890", minutes=15)
    conduct = venue.shard.state.accounts[0].conduct
    assert agreed(venue) == [("fail", "daily_loss", 1)]
    assert conduct is not None and not conduct.counted("daily_loss", "daily_loss")


def test_a_cure_whose_end_was_not_seen_is_looked_at_by_a_person() -> None:
    venue = TwoWays(DAILY | {"cure": {"minutes": 10}})
    venue.open("a", "10")
    venue.quote("1.09899")
    columns, prices = venue.shard.state.columns, dict(venue.shard.state.board.prices)
    venue.shard.state.board.prices.clear()  # the quotes are gone, so that nothing is known when the time ends
    columns.unknown[0] = True
    venue.wait(minutes=12)
    assert venue.live() == []
    venue.shard.state.board.prices.update(prices)
    columns.unknown[0] = False
    venue.quote("1.09990", minutes=1)
    assert venue.live() == []
    (note,) = venue.shard.state.facts.reviews
    assert (note.kind, note.detail["rule_id"]) == ("offence", "daily_loss")
