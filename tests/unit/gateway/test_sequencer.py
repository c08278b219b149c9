"""The order that the gateway puts a venue's facts into."""

import random
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from ports.platform import BalanceOperation, Batch, ClockMark, Correction, Deal, PendingOrder, StopsChanged, Tick
from ports.venue import (
    Access,
    CaughtUp,
    Cursor,
    Fact,
    Fill,
    FillCorrected,
    Money,
    Numbered,
    Order,
    Quote,
    State,
    Stops,
    VenueTime,
)
from tests.unit.gateway.script import FIRST, World, at, closing, deposit, fill, quote, snapshot


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "journal.sqlite3")


def _deals(world: World) -> list[Deal]:
    return [event for event in world.events() if isinstance(event, Deal)]


def test_numbers_have_no_gaps_and_begin_above_those_of_an_earlier_journal(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(quote(1), fill(1, 7, 1), quote(2))
    world.tell(quote(3))
    batches = [Batch.model_validate_json(each.body) for each in world.journal.read(0, 100)]
    assert [batch.number for batch in batches] == list(range(FIRST + 1, FIRST + 1 + len(batches)))
    seqs = [event.seq for batch in batches for event in batch.events]
    assert seqs == list(range(FIRST + 1, FIRST + 1 + len(seqs)))
    assert all(isinstance(batch.events[-1], ClockMark) for batch in batches)


def test_a_fill_told_twice_is_one_deal_also_after_a_kill(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), fill(1, 7, 1))
    world.kill()
    world.connect(fill(1, 7, 1), snapshot(7, 1000_00, [("p1", "buy", "1")]))
    assert [deal.deal_id for deal in _deals(world)] == ["d1"]
    assert world.sequencer.counts.duplicates == 1


def test_the_balance_runs_on_over_fills_and_costs(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1, commission_minor=-3_50), closing(2, 1, 7, 2, 40_00, swap_minor=-1_00, fee_minor=-50))
    assert [deal.balance_minor for deal in _deals(world)] == [996_50, 1035_00]


def test_a_profit_that_the_venue_does_not_say_is_computed_from_the_position(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1, profit_minor=None), closing(2, 1, 7, 2, None, price=Decimal("1.10123")))
    assert [deal.profit_minor for deal in _deals(world)] == [0, 123_00]


def test_a_close_that_comes_before_its_opening_waits_for_it(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    assert world.tell(closing(2, 1, 7, 2, 40_00)) == []
    assert world.sequencer.wants_fills == {7}
    world.tell(fill(1, 7, 1))
    assert [deal.deal_id for deal in _deals(world)] == ["d1", "d2"]
    assert _deals(world)[-1].balance_minor == 1040_00


def test_a_close_without_an_opening_is_told_once_the_venue_was_asked(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(closing(2, 1, 7, 2, 40_00))
    world.sequencer.asked(7)
    world.reader.store()
    assert [deal.balance_minor for deal in _deals(world)] == [1040_00]


def test_market_time_never_goes_back_and_a_late_fill_says_so(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(quote(100))
    [deal] = world.tell(fill(1, 7, 40))
    assert isinstance(deal, Deal)
    assert (deal.at, deal.late) == (at(100), True)
    [told] = world.tell(fill(2, 7, 101))
    assert isinstance(told, Deal)
    assert not told.late


def test_a_quote_older_than_the_last_is_dropped(world: World) -> None:
    world.connect()
    world.tell(quote(2), quote(1, bid="1.2", ask="1.3"))
    assert [event.bid for event in world.events() if isinstance(event, Tick)] == [Decimal("1.10000")]
    assert world.sequencer.counts.superseded_quotes == 1


def test_market_time_stands_still_until_the_connection_has_caught_up(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(quote(1))
    world.kill()
    world.sequencer.connected()
    before = world.journal.last()
    world.tell(VenueTime(at(90)), fill(1, 7, 5))
    assert world.journal.last() == before
    world.tell(CaughtUp(), VenueTime(at(91)))
    [deal] = _deals(world)
    assert (deal.at, deal.late) == (at(5), False)
    last = Batch.model_validate_json(world.journal.read(world.journal.last() - 1, 1)[0].body)
    assert last.events[-1].at == at(91)


def test_what_was_missed_is_told_in_order_of_time(world: World) -> None:
    world.connect(snapshot(7, 1000_00), snapshot(8, 1000_00))
    world.tell(quote(1))
    world.kill()
    world.connect(fill(1, 7, 10), closing(2, 1, 7, 30, 5_00), fill(3, 8, 20))
    assert [deal.deal_id for deal in _deals(world)] == ["d1", "d3", "d2"]
    assert not any(deal.late for deal in _deals(world))


def test_a_fresh_journal_begins_with_the_venues_snapshots(world: World) -> None:
    world.connect(deposit(1, 7, 1, 1000_00), fill(1, 7, 2), snapshot(7, 1000_00, [("p1", "buy", "1")], second=3))
    assert _deals(world) == []
    assert world.sequencer.books[7].snapshot(0).balance_minor == 1000_00
    world.tell(fill(1, 7, 2))
    [deal] = world.tell(closing(2, 1, 7, 4, 10_00))
    assert isinstance(deal, Deal)
    assert deal.balance_minor == 1010_00


def test_what_waits_for_a_new_account_counts_once(world: World) -> None:
    world.connect()
    world.tell(Access(9, "opened", at(1)), deposit(1, 9, 2, 500_00), deposit(1, 9, 2, 500_00))
    told = world.tell(snapshot(9, 500_00, second=3))
    assert [event.balance_minor for event in told if isinstance(event, BalanceOperation)] == [500_00]
    assert world.sequencer.books[9].balance_minor == 500_00


def test_a_new_account_is_told_from_its_opening_on(world: World) -> None:
    world.connect()
    world.tell(Access(9, "opened", at(1)), deposit(1, 9, 2, 500_00))
    assert world.events() == []
    assert world.sequencer.wants_snapshot == {9}
    told = world.tell(snapshot(9, 500_00, second=3))
    assert [event.kind for event in told] == ["account", "balance", "account"]
    [operation] = [event for event in told if isinstance(event, BalanceOperation)]
    assert (operation.amount_minor, operation.balance_minor) == (500_00, 500_00)


def test_what_comes_twice_while_a_new_account_waits_for_its_snapshot_is_counted_once(world: World) -> None:
    world.connect()
    world.tell(Access(9, "opened", at(1)), deposit(1, 9, 2, 500_00), fill(1, 9, 3, commission_minor=-1_00))
    world.tell(deposit(1, 9, 2, 500_00), fill(1, 9, 3, commission_minor=-1_00))
    told = world.tell(snapshot(9, 499_00, [("p1", "buy", "1")], second=4))
    assert [event.balance_minor for event in told if isinstance(event, BalanceOperation | Deal)] == [500_00, 499_00]
    assert world.sequencer.books[9].balance_minor == 499_00


@pytest.mark.parametrize(("older", "waits"), [(0, True), (500_00, False)])
def test_a_new_account_whose_snapshot_and_money_do_not_fit_is_asked_for_its_fills(
    world: World, older: int, waits: bool
) -> None:
    """The snapshot is older than the deposit, or the message about the deposit is still on its way."""
    world.connect()
    world.tell(Access(9, "opened", at(1)), *([deposit(1, 9, 2, 500_00)] if waits else ()))
    assert world.tell(snapshot(9, older, second=3)) == []
    assert world.sequencer.wants_fills == {9}
    world.tell(deposit(1, 9, 2, 500_00))
    world.sequencer.asked(9)
    told = world.tell(snapshot(9, 500_00, second=4))
    assert [event.balance_minor for event in told if isinstance(event, BalanceOperation)] == [500_00]
    assert world.sequencer.books[9].balance_minor == 500_00


def test_what_an_unknown_account_did_is_told_from_the_money_it_had(world: World) -> None:
    world.connect()
    world.tell(fill(1, 9, 2, commission_minor=-2_00), closing(2, 1, 9, 3, 12_00))
    world.tell(snapshot(9, 1010_00, second=4))
    assert _deals(world) == []
    world.sequencer.asked(9)  # the venue keeps no more
    world.tell(snapshot(9, 1010_00, second=5))
    assert [deal.balance_minor for deal in _deals(world)] == [998_00, 1010_00]
    assert world.sequencer.books[9].balance_minor == 1010_00


def test_a_missing_fill_is_found_by_the_snapshot_and_healed(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1))
    world.tell(snapshot(7, 1040_00, second=5))
    assert world.sequencer.wants_fills == {7}
    world.tell(fill(1, 7, 1), closing(2, 1, 7, 3, 40_00))
    world.sequencer.asked(7)
    world.tell(snapshot(7, 1040_00, second=6))
    counts = world.sequencer.counts
    assert (counts.gaps_found, counts.gaps_healed, counts.differences) == (1, 1, 0)
    assert [deal.deal_id for deal in _deals(world)] == ["d1", "d2"]


def test_a_difference_that_stays_is_said_and_changes_no_balance(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00, second=1))
    world.tell(snapshot(7, 900_00, second=5))
    world.sequencer.asked(7)
    world.reader.take(world.feed.message(snapshot(7, 900_00, second=6)))
    assert world.sequencer.notes == [
        "Account 7 differs from the venue: balance 100000 here and 90000 at the venue, in minor units."
    ]
    world.reader.store()
    [state] = world.events()
    assert (state.kind, world.sequencer.books[7].balance_minor) == ("state", 1000_00)


def test_a_fill_that_comes_again_with_other_money_is_a_correction(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), closing(2, 1, 7, 2, 40_00))
    told = world.tell(closing(2, 1, 7, 2, 35_00))
    correction, operation = told
    assert isinstance(correction, Correction)
    assert isinstance(operation, BalanceOperation)
    assert correction.corrects_seq == _deals(world)[1].seq
    assert (correction.change_minor, operation.amount_minor, operation.balance_minor) == (35_00, -5_00, 1035_00)
    assert world.tell(closing(2, 1, 7, 2, 35_00)) == []


def test_a_deleted_fill_gives_its_money_back(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), closing(2, 1, 7, 2, -40_00))
    correction, operation = world.tell(FillCorrected("d2", 7, None, at(9)))
    assert isinstance(correction, Correction)
    assert correction.change_minor is None
    assert isinstance(operation, BalanceOperation)
    assert operation.balance_minor == 1000_00
    assert world.tell(FillCorrected("d2", 7, None, at(9))) == []


@pytest.mark.parametrize(
    "again",
    [
        lambda: deposit(1, 7, 1, 10_00),
        lambda: Order("o1", "1", 7, "EURUSD", "buy", Decimal(1), "placed", at(1)),
        lambda: Access(7, "disabled", at(2)),
        lambda: State(7, 1000_00, 990_00, at(3)),
    ],
)
def test_the_same_fact_again_tells_nothing(world: World, again: Callable[[], Fact]) -> None:
    world.connect(snapshot(7, 1000_00))
    assert len(world.tell(again())) == 1
    assert world.tell(again()) == []
    world.kill()
    world.connect()
    assert world.tell(again()) == []


def test_orders_and_stops_are_told_as_they_change(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1))
    told = world.tell(
        Stops(7, "p1", Decimal("1.09"), None, at(2)),
        Stops(7, "p1", Decimal("1.09"), None, at(3)),
        Order("o1", "1", 7, "EURUSD", "buy", Decimal(1), "placed", at(4), "limit", Decimal("1.05")),
        Order("o1", "2", 7, "EURUSD", "buy", Decimal(1), "cancelled", at(5)),
    )
    stops, placed, gone = told
    assert isinstance(stops, StopsChanged)
    assert isinstance(placed, PendingOrder)
    assert isinstance(gone, PendingOrder)
    assert (placed.type, placed.price, gone.change) == ("limit", Decimal("1.05"), "cancelled")


def test_a_number_of_the_venue_that_is_missing_asks_for_every_account(world: World) -> None:
    world.connect(Numbered("deals", 5), snapshot(7, 1000_00))
    world.tell(Numbered("deals", 6))
    assert world.sequencer.counts.gaps_found == 0
    world.reader.take(world.feed.message(Numbered("deals", 9)))
    assert world.sequencer.counts.gaps_found == 1
    assert world.sequencer.wants_snapshot == {7}
    assert world.sequencer.notes == ["The venue's messages 7 to 8 of deals are missing."]


def test_what_cannot_be_read_is_counted_and_the_rest_is_told(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell("?")
    world.tell(quote(1, bid="NaN"), quote(2))
    assert world.sequencer.counts.unreadable == 2
    assert len(world.events()) == 1
    assert world.reader.unreadable[0] == "ws: body: this says nothing"


def test_a_time_far_ahead_is_not_believed(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.sqlite3", wall=True)
    world.connect(snapshot(7, 1000_00))
    world.tell(quote(1), received=at(1.2))
    assert world.tell(quote(3 * 3600), fill(1, 7, 3 * 3600), received=at(2)) == []
    assert world.sequencer.counts.unreadable == 2
    assert len(world.tell(quote(3), received=at(3.2))) == 1


def test_a_quote_without_a_time_has_that_of_receipt_and_the_lag_is_known(tmp_path: Path) -> None:
    world = World(tmp_path / "journal.sqlite3", wall=True)
    world.connect()
    world.tell(quote(10), received=at(10.25))
    [tick] = world.tell(quote(0).__class__("EURUSD", Decimal(1), Decimal(2), None), received=at(11))
    assert tick.at == at(10.75)


def test_what_a_simulated_venue_tells_without_a_time_happened_at_its_own_time(world: World) -> None:
    years_later = at(1e8)
    world.connect()
    world.tell(quote(10), received=years_later)
    told = world.tell(Access(7, "opened", None), replace(snapshot(7, 0), at=None), received=years_later)
    assert {(event.kind, event.at) for event in told} == {("account", at(10))}
    world.kill()
    before = len(world.events())
    world.connect(Access(7, "disabled", None), received=years_later)
    assert [(event.kind, event.at) for event in world.events()[before:]] == [("account", at(10))]


def test_readers_store_what_they_have_judged_while_the_clock_stands(world: World) -> None:
    world.connect()
    for fact in (VenueTime(at(5)), VenueTime(at(6), stands=True), VenueTime(at(6), stands=True), VenueTime(at(7))):
        world.tell(fact)
    marks = [Batch.model_validate_json(each.body).events[-1] for each in world.journal.read(0, 100)]
    assert [(mark.at, isinstance(mark, ClockMark) and mark.flush) for mark in marks] == [
        (at(5), False),
        (at(6), True),
        (at(6), True),
        (at(7), False),
    ]


def test_cursors_are_stored_with_what_they_stand_for(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), Cursor("deals", "1"))
    world.reader.take(world.feed.message(fill(2, 7, 2), Cursor("deals", "2")))  # killed before it was stored
    world.kill()
    assert world.sequencer.cursors == {"deals": "1"}
    assert [deal.deal_id for deal in _deals(world)] == ["d1"]


@pytest.mark.parametrize("seed", range(12))
def test_whatever_order_duplicates_and_kills_every_deal_is_told_once(world: World, seed: int) -> None:
    """The truth is a list of deals per account. The venue repeats, delays and reorders them; connections break and the
    process is killed; the account is asked for when something is missing."""
    chance = random.Random(seed)
    truth: list[Fill | Money] = []
    balances = dict.fromkeys((7, 8, 9), 1000_00)
    opened: dict[int, list[int]] = {login: [] for login in balances}
    for number in range(1, 120):
        login = chance.choice(list(balances))
        if opened[login] and chance.random() < 0.5:
            position = opened[login].pop(chance.randrange(len(opened[login])))
            truth.append(closing(number, position, login, number, chance.randrange(-50_00, 50_00)))
        elif chance.random() < 0.1:
            truth.append(deposit(number, login, number, 10_00))
        else:
            truth.append(fill(number, login, number, commission_minor=-1_00))
            opened[login].append(number)
    world.connect(*(snapshot(login, balance) for login, balance in balances.items()))
    told = 0
    while told < len(truth):
        more = truth[told : told + chance.randrange(1, 9)]
        told += len(more)
        sent: list[Fact] = [each for each in [*more, *more[:2]] if chance.random() > 0.15]
        chance.shuffle(sent)
        world.tell(*sent)
        if chance.random() < 0.15:
            world.reader.take(world.feed.message(*more))
            world.kill()
            world.connect(*truth[:told])
    for login in balances:
        world.tell(*(each for each in truth if each.login == login))
        world.sequencer.asked(login)
    world.reader.store()
    ids = sorted(deal.deal_id for deal in _deals(world))
    assert ids == sorted(each.fill_id for each in truth if isinstance(each, Fill))
    for login, balance in balances.items():
        moved = sum(
            each.amount_minor if isinstance(each, Money) else (each.profit_minor or 0) + each.commission_minor
            for each in truth
            if each.login == login
        )
        assert world.sequencer.books[login].balance_minor == balance + moved
        assert len(world.sequencer.books[login].positions) == len(opened[login])


def test_a_state_is_told_although_a_snapshot_had_the_same_figures(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    [state] = world.tell(State(7, 1000_00, 1000_00, at(1)))
    assert state.kind == "state"
    world.tell(snapshot(7, 1000_00, second=2))
    assert world.tell(State(7, 1000_00, 1000_00, at(3))) == []


def test_what_happened_after_a_first_start_without_an_event_is_told(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.kill()
    world.connect(fill(1, 7, 5), snapshot(7, 1000_00, [("p1", "buy", "1")], second=6))
    assert [deal.deal_id for deal in _deals(world)] == ["d1"]


@pytest.mark.parametrize(
    "wrong",
    [
        {"login": "7"},
        {"at": datetime(2026, 3, 2)},
        {"profit_minor": Decimal(1)},
        {"lots": 1.5},
        {"side": "long"},
        {"price": Decimal("NaN")},
    ],
)
def test_a_fact_of_wrong_types_is_set_aside_and_the_next_is_told(world: World, wrong: dict[str, Any]) -> None:
    world.connect(snapshot(7, 1000_00))
    assert world.tell(replace(fill(1, 7, 1), **wrong)) == []
    assert world.sequencer.counts.unreadable == 1
    assert len(world.tell(fill(2, 7, 2))) == 1


def test_a_quote_of_wrong_types_is_set_aside(world: World) -> None:
    world.connect()
    naive = datetime(2026, 3, 2)
    world.tell(Quote("EURUSD", 1.1, Decimal(2), at(1)), Quote("EURUSD", Decimal(1), Decimal(2), naive))  # type: ignore[arg-type]
    assert world.sequencer.counts.unreadable == 2
    assert world.events() == []


def test_an_account_is_enabled_when_its_money_is_known(world: World) -> None:
    """It is judged from then on. The push of its deposit may be lost, or come later."""
    world.connect(snapshot(7, 0, enabled=False))
    assert world.tell(Access(7, "enabled", at(1))) == []
    assert world.sequencer.wants_snapshot == {7}
    assert world.tell(snapshot(7, 1000_00, second=2)) == []
    assert world.sequencer.wants_fills == {7}
    told = world.tell(deposit(1, 7, 1, 1000_00), snapshot(7, 1000_00, second=3))
    assert [event.kind for event in told] == ["balance", "account"]
    assert world.tell(Access(7, "enabled", at(4)), snapshot(7, 1000_00, second=5)) == []
