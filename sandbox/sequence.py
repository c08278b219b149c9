"""Sequence numbers: every event of the stream gets the next one, those that wait for a batch included."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from pydantic import TypeAdapter

from ports.platform import Deal
from sandbox.journal import Row
from sandbox.venue import Pendable, Pending, Venue

_PENDABLE: Final[TypeAdapter[Pendable]] = TypeAdapter(Pendable)


class Sequence:
    """Numbers events and keeps what waits for the next batch in the journal."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.last = 0
        self._unsaved, self._saved = 0, 0  # the first waiting event not in the journal; how many rows it holds
        self._deals: list[Row] = []

    def next(self) -> int:
        self.last += 1
        return self.last

    def seal(self) -> None:
        """Number the events that wait. Neighbours caused by locks are put in order of login first: locks reach
        the venue in whatever order the network brought them."""
        pending = self._venue.pending
        if not pending or pending[-1].event.seq:
            return
        start = next(index for index, item in enumerate(pending) if not item.event.seq)
        fresh, self._unsaved = pending[start:], min(self._unsaved, start)
        del pending[start:]
        for _, items in groupby(fresh, key=lambda item: item.by_lock is not None):
            ordered = sorted(items, key=lambda item: item.by_lock or 0)
            pending += [Pending(i.event.model_copy(update={"seq": self.next()}), i.by_lock) for i in ordered]

    def take(self) -> list[str]:
        """The waiting events as JSON texts, for the batch that is being made."""
        self.seal()
        texts = []
        for item in self._venue.pending:
            texts.append(item.event.model_dump_json())
            if isinstance(item.event, Deal):
                self._deals.append(Row("deal", f"{item.event.login}/{item.event.seq:012d}", texts[-1]))
        self._venue.pending.clear()
        self._unsaved = 0
        return texts

    def waiting_deals(self, login: int) -> list[str]:
        """Deals of an account that no batch has carried yet, numbered, as JSON texts."""
        self.seal()
        events = (item.event for item in self._venue.pending)
        return [event.model_dump_json() for event in events if isinstance(event, Deal) and event.login == login]

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        yield from self._deals
        self._deals.clear()
        pending = self._venue.pending
        for index in range(self._unsaved, len(pending)):
            data = {"by_lock": pending[index].by_lock, "event": pending[index].event.model_dump(mode="json")}
            yield Row("pending", f"{index:09d}", json.dumps(data))
        for index in range(len(pending), self._saved):
            yield Row("pending", f"{index:09d}", None)
        self._unsaved = self._saved = len(pending)

    def restore(self, pending: Iterable[Any], last: int) -> None:
        self.last = last
        self._venue.pending = [Pending(_PENDABLE.validate_python(d["event"]), d["by_lock"]) for d in pending]
        self._unsaved = self._saved = len(self._venue.pending)
