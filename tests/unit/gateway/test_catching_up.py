"""What happened before a connection is told in parts, and wholly, whenever the gateway or the connection ends."""

from decimal import Decimal
from pathlib import Path

import pytest

from ports.platform import Deal, GapInStream
from ports.venue import CONNECTED, Access, CaughtUp, Cursor, Fact, Message, Quote
from tests.unit.gateway.script import START, World, at, closing, deposit, fill, quote, snapshot

CONNECTION = Message(CONNECTED, b"", START)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "journal.sqlite3")


def _deals(world: World) -> list[Deal]:
    return [event for event in world.events() if isinstance(event, Deal)]


def test_a_gateway_killed_while_it_catches_up_loses_nothing_and_tells_nothing_twice(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(fill(1, 7, 1), Cursor("told", "1"))
    missed = [fill(number, 7, number) for number in range(2, 30)]
    world.kill()
    assert world.sequencer.cursors == {"told": "1"}
    world.reader.take(CONNECTION)
    world.reader.take(world.feed.message(*missed[:20], Cursor("told", "21")))
    world.reader.store()
    world.kill()  # before the venue has told all of it
    assert world.sequencer.cursors == {"told": "1"}
    world.reader.take(CONNECTION)
    world.reader.take(world.feed.message(*missed[:25], Cursor("told", "26"), CaughtUp(), *missed[25:]))
    world.reader.take(world.feed.message(Cursor("told", "29")))
    assert world.sequencer.tell_earlier(10)
    world.journal.append(*world.sequencer.batch())
    world.kill()  # after a part of it was told
    assert len(_deals(world)) == 11
    assert world.sequencer.cursors == {"told": "1"}
    world.connect(*missed, Cursor("told", "29"))
    assert [deal.deal_id for deal in _deals(world)] == [f"d{number}" for number in range(1, 30)]
    assert world.sequencer.cursors == {"told": "29"}


def test_what_has_no_time_of_the_venue_is_not_told_before_what_came_ahead_of_it(tmp_path: Path) -> None:
    world = World(tmp_path / "other.sqlite3", wall=True)
    world.connect(snapshot(7, 0))
    world.tell(quote(1), received=at(3))  # the venue's clock is two seconds behind ours
    world.reader.take(Message(CONNECTED, b"", at(4)))
    world.tell(deposit(1, 7, 10, 1000_00), received=at(11))
    world.tell(closing(2, 1, 7, 9.9, 0), fill(1, 7, 9.8), Access(7, "disabled", None), CaughtUp(), received=at(11.5))
    assert [event.kind for event in world.events()[1:]] == ["deal", "deal", "balance", "account"]


def test_a_connection_that_breaks_while_it_catches_up_is_asked_for_all_of_it_again(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(Cursor("told", "1"))
    world.reader.take(CONNECTION)
    world.tell(fill(2, 7, 2), Cursor("told", "2"))
    world.reader.take(CONNECTION)
    assert world.sequencer.cursors == {"told": "1"}
    world.connect(fill(2, 7, 2), Cursor("told", "2"))
    assert [deal.deal_id for deal in _deals(world)] == ["d2"]
    assert world.sequencer.cursors == {"told": "2"}


def test_much_that_was_missed_is_told_in_parts_and_in_order(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    before = world.journal.last()
    missed = [fill(number, 7, number) for number in range(1, 5_001)]
    world.reader.take(CONNECTION)
    world.reader.take(world.feed.message(*reversed(missed), CaughtUp(), fill(5_001, 7, 1)))
    assert world.reader.store()
    assert not world.sequencer.live
    while world.reader.store():
        pass
    assert world.sequencer.live
    assert [deal.deal_id for deal in _deals(world)] == [f"d{number}" for number in range(1, 5_002)]
    assert len(world.journal.read(before, 10)) == 3


def test_a_fact_that_cannot_be_told_does_not_keep_back_the_others(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    bad = [fill(1, 7, 2, price=Decimal("NaN")), fill(2, 7, 2, comment="\ud800")]
    odd: list[Fact] = [fill(3, 7, 2, fill_id="\ud800"), Quote("\ud800", Decimal(1), Decimal(2), at(2))]
    world.connect(fill(10, 7, 1), *bad, *odd, fill(11, 7, 3), Cursor("told", "9"))
    assert [deal.deal_id for deal in _deals(world)] == ["d10", "d11"]
    assert world.sequencer.counts.unreadable == 4
    assert world.sequencer.cursors == {"told": "9"}


async def test_a_reader_that_has_read_nothing_lacks_what_was_before_the_journal(world: World) -> None:
    """A shard that never ran must take accounts that may trade already from snapshots: no event enables them."""
    lines = world.hub.lines(0)
    world.hub.check(0)
    assert await anext(lines) == b"\n"
    world.connect(snapshot(7, 1000_00))
    world.tell(quote(1))
    assert [line async for line in lines] == [], "it has to join again"
    with pytest.raises(GapInStream) as gap:
        world.hub.check(0)
    assert gap.value.first == world.journal.first()
    world.hub.check(gap.value.first - 1)
    world.kill()
    with pytest.raises(GapInStream):
        world.hub.check(0)


async def test_nothing_is_lacking_where_no_account_could_trade_before(world: World) -> None:
    lines = world.hub.lines(0)
    world.connect(snapshot(7, 0, enabled=False))
    world.tell(quote(1))
    world.hub.check(0)
    assert (await anext(lines)).count(b"\n") == world.journal.last() - world.journal.first() + 1
