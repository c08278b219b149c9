"""Sequence numbers of the event stream."""

import json
from collections.abc import Iterable
from itertools import groupby
from typing import Any, Final

from pydantic import TypeAdapter

from ports.platform import Deal
from sandbox.journal import Row
from sandbox.venue import PendingEvent, Venue, VenueEvent

_VENUE_EVENT: Final[TypeAdapter[VenueEvent]] = TypeAdapter(VenueEvent)


class Sequence:
    """Numbers the venue's events, and journals those that are pending for the next batch."""

    def __init__(self, venue: Venue) -> None:
        self._venue = venue
        self.last = 0
        self._unsaved, self._saved = 0, 0  # index of the first pending event not in the journal; number of its rows
        self._deals: list[Row] = []

    def next(self) -> int:
        self.last += 1
        return self.last

    def number_pending(self) -> None:
        """Number the pending events.

        Consecutive events caused by locks are sorted by login first, because locks arrive in network order and a run
        must be repeatable.
        """
        pending = self._venue.pending
        if not pending or pending[-1].event.seq:
            return
        start = next(index for index, item in enumerate(pending) if not item.event.seq)
        fresh, self._unsaved = pending[start:], min(self._unsaved, start)
        del pending[start:]
        for _, items in groupby(fresh, key=lambda item: item.by_lock is not None):
            ordered = sorted(items, key=lambda item: item.by_lock or 0)
            pending += [PendingEvent(i.event.model_copy(update={"seq": self.next()}), i.by_lock) for i in ordered]

    def take(self) -> list[str]:
        """Remove the pending events. Returns them as JSON texts for the next batch."""
        self.number_pending()
        texts = []
        for item in self._venue.pending:
            texts.append(item.event.model_dump_json())
            if isinstance(item.event, Deal):
                self._deals.append(Row("deal", f"{item.event.login}/{item.event.seq:012d}", texts[-1]))
        self._venue.pending.clear()
        self._unsaved = 0
        return texts

    def pending_deals(self, login: int) -> list[str]:
        """Returns the account's pending deals, numbered, as JSON texts."""
        self.number_pending()
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
        self._venue.pending = [PendingEvent(_VENUE_EVENT.validate_python(d["event"]), d["by_lock"]) for d in pending]
        self._unsaved = self._saved = len(self._venue.pending)
