"""What the reader does about facts that it cannot tell: the journal fails, or the venue does not know the account."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path

import pytest

from domain.errors import Conflict, PropOSError, Unavailable
from ports.platform import Deal
from ports.venue import Cursor, Fact, Message
from tests.unit.gateway.script import World, deposit, fill, snapshot


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "journal.sqlite3")


@pytest.mark.parametrize("error", [Unavailable("The journal does not answer."), Conflict("Another gateway has it.")])
async def test_a_journal_that_fails_ends_the_gateway_and_no_fact_is_set_aside(
    world: World, monkeypatch: pytest.MonkeyPatch, error: PropOSError
) -> None:
    world.connect(snapshot(7, 1000_00))

    def fails(key: str) -> str | None:
        raise error

    monkeypatch.setattr(world.journal, "get", fails)
    with pytest.raises(type(error)):
        world.reader.take(world.feed.message(fill(1, 7, 1), Cursor("told", "1")))
    assert world.reader.unreadable == []
    assert world.sequencer.cursors == {}
    await world.reader._queue.put(world.feed.message(fill(2, 7, 1)))
    with pytest.raises(type(error)):  # and no group of errors: a person reads it
        await world.reader.run()


async def test_what_an_account_did_that_the_venue_never_lists_holds_no_cursor_up(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    assert world.tell(fill(1, 99, 1), Cursor("told", "1")) == []
    await world.reader._ask(everything=True)
    assert world.sequencer.batch()[1] == {}  # it may be listed a little later
    await world.reader._ask(everything=True)
    assert world.sequencer.unknown == frozenset()
    assert "account 99" in world.sequencer.notes[0]
    assert world.sequencer.batch()[1] == {"cursor/told": "1"}
    world.tell(snapshot(99, 1000_00, [("p1", "buy", "1")]))  # after all
    assert world.sequencer.wants_fills == {99}
    world.tell(deposit(2, 99, 0, 1000_00), fill(1, 99, 1))
    world.sequencer.asked(99)
    told = world.tell(snapshot(99, 1000_00, [("p1", "buy", "1")]))
    assert [event.deal_id for event in told if isinstance(event, Deal)] == ["d1"]
    assert world.sequencer.books[99].balance_minor == 1000_00


async def test_a_snapshot_that_the_venue_does_not_give_now_is_asked_for_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect()
    world.tell(fill(1, 99, 1))

    async def unavailable(logins: Iterable[int]) -> AsyncIterator[Message]:
        raise Unavailable("The venue is away.")
        yield

    monkeypatch.setattr(world.feed, "snapshots", unavailable)
    with pytest.raises(Unavailable):
        await world.reader._ask(everything=False)
    assert world.sequencer.wants_snapshot == {99}


async def test_fills_are_asked_for_again_when_the_answer_could_not_be_read(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.connect(snapshot(7, 1000_00))
    answers: list[Fact | str] = ["?", fill(1, 7, 1, commission_minor=-1_00)]
    differs = snapshot(7, 999_00, [("p1", "buy", "1")])

    async def fills(login: int, cursor: str) -> AsyncIterator[Message]:
        yield world.feed.message(answers.pop(0))

    async def snapshots(logins: Iterable[int]) -> AsyncIterator[Message]:
        yield world.feed.message(differs)

    monkeypatch.setattr(world.feed, "fills", fills)
    monkeypatch.setattr(world.feed, "snapshots", snapshots)
    telling = asyncio.create_task(world.reader._tell())
    for _ in range(5):
        await world.reader._ask(everything=True)
        await world.reader._queue.join()
    telling.cancel()
    assert [event.deal_id for event in world.events() if isinstance(event, Deal)] == ["d1"]
    assert answers == []
    assert world.sequencer.counts.unreadable == 1


def test_a_new_connection_asks_for_the_fills_of_an_account_that_differed_before(world: World) -> None:
    world.connect(snapshot(7, 1000_00))
    world.tell(snapshot(7, 1000_00))
    world.tell(snapshot(7, 999_00))
    world.sequencer.asked(7)
    world.tell(snapshot(7, 999_00))
    assert world.sequencer.wants_fills == set()
    world.connect(snapshot(7, 998_00))
    assert world.sequencer.wants_fills == {7}
