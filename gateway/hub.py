"""The stream as readers get it: from the journal, at their own pace, with their acknowledgements."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator
from typing import Final

from gateway.told import BEGINS, BEGUN
from ports.journal import Journal, Stored
from ports.platform import GapInStream

_RECENT: Final = 512  # batches that are kept in memory
_AT_ONCE: Final = 200
_DROP_EVERY: Final = 1000  # batches
_PATIENCE: Final = 10  # times `keep`: that many batches are kept for a reader that does not acknowledge


class Hub:
    """`keep`: number of batches that stay replayable, whatever was acknowledged."""

    def __init__(self, journal: Journal, *, keep: int) -> None:
        self._journal, self._keep = journal, keep
        self._recent: deque[Stored] = deque(maxlen=_RECENT)
        self._news = asyncio.Event()
        self._closing = False
        self._dropped_at = journal.last()
        stored = journal.items("reader/")
        self._kept_after: dict[str, int] = {key.removeprefix("reader/"): json.loads(value) for key, value in stored}
        self._unsaved: dict[str, str | None] = {}

    def publish(self, batch: Stored) -> None:
        """Tells readers about a batch that is in the journal."""
        self._recent.append(batch)
        news, self._news = self._news, asyncio.Event()
        news.set()
        if batch.number - self._dropped_at >= _DROP_EVERY:
            self._dropped_at = batch.number
            self._journal.drop(self._droppable(batch.number))

    def check(self, after: int) -> None:
        """Raises GapInStream if the batch that follows `after` is not kept any more, or `after` was never told: it is
        from another journal. A reader after 0 has read nothing yet: it has no gap while the whole journal is kept, and
        no account could trade before it."""
        first, last = self._journal.first(), self._journal.last()
        if not last:
            if after:
                raise GapInStream(after + 1, 1)
        elif after > last:
            raise GapInStream(after + 1, last + 1)
        elif after + 1 < first and (after or not self._is_whole(first)):
            raise GapInStream(after + 1, first)

    def _is_whole(self, first: int) -> bool:
        """Whether batch `first` begins the story of every account."""
        return str(first - 1) == self._journal.get(BEGINS) and self._journal.get(BEGUN) in (None, "0")

    async def lines(self, after: int) -> AsyncIterator[bytes]:
        """Yields the batches after `after` as lines, and an empty line for each second without one. Ends when the
        gateway stops, and when the first batch is told that a reader after 0 lacks the beginning of: it joins again and
        is told so."""
        while not self._closing:
            news = self._news
            batches = self._after(after)
            if batches:
                if not after and not self._is_whole(batches[0].number):
                    return
                after = batches[-1].number
                yield b"".join(batch.body + b"\n" for batch in batches)
                continue
            try:
                async with asyncio.timeout(1):
                    await news.wait()
            except TimeoutError:
                yield b"\n"

    def _after(self, after: int) -> list[Stored]:
        if self._recent and self._recent[0].number <= after + 1:
            start = max(0, after + 1 - self._recent[0].number)
            return [self._recent[index] for index in range(start, min(len(self._recent), start + _AT_ONCE))]
        return self._journal.read(after, _AT_ONCE)

    def join(self, reader: str, after: int) -> None:
        """A reader begins after batch `after`. Raises GapInStream, see `check`."""
        self.check(after)
        self.acknowledge(reader, after)

    def acknowledge(self, reader: str, keep_after: int) -> None:
        """The reader will not ask again for batches up to `keep_after`. Stored with the next batch."""
        if keep_after > self._kept_after.get(reader, -1):
            self._kept_after[reader] = keep_after
            self._unsaved[f"reader/{reader}"] = str(keep_after)

    def take_changes(self) -> dict[str, str | None]:
        changes, self._unsaved = self._unsaved, {}
        return changes

    @property
    def readers(self) -> dict[str, int]:
        return dict(self._kept_after)

    def _droppable(self, last: int) -> int:
        """A reader that has not come back for long holds nothing up: it gets a gap."""
        waited_for = min(self._kept_after.values(), default=last)
        return max(min(last - self._keep, waited_for), last - _PATIENCE * self._keep)

    def stop(self) -> None:
        self._closing = True
        self._news.set()
