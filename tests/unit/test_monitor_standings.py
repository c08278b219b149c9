"""What may neither be lost nor doubled around resets, passes, pauses, version moves and the venue's own closings."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from domain.clocks import Clock
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.rules.history import state_of
from monitor.facts import OffenceFact
from monitor.loaded import Loaded, Pending
from monitor.record.verdict_rows import verdict_rows
from ports.platform import Deal
from store.news import ScheduledRelease
from tests.unit.conduct_venue import DAILY, START, Venue

MIDNIGHT = datetime(2014, 5, 3, tzinfo=UTC)
PAUSES = [{"kind": "pause_until_reset"}, {"kind": "fail"}]
RATIO = {"type": "best_day_ratio", "limit_pct": "60", "compare": "<=", "denominator": "total_profit",
         "effect": "continue_trading", "blocks": ["pass"]}  # fmt: skip
INACTIVE = {"type": "inactivity", "calendar_days": 3, "open_position_suspends": False}


def with_loss_clock(venue: Venue, reset: str) -> None:
    """The same venue under terms whose limits count anew at `reset`, long before the day ends."""
    product = venue.terms.product.model_copy(update={"loss_clock": Clock(zone="UTC", reset=reset)})
    under(venue, phase_terms(product, 1))


def under(venue: Venue, terms: PhaseTerms) -> None:
    venue.terms = terms
    venue.restart()
    account = venue.shard.state.accounts[0]
    venue.shard.state.join_clocks(account, terms, venue.now)
    account.terms = terms


def version_2(venue: Venue, *rules: dict[str, Any]) -> PhaseTerms:
    made = venue.terms.product.model_dump(mode="json")
    made["version"] = 2
    made["phases"][0]["rules"] = [*made["phases"][0]["rules"][:1], *rules]
    return phase_terms(Product.model_validate(made), 1)


def dealer_closes(venue: Venue, position: str) -> None:
    side, lots, _ = venue.lots.pop(position)
    venue.send(
        Deal(
            seq=venue.next, at=venue.now, deal_id=f"d{venue.seq}", login=1, position_id=position, symbol="EURUSD",
            side="sell" if side == "buy" else "buy", lots=lots, price=venue.bid, entry="out", profit_minor=0,
            commission_minor=0, swap_minor=0, balance_minor=venue.balance, reason="dealer",
        )
    )  # fmt: skip


def test_a_limit_that_the_reset_itself_breaks_is_one_breach() -> None:
    venue = Venue(DAILY, RATIO, target="9000")
    venue.open("a", "10")
    venue.open("b", "10", side="sell")
    venue.quote("1.10300")
    venue.close("a")  # 3,000.00 made, 3,000.00 floating away: the next day's limit stands above the equity
    venue.quote("1.10300", hours=14, minutes=59, seconds=59)
    venue.wait(seconds=2)
    assert venue.found == [("breach", "daily_loss", 1)]


def test_what_was_done_wrong_in_the_trade_that_passes_is_on_record_too() -> None:
    release = ScheduledRelease(1, "nfp", START + timedelta(minutes=30), ("USD",), "high")
    news = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "applies_to": ["close"],
            "consequences": [{"kind": "review"}]}  # fmt: skip
    venue = Venue(news, news=[release])
    venue.wait(minutes=10)
    venue.open("a")
    venue.quote("1.10600", minutes=20)
    venue.close("a")
    assert venue.found == [("review", "news_window", 1), ("pass", "", 0)]


def test_an_offence_at_the_reset_does_not_hold_a_pass_back() -> None:
    last = {"type": "inactivity", "trading_days": 1, "counter_starts": "last_trade", "consequences": [{"kind": "warn"}]}
    venue = Venue(RATIO, last)
    for price in ("1.10600", "1.11200"):
        venue.open(price)
        venue.quote(price)
        venue.close(price)
        venue.wait(days=1, hours=-1)
    venue.wait(days=3)
    assert ("pass", "", 0) in venue.found


def test_a_day_ends_for_an_account_whose_worth_is_not_known() -> None:
    venue = Venue(DAILY | {"consequences": PAUSES}, RATIO)
    venue.open("a", "10")
    venue.quote("1.09899")
    assert venue.found == [("pause_until_reset", "daily_loss", 1)]
    account = venue.shard.state.accounts[0]
    venue.shard.state.board.prices.clear()  # the quotes are gone, so what it is worth cannot be said
    venue.shard.state.columns.unknown[account.row] = True
    venue.now = MIDNIGHT
    venue.send()
    conduct = account.conduct
    assert conduct is not None
    assert [resume.at for resume in venue.shard.state.facts.resumes] == [MIDNIGHT]
    assert (conduct.limits["daily_loss"].counted, conduct.paused) == ((), None)
    assert [type(event).__name__ for event in conduct.events] == ["Opened", "Rolled"]


def test_a_pause_lasts_to_the_end_of_the_trading_day_though_limits_count_anew_before() -> None:
    venue = Venue(DAILY | {"consequences": PAUSES})
    with_loss_clock(venue, "12:00")
    venue.open("a", "10")
    venue.quote("1.09899")
    dealer_closes(venue, "a")
    conduct = venue.shard.state.accounts[0].conduct
    venue.wait(hours=4)
    assert conduct is not None and conduct.limits["daily_loss"].counted == ()
    assert venue.shard.state.facts.resumes == []
    venue.wait(hours=12)
    assert [resume.at for resume in venue.shard.state.facts.resumes] == [MIDNIGHT]


def test_a_reset_of_the_limits_alone_is_stored() -> None:
    venue = Venue(DAILY)
    with_loss_clock(venue, "12:00")
    venue.shard.state.columns.dirty[:] = False
    venue.wait(hours=4)
    assert venue.shard.state.columns.dirty[0], "a shard rebuilt from the checkpoint would judge by yesterday's anchor"


def test_several_days_at_once_are_gone_through_in_order() -> None:
    venue = Venue(INACTIVE | {"consequences": [{"kind": "warn"}]}, RATIO, target="9000")
    venue.open("a", "0.1")
    venue.wait(days=6)
    conduct = venue.shard.state.accounts[0].conduct
    assert conduct is not None
    at = [event.at for event in conduct.events]
    assert at == sorted(at)
    assert [type(event).__name__ for event in conduct.events].count("Clocked") == 2


def test_what_the_venue_closes_itself_is_no_offence_of_the_trader() -> None:
    release = ScheduledRelease(1, "nfp", START + timedelta(minutes=30), ("USD",), "high")
    news = {"type": "news_window", "before_minutes": 2, "after_minutes": 2, "applies_to": ["close"]}
    venue = Venue(news, DAILY | {"consequences": PAUSES}, news=[release])
    venue.wait(minutes=10)
    venue.open("a", "10")
    venue.quote("1.09899", minutes=20)
    dealer_closes(venue, "a")
    assert venue.found == [("pause_until_reset", "daily_loss", 1)]


def test_time_decides_nothing_for_an_account_that_has_ended() -> None:
    venue = Venue(INACTIVE | {"consequences": [{"kind": "warn"}, {"kind": "fail"}]}, DAILY)
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.wait(days=10)
    conduct = venue.shard.state.accounts[0].conduct
    assert conduct is not None
    assert venue.found == [("breach", "daily_loss", 1)]
    rule = venue.terms.history_rules[0]
    assert state_of(rule, conduct.history, venue.terms.context).model_dump()["offences"] == 0


def test_offences_go_on_under_another_version_with_proofs_that_hold() -> None:
    exposure: dict[str, Any] = {"type": "max_exposure", "limit": "2", "consequences": [{"kind": "warn"}]}
    venue = Venue(exposure, target="9000")
    venue.open("a", "2.5")
    assert venue.found == [("warn", "max_exposure", 1)]
    band = {"type": "max_exposure", "id": "few", "unit": "positions", "limit": "1", "consequences": [{"kind": "warn"}]}
    venue.close("a")
    venue.open("b", "1")
    venue.open("c", "1")
    after = version_2(venue, exposure | {"limit": "5"}, band)
    account = venue.shard.state.accounts[0]
    venue.shard.versions.expect(account.account_id, Pending("mov_1", after))
    venue.wait(days=1)
    assert account.terms is after
    venue.terms = after
    venue.restart()
    venue.open("d", "4")
    assert venue.found == [("warn", "max_exposure", 1), ("warn", "max_exposure", 2)], "6 lots: the number goes on"
    venue.open("e", "0.1")
    assert venue.found[2:] == [("warn", "max_exposure", 3), ("warn", "few", 1)], "what it began with is not counted"


def test_a_soft_offence_counts_among_the_offences_of_a_rebuilt_account() -> None:
    loaded = Loaded(
        "acc_1", "chl_1", 1, Venue(DAILY).terms, "active", (("daily_loss", 7), ("daily_loss", 9), ("max_loss", 9)), None
    )
    assert loaded.offences_before(9) == {"daily_loss": 1}
    assert loaded.offences_before(10) == {"daily_loss": 2, "max_loss": 1}


def test_a_soft_limit_stays_muted_and_alarms_stay_right_over_a_restart() -> None:
    venue = Venue(DAILY | {"consequences": PAUSES})
    venue.open("a", "10")
    venue.quote("1.09899")
    venue.restart()
    venue.quote("1.09800")
    assert venue.found == [("pause_until_reset", "daily_loss", 1)]
    venue.quote("1.08999")  # the hard limit is still watched
    assert venue.found[1:] == [("breach", "max_loss", 1)]
    assert not any(isinstance(fact, OffenceFact) for fact in venue.shard.state.facts.verdicts[1:])
    assert venue.bid == Decimal("1.08999")


def test_every_breach_of_an_event_belongs_to_the_lock_that_ends_the_account() -> None:
    few = {"type": "max_exposure", "unit": "positions", "limit": "1"}
    venue = Venue(
        few | {"id": "ends"}, few | {"id": "pauses", "consequences": PAUSES}, few | {"id": "ends_too"}, target="9000"
    )
    venue.open("a")
    venue.open("b")
    assert [rule for _, rule, _ in venue.found] == ["ends", "pauses", "ends_too"]
    rows = verdict_rows(venue.shard.state.facts.verdicts, 1, venue.now)
    assert [(lock["ends"], len(lock["breach_ids"])) for lock in rows.locks] == [(True, 2), (False, 0)]
