"""Checks of the decoder, over the messages that the feed's checks recorded."""

from collections.abc import Iterable, Iterator
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Final

from adapters.journals.embedded import EmbeddedJournal
from cli.platforms.mutations import mutations, shape
from cli.platforms.world import Check, Failed, World, expect
from gateway.clock import VenueClock
from gateway.sequencer import Sequencer
from gateway.symbols import MappedFeed
from ports.facts import checked
from ports.platform import BalanceOperation, Batch, Deal, SymbolSpec
from ports.venue import CONNECTED, SYMBOLS, Fact, Message, Unreadable

_OF_ONE_SHAPE: Final = 2
_MOST_SHAPES: Final = 100
_MOST_MESSAGES: Final = 2_000
_TOLD_AT_ONCE: Final = 2_000
_DELAY: Final = timedelta(minutes=1)


class _Pipe:
    """Decoder and sequencer of one connection, which take messages and allow nothing but Unreadable."""

    def __init__(self, feed: MappedFeed, specs: dict[str, SymbolSpec], *, wall: bool) -> None:
        self._feed, self._decoder = feed, feed.decoder()
        self.journal = EmbeddedJournal(Path(":memory:"))
        self._sequencer = Sequencer(self.journal, first_number=0, clock=VenueClock(wall=wall))
        self._sequencer.specs = specs

    def take(self, message: Message, words: str = "as it came") -> list[Fact]:
        if message.channel == CONNECTED:
            self._decoder = self._feed.decoder()
            self._sequencer.connected()
            return []
        taken: list[Fact] = []
        for fact in self._read(message, words):
            taken.append(fact)
            _check_types(fact, message, words)
            with suppress(Unreadable):  # a time far ahead, a value that the stream cannot hold
                self._sequencer.take(fact, message.received_at)
        more = True
        while more:
            more = self._sequencer.tell_earlier(_TOLD_AT_ONCE)
            batch, changes = self._sequencer.batch()
            if batch is not None or changes:
                self.journal.append(batch, changes)
        return taken

    def _read(self, message: Message, words: str) -> Iterator[Fact]:
        try:
            yield from self._decoder.facts(message)
        except Unreadable:
            return
        except Exception as exc:  # the promise is that nothing else is raised
            said = f"A message of {message.channel}, {words}, raises {type(exc).__name__}: {str(exc)[:200]}"
            raise Failed(said, "Raise ports.venue.Unreadable for what is not understood.") from exc


def _check_types(fact: Fact, message: Message, words: str) -> None:
    try:
        checked(fact)
    except Unreadable as exc:
        raise Failed(f"A message of {message.channel}, {words}, gives a wrong fact: {exc}.", _CHECKED) from exc


_CHECKED: Final = "Pass facts through ports.facts.checked, or look at the values before."


async def _pipe(world: World) -> _Pipe:
    feed = world.feed()
    specs = {each.symbol: each for each in await feed.symbols()}
    return _Pipe(feed, specs, wall=world.gateway().gateway_wall_clock)


async def _types(world: World) -> None:
    pipe = await _pipe(world)
    for message in _of(world):
        pipe.take(message)
    expect(bool(pipe.journal.last()), "The recorded messages say nothing.", "Decode what the feed sends.")


async def _deterministic(world: World) -> None:
    first, second = await _pipe(world), await _pipe(world)
    for message in _of(world):
        same = first.take(message) == second.take(message)
        expect(
            same,
            f"The same message of {message.channel} gives other facts the second time.",
            "Use no clock, no randomness and no state that several decoders share.",
        )


async def _duplicated(world: World) -> None:
    pipe, plain = await _pipe(world), await _pipe(world)
    for message in _of(world):
        plain.take(message)
        pipe.take(message)
        pipe.take(message, "twice")
    _nothing_twice(pipe)
    expect(_ids(pipe) == _ids(plain), "Messages that come twice change what is told.", "Keep ids the same.")


async def _reordered(world: World) -> None:
    pipe, messages = await _pipe(world), list(_of(world))
    for message in _swapped(messages):
        pipe.take(message, "after the one that follows it")
    _nothing_twice(pipe)
    backwards = await _pipe(world)
    for message in reversed(messages):
        if message.channel != CONNECTED:
            backwards.take(message, "in reversed order")
    _nothing_twice(backwards)


async def _delayed(world: World) -> None:
    pipe = await _pipe(world)
    for message in _of(world):
        pipe.take(message._replace(received_at=message.received_at + _DELAY), "a minute late")
    _nothing_twice(pipe)


async def _mutated(world: World) -> None:
    pipe, count = await _pipe(world), 0
    for message in _of(world):
        pipe.take(message)
    for message in _few(_of(world)):
        for words, body in mutations(message.body):
            pipe.take(message._replace(body=body), words)
            count += 1
    expect(count > 0, "There was no message to change.", "See the check connect.")


def _swapped(messages: list[Message]) -> Iterator[Message]:
    for start in range(0, len(messages), 2):
        yield from reversed(messages[start : start + 2])


def _of(world: World) -> Iterator[Message]:
    taken = [each for each in world.recording() if each.channel != SYMBOLS]
    yield from taken[:_MOST_MESSAGES]


def _few(messages: Iterable[Message]) -> Iterator[Message]:
    """A few messages of each shape."""
    seen: dict[str, int] = {}
    for message in messages:
        if message.channel == CONNECTED:
            continue
        kind = f"{message.channel} {shape(message.body)}"
        seen[kind] = seen.get(kind, 0) + 1
        if seen[kind] <= _OF_ONE_SHAPE and len(seen) <= _MOST_SHAPES:
            yield message


def _ids(pipe: _Pipe) -> list[str]:
    batches = [Batch.model_validate_json(each.body) for each in pipe.journal.read(0, 1_000_000)]
    events = [event for batch in batches for event in batch.events]
    deals = [f"fill {each.deal_id}" for each in events if isinstance(each, Deal)]
    return deals + [f"{each.operation} {each.key}" for each in events if isinstance(each, BalanceOperation)]


def _nothing_twice(pipe: _Pipe) -> None:
    ids = _ids(pipe)
    twice = sorted({each for each in ids if ids.count(each) > 1})
    expect(not twice, f"{', '.join(twice[:3])} is told twice.", "Give a fact the same id whenever it is sent.")


DECODING: Final = (
    Check("facts", "Every fact has the types of its fields, and times have a zone.", _types),
    Check("deterministic", "The same messages give the same facts.", _deterministic),
    Check("duplicated", "Messages that come twice change nothing.", _duplicated),
    Check("reordered", "Messages out of order break nothing and tell nothing twice.", _reordered),
    Check("delayed", "Messages that come a minute late break nothing.", _delayed),
    Check("mutated", "Cut, broken and changed messages are Unreadable, or read as they are.", _mutated),
)
