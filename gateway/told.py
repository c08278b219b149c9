"""What the gateway has told: the events of the next batch, and the ids of everything before."""

import json
from collections import OrderedDict
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from pydantic import BaseModel, ValidationError
from pydantic_core import PydanticSerializationError, to_json

from ports.journal import Journal, Stored
from ports.platform import ClockMark, Tick
from ports.venue import Unreadable

START: Final = datetime.min.replace(tzinfo=UTC)
# Values of a journal: how many accounts could trade when it began, and the number before its first batch.
BEGUN: Final = "begun"
BEGINS: Final = "begins"
_IN_MEMORY: Final = 200_000


class Known:
    """Values by id, from the journal and what is not stored there yet."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._memory: OrderedDict[str, str | None] = OrderedDict()
        self._changes: dict[str, str | None] = {}

    def load(self, keys: Sequence[str]) -> None:
        """Asks the journal for many ids at once, which are then in memory."""
        wanted = [key for key in keys if key not in self._memory]
        try:
            found = self._journal.get_many(wanted)
        except UnicodeEncodeError:
            return  # `get` says which
        for key in wanted:
            self._remember(key, found.get(key))

    def get(self, key: str) -> str | None:
        """Raises Unreadable for an id that cannot be stored."""
        if key in self._memory:
            self._memory.move_to_end(key)
            return self._memory[key]
        try:
            value = self._journal.get(key)
        except UnicodeEncodeError as exc:
            raise Unreadable(f"{key.partition('/')[0]}: its id is no Unicode") from exc
        self._remember(key, value)
        return value

    def put(self, key: str, value: str) -> None:
        self._changes[key] = value
        self._remember(key, value)

    def take_changes(self) -> dict[str, str | None]:
        changes, self._changes = self._changes, {}
        return changes

    def _remember(self, key: str, value: str | None) -> None:
        self._memory[key] = value
        while len(self._memory) > _IN_MEMORY and next(iter(self._memory)) not in self._changes:
            self._memory.popitem(last=False)


class Stream:
    """Numbers events and puts them into batches. `now`: market time, which never goes back.

    `is_new`: nothing was ever told. `first_number`: number before the first batch, and sequence number before the
    first event, of an empty journal. It must be above those of any earlier journal of this venue, because shards
    remember how far they have read.
    """

    def __init__(self, journal: Journal, first_number: int) -> None:
        stored = json.loads(journal.get("position") or "null")
        self.is_new = stored is None
        self.seq: int = stored["seq"] if stored else first_number
        self.now: datetime = datetime.fromisoformat(stored["now"]) if stored else START
        self.number: int = journal.last() or first_number
        self._marked = self.now
        self._flush = False
        self._skips = False
        self._pending: list[str] = []
        self._symbols: dict[str, str] = {}  # as JSON, of those that were told in a tick

    def emit(self, event: type[BaseModel], at: datetime, **values: Any) -> int:
        """Adds an event at `at`, or at market time if that has passed it. Returns its sequence number. Raises
        Unreadable, and adds nothing, if a value is none that the stream can hold."""
        now = max(self.now, at)
        try:
            text = event.model_validate({"seq": self.seq + 1, "at": now, **values}).model_dump_json()
        except ValidationError as exc:
            first = exc.errors(include_input=False, include_url=False)[0]
            raise Unreadable(f"{'.'.join(map(str, first['loc']))}: {first['msg']}") from exc
        except PydanticSerializationError as exc:  # half a character, which a venue's JSON can escape
            raise Unreadable(f"{event.__name__}: a text of it is no Unicode") from exc
        self._pending.append(text)
        self.now = now
        self.seq += 1
        return self.seq

    def tick(self, at: datetime, symbol: str, bid: Decimal, ask: Decimal) -> int:
        """As `emit` of a Tick. Most events are ticks: one of a known symbol is written without building the model, in a
        third of the time."""
        now, name = max(self.now, at), self._symbols.get(symbol)
        plain = type(bid) is Decimal and type(ask) is Decimal and bid.is_finite() and ask.is_finite()
        if name is None or not plain or now.tzinfo is not UTC:
            seq = self.emit(Tick, at, symbol=symbol, bid=bid, ask=ask)
            self._symbols[symbol] = to_json(symbol).decode()
            return seq
        self.seq += 1
        time = now.replace(tzinfo=None).isoformat()
        self._pending.append(
            f'{{"kind":"tick","seq":{self.seq},"at":"{time}Z","symbol":{name},"bid":"{bid}","ask":"{ask}"}}'
        )
        self.now = now
        return self.seq

    def skip(self) -> None:
        """Leaves a number out at the end of the next batch: readers take it for a lost event, and rebuild their
        accounts from snapshots."""
        self._skips = True

    def pass_time(self, at: datetime, *, flush: bool = False) -> None:
        """Market time has reached `at`. `flush`: the next batch asks its readers to store everything before it."""
        self.now = max(self.now, at)
        self._flush = self._flush or flush

    def batch(self, changes: dict[str, str | None], *, mark: bool) -> Stored | None:
        """Returns the next batch and adds the stream's position to `changes`. None when there is nothing to tell: no
        event, no wish to flush and, with `mark`, no passing of market time."""
        passed = mark and self.now > self._marked
        if self.now == START or not (self._pending or self._flush or self._skips or passed):
            return None
        if self._skips:  # within a batch, so that a reader sees it wherever it begins
            self.emit(ClockMark, self.now)
            self.seq, self._skips = self.seq + 1, False
        self.seq += 1
        self.number += 1
        self._marked = self.now
        events = [*self._pending, ClockMark(seq=self.seq, at=self.now, flush=self._flush).model_dump_json()]
        self._pending, self._flush = [], False
        if self.is_new:
            changes[BEGINS], self.is_new = str(self.number - 1), False
        changes["position"] = json.dumps({"seq": self.seq, "now": self.now.isoformat()})
        return Stored(self.number, f'{{"number":{self.number},"events":[{",".join(events)}]}}'.encode())
