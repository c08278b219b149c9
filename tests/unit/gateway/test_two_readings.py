"""The venue is read part by part, and things happen in between: what a part says waits for the one that explains it."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from domain.errors import Unavailable
from ports.platform import AccountChanged, AccountState, Batch, StopsChanged
from ports.venue import Access, FillCorrected, Message, Snapshot, State, Stops, VenueTime
from tests.unit.gateway.script import World, at, closing, deposit, fill, quote, snapshot


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "journal.sqlite3")


def _states(world: World) -> list[tuple[int, int, bool]]:
    found = [event for event in world.events() if isinstance(event, AccountState)]
    return [(event.balance_minor, event.equity_minor, event.estimated) for event in found]


def _stops(world: World) -> list[Decimal | None]:
    return [event.stop_loss for event in world.events() if isinstance(event, StopsChanged)]


def test_figures_after_a_withdrawal_are_told_after_the_withdrawal(world: World) -> None:
    """Else a payout that is taken out would look like a loss of the day."""
    world.connect(snapshot(7, 108_000_00))
    assert world.tell(State(7, 100_000_00, 100_000_00, at(1))) == []
    assert world.sequencer.wants_snapshot == {7}
    told = world.tell(deposit(1, 7, 0.5, -8_000_00))
    assert [event.kind for event in told] == ["balance", "state"]
    assert _states(world) == [(100_000_00, 100_000_00, False)]


def test_figures_after_a_fill_are_told_after_the_fill(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1))
    assert world.tell(State(7, 900_00, 900_00, at(2))) == []
    assert [event.kind for event in world.tell(closing(2, 1, 7, 1, -100_00))] == ["deal", "state"]


def test_figures_after_a_correction_are_told_after_the_correction(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), closing(2, 1, 7, 2, 50_00))
    assert world.tell(State(7, 1000_00, 1000_00, at(3))) == []
    told = world.tell(FillCorrected("d2", 7, 0, at(4)))
    assert [event.kind for event in told] == ["correction", "balance", "state"]


def test_newer_figures_take_the_place_of_those_that_wait(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(State(7, 900_00, 880_00, at(1)), State(7, 900_00, 870_00, at(2)))
    world.tell(deposit(1, 7, 1, -100_00))
    assert _states(world) == [(900_00, 870_00, False)]
    world.tell(State(7, 800_00, 800_00, at(3)), State(7, 900_00, 860_00, at(4)))
    world.tell(deposit(2, 7, 5, -100_00))
    assert _states(world) == [(900_00, 870_00, False), (900_00, 860_00, False)], "what it had left is not told later"


def test_figures_that_nothing_explains_are_told_as_uncertain_until_they_are_explained(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00))
    world.tell(State(7, 900_00, 900_00, at(1)))
    world.tell(snapshot(7, 900_00, second=2))
    assert (world.sequencer.wants_fills, _states(world)) == ({7}, [])
    world.sequencer.asked(7)
    world.tell(snapshot(7, 900_00, second=3))
    world.tell(State(7, 900_00, 880_00, at(4)))
    assert _states(world) == [(900_00, 900_00, True), (900_00, 880_00, True)]
    world.tell(deposit(1, 7, 1, -100_00), snapshot(7, 900_00, second=5))
    assert _states(world)[2:] == [(900_00, 900_00, False)]
    assert world.tell(State(7, 800_00, 800_00, at(6))) == [], "once it agrees, figures wait again"


def test_figures_wait_for_ten_seconds_at_most(world: World) -> None:
    """The venue may not answer: an account that nobody judges must not lose on."""
    world.connect(snapshot(7, 1000_00))
    world.tell(State(7, 900_00, 900_00, at(1)), State(7, 900_00, 850_00, at(8)), VenueTime(at(10)))
    assert _states(world) == []
    world.tell(VenueTime(at(11)))
    assert _states(world) == [(900_00, 850_00, True)]
    world.tell(State(7, 900_00, 840_00, at(12)))
    assert _states(world)[1:] == [(900_00, 840_00, True)]
    world.tell(deposit(1, 7, 1, -100_00), State(7, 900_00, 840_00, at(13)))
    assert _states(world)[2:] == [(900_00, 840_00, False)]


def test_figures_from_which_the_venue_goes_back_are_not_told_later(world: World) -> None:
    world.connect(snapshot(7, 900_00))
    world.tell(State(7, 900_00, 870_00, at(1)), State(7, 800_00, 800_00, at(2)), State(7, 900_00, 870_00, at(3)))
    world.tell(deposit(1, 7, 4, -100_00))
    assert _states(world) == [(900_00, 870_00, False)]


def test_a_difference_of_positions_alone_makes_no_figures_uncertain(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00))
    _compare(world, snapshot(7, 1000_00, [("p9", "buy", "1")]))
    assert world.sequencer.counts.differences == 1
    world.tell(State(7, 995_00, 995_00, at(1)), deposit(1, 7, 1, -5_00))
    assert _states(world) == [(1000_00, 1000_00, False), (995_00, 995_00, False)]


def test_a_difference_is_said_once_in_each_comparison(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00))
    _compare(world, snapshot(7, 900_00), snapshot(7, 900_00))
    assert world.sequencer.counts.differences == 1
    _compare(world, snapshot(7, 900_00), snapshot(7, 900_00))
    assert world.sequencer.counts.differences == 2


def test_a_restarted_gateway_takes_the_doubt_back(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00))
    _compare(world, snapshot(7, 900_00))
    assert _states(world) == [(900_00, 900_00, True)]
    world.kill()
    world.connect(deposit(1, 7, 1, -100_00), snapshot(7, 900_00, second=2))
    assert _states(world) == [(900_00, 900_00, True), (900_00, 900_00, False)]


def test_figures_that_were_uncertain_are_told_again_when_they_are_certain(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    uncertain = State(7, 1000_00, 990_00, at(1), estimated=True)
    world.tell(uncertain, uncertain, State(7, 1000_00, 990_00, at(2)), State(7, 1000_00, 990_00, at(3)))
    assert _states(world) == [(1000_00, 990_00, True), (1000_00, 990_00, False)]


def test_it_is_known_after_a_kill_that_the_last_figures_were_uncertain(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(State(7, 1000_00, 990_00, at(1), estimated=True))
    world.kill()
    world.connect(State(7, 1000_00, 990_00, at(2)))
    assert _states(world) == [(1000_00, 990_00, True), (1000_00, 990_00, False)]


def test_stops_wait_for_the_fill_that_opens_their_position(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    assert world.tell(Stops(7, "p1", Decimal("1.09"), None, at(1))) == []
    told = world.tell(fill(1, 7, 1))
    assert [event.kind for event in told] == ["deal", "stops"]
    assert world.sequencer.books[7].positions["p1"].stop_loss == Decimal("1.09")


def test_a_stop_that_was_taken_away_at_once_is_told(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(Stops(7, "p1", None, None, at(2)), fill(1, 7, 1, stop_loss=Decimal("1.09")))
    assert _stops(world) == [None]


def test_stops_of_an_account_that_waits_for_its_snapshot_are_told(world: World) -> None:
    world.connect()
    world.tell(fill(1, 7, 1), Stops(7, "p1", Decimal("1.09"), None, at(2)))
    world.sequencer.asked(7)
    world.tell(snapshot(7, 0, [("p1", "buy", "1")], second=3))
    assert _stops(world) == [Decimal("1.09")]


def test_stops_of_an_earlier_connection_are_forgotten(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(Stops(7, "p1", Decimal("1.09"), None, at(1)))
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1))
    assert _stops(world) == []


def test_a_fill_that_was_cancelled_before_it_was_told_is_no_fault(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    assert world.tell(FillCorrected("d1", 7, None, at(1))) == []
    assert (world.sequencer.counts.unreadable, world.sequencer.counts.duplicates) == (0, 1)
    assert world.tell(fill(1, 7, 1)) == [], "it was cancelled"
    world.tell(FillCorrected("d2", 7, 500, at(1)))
    assert world.sequencer.counts.unreadable == 1


def test_a_closing_fill_that_waits_is_not_told_once_it_is_cancelled(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(closing(2, 1, 7, 2, -500_00), FillCorrected("d2", 7, None, at(3)))
    world.sequencer.asked(7)
    assert world.tell(quote(4)) == [event for event in world.events() if event.kind == "tick"]


def test_a_cancelled_fill_is_not_taken_off_the_money_of_a_new_account(world: World) -> None:
    world.connect()
    world.tell(fill(1, 7, 1), FillCorrected("d1", 7, None, at(2)))
    world.sequencer.asked(7)
    world.tell(snapshot(7, 1000_00, second=3))
    assert (world.sequencer.books[7].balance_minor, world.sequencer.books[7].positions) == (1000_00, {})


def test_a_snapshot_from_before_an_account_was_disabled_does_not_enable_it(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(Access(7, "disabled", at(1)))
    assert world.tell(snapshot(7, 1000_00, second=1)) == []
    assert world.sequencer.wants_snapshot == {7}
    assert world.tell(snapshot(7, 1000_00, enabled=False, second=2)) == []
    assert world.tell(snapshot(7, 1000_00, second=3)) == [], "begins anew"
    [event] = world.tell(snapshot(7, 1000_00, second=4))
    assert isinstance(event, AccountChanged)
    assert event.change == "enabled"


async def test_fills_that_were_read_while_the_connection_broke_do_not_count_as_all(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    early = closing(2, 1, 7, 2, None)
    world.tell(early)
    assert world.sequencer.wants_fills == {7}

    async def break_off(login: int, cursor: str) -> AsyncIterator[Message]:
        world.sequencer.connected()
        for _ in ():
            yield world.feed.message()

    world.feed.fills = break_off  # type: ignore[method-assign]
    await world.reader._ask(everything=False)
    assert world.sequencer.wants_fills == {7}, "asked for again on the next connection"
    assert world.events() == []


def _compare(world: World, *shown: Snapshot) -> None:
    """A comparison of all accounts: the venue shows them, the fills of those that differ are asked for, and it shows
    them again."""
    world.sequencer.compare_anew()
    world.tell(*shown)
    for login in sorted(world.sequencer.wants_fills):
        world.sequencer.asked(login)
    world.tell(*shown)


def _begun_torn(world: World) -> None:
    """A fresh journal whose first snapshot was read before a close, and the list of fills after it."""
    opened, closed = fill(1, 7, -20), closing(2, 1, 7, -10, -40_00)
    world.connect(opened, closed, snapshot(7, 1000_00, [("p1", "buy", "1")]))
    world.tell(quote(1))
    assert world.sequencer.wants_snapshot == {7}, "it is compared at once"


def _lacks_events(world: World) -> bool:
    numbers = [
        event.seq for batch in world.journal.read(0, 1000) for event in Batch.model_validate_json(batch.body).events
    ]
    return numbers != list(range(numbers[0], numbers[0] + len(numbers)))


def test_a_book_that_began_between_two_readings_begins_anew_and_readers_rebuild(world: World) -> None:
    _begun_torn(world)
    shown = snapshot(7, 960_00, second=2)
    _compare(world, shown, shown, shown)
    _compare(world, shown)
    assert world.sequencer.books[7].balance_minor == 1000_00, "what the venue shows may still be on its way"
    assert not _lacks_events(world)
    world.sequencer.compare_anew()
    world.tell()
    assert (world.sequencer.books[7].balance_minor, world.sequencer.books[7].positions) == (960_00, {})
    assert _lacks_events(world)
    world.kill()
    assert _lacks_events(world), "the number is left out in the batch in which the book is stored"
    world.connect(shown)
    assert (world.sequencer.books[7].proven, _states(world)[-1]) == (True, (960_00, 960_00, False))


def test_what_is_told_between_two_comparisons_puts_off_the_new_beginning(world: World) -> None:
    _begun_torn(world)
    _compare(world, snapshot(7, 960_00))
    _compare(world, snapshot(7, 960_00))
    world.tell(fill(3, 7, 2))
    held = snapshot(7, 960_00, [("p3", "buy", "1")])
    _compare(world, held)
    _compare(world, held)
    assert world.sequencer.books[7].positions.keys() == {"p1", "p3"}
    world.sequencer.compare_anew()
    assert world.sequencer.books[7].positions.keys() == {"p3"}


def test_a_new_connection_puts_off_the_new_beginning(world: World) -> None:
    _begun_torn(world)
    _compare(world, snapshot(7, 960_00))
    _compare(world, snapshot(7, 960_00))
    world.connect(snapshot(7, 960_00))
    assert world.sequencer.books[7].balance_minor == 1000_00


def test_a_book_that_once_agreed_never_begins_anew(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00, second=1))
    world.kill()
    world.connect(snapshot(7, 960_00, second=2))
    world.sequencer.asked(7)
    for _ in range(4):
        _compare(world, snapshot(7, 960_00))
    assert world.sequencer.books[7].balance_minor == 1000_00
    assert not _lacks_events(world)


async def test_an_account_whose_fills_the_venue_refuses_holds_no_other_up(world: World) -> None:
    world.connect(snapshot(3, 1000_00), snapshot(7, 1000_00))
    world.tell(snapshot(3, 900_00), snapshot(7, 900_00))
    asked: list[int] = []

    async def fills(login: int, cursor: str) -> AsyncIterator[Message]:
        asked.append(login)
        if login == 3:
            raise Unavailable("The venue is away.")
        for _ in ():
            yield world.feed.message()

    world.feed.fills = fills  # type: ignore[method-assign]
    with pytest.raises(Unavailable):
        await world.reader._ask(everything=False)
    assert (asked, world.sequencer.wants_fills, world.sequencer.wants_snapshot) == ([3, 7], {3}, set())
