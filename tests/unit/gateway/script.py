"""A venue whose messages are written by the test: a message names facts by number."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from adapters.journals.embedded import EmbeddedJournal
from gateway.clock import VenueClock
from gateway.hub import Hub
from gateway.reader import VenueReader
from gateway.sequencer import Sequencer
from ports.journal import Journal
from ports.platform import AccountSnapshot, Batch, Event, PositionState, SymbolSpec
from ports.venue import CONNECTED, CaughtUp, Fact, Fill, Message, Money, Quote, Snapshot, Unreadable

START = datetime(2026, 3, 2, 9, tzinfo=UTC)
EURUSD = SymbolSpec(symbol="EURUSD", contract_size=Decimal(100_000), quote_currency="USD", digits=5)
FIRST = 1_000


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


class ScriptedFeed:
    """Facts are known by number: the body of a message lists numbers, `?` for something unreadable."""

    name = "scripted"

    def __init__(self) -> None:
        self.facts: list[Fact] = []
        self.connections: list[list[Message]] = []

    def message(self, *facts: Fact | str, received: datetime = START, channel: str = "ws") -> Message:
        numbers = []
        for fact in facts:
            if isinstance(fact, str):
                numbers.append(fact)
            else:
                self.facts.append(fact)
                numbers.append(str(len(self.facts) - 1))
        return Message(channel, ",".join(numbers).encode(), received)

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        for message in self.connections.pop(0):
            yield message

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        for _ in ():
            yield self.message()

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        for _ in ():
            yield self.message()

    def decoder(self) -> "_Decoder":
        return _Decoder(self)

    def read(self, message: Message) -> Iterable[Fact]:
        for number in message.body.decode().split(","):
            if number == "?":
                raise Unreadable("body: this says nothing")
            if number:
                yield self.facts[int(number)]

    async def symbols(self) -> list[SymbolSpec]:
        return [EURUSD]

    async def aclose(self) -> None:
        return None


class _Decoder:
    def __init__(self, feed: ScriptedFeed) -> None:
        self._feed = feed

    def facts(self, message: Message) -> Iterable[Fact]:
        return self._feed.read(message)


class World:
    """A sequencer over a journal file, fed message by message."""

    def __init__(self, path: Path, *, wall: bool = False) -> None:
        self.path, self.feed, self.wall = path, ScriptedFeed(), wall
        self.journal: Journal
        self.open()

    def open(self) -> None:
        self.journal = EmbeddedJournal(self.path)
        self.sequencer = Sequencer(self.journal, first_number=FIRST, clock=VenueClock(wall=self.wall))
        self.sequencer.specs = {"EURUSD": EURUSD}
        self.hub = Hub(self.journal, keep=100)
        self.reader = VenueReader(self.feed, self.sequencer, self.journal, self.hub, None)

    def kill(self) -> None:
        """What was not stored is gone; a new process opens the same file."""
        self.journal.close()
        self.open()

    def connect(self, *earlier: Fact, received: datetime = START) -> None:
        self.reader.take(Message(CONNECTED, b"", received))
        self.tell(*earlier, CaughtUp(), received=received)

    def tell(self, *facts: Fact | str, received: datetime = START) -> list[Event]:
        """Returns the events that a message with these facts adds to the stream, without clock marks."""
        before = self.journal.last()
        self.reader.take(self.feed.message(*facts, received=received))
        self.reader.store()
        return self.events(before)

    def events(self, after: int = 0) -> list[Event]:
        stored = self.journal.read(after, 1_000_000)
        batches = [Batch.model_validate_json(batch.body) for batch in stored]
        return [event for batch in batches for event in batch.events if event.kind != "clock"]


def snapshot(
    login: int, balance: int, positions: Sequence[tuple[str, str, str]] = (), *, enabled: bool = True, second: float = 0
) -> Snapshot:
    held = tuple(
        PositionState(
            position_id=name,
            symbol="EURUSD",
            side=side,
            lots=Decimal(lots),
            open_price=Decimal("1.1"),
            opened_at=START,
        )
        for name, side, lots in positions
    )
    account = AccountSnapshot(
        login=login,
        currency="USD",
        balance_minor=balance,
        equity_minor=balance,
        trading_enabled=enabled,
        positions=held,
        seq=0,
    )
    return Snapshot(account, at(second))


def fill(number: int, login: int, second: float, **changes: Any) -> Fill:
    given: dict[str, Any] = {
        "fill_id": f"d{number}",
        "login": login,
        "position_id": f"p{number}",
        "symbol": "EURUSD",
        "side": "buy",
        "lots": Decimal(1),
        "price": Decimal("1.1"),
        "entry": "in",
        "at": at(second),
        "profit_minor": 0,
    }
    return Fill(**given | changes)


def closing(number: int, opened: int, login: int, second: float, profit: int | None, **changes: Any) -> Fill:
    given: dict[str, Any] = {"position_id": f"p{opened}", "side": "sell", "entry": "out", "profit_minor": profit}
    return fill(number, login, second, **given | changes)


def deposit(number: int, login: int, second: float, amount: int) -> Money:
    return Money(f"m{number}", login, "deposit", f"key{number}", amount, at(second))


def quote(second: float, bid: str = "1.10000", ask: str = "1.10010") -> Quote:
    return Quote("EURUSD", Decimal(bid), Decimal(ask), at(second))
