"""Port of a gateway's journal: the numbered batches that it has told, and what it knows, stored in one step.

Keys and values of the state are texts. A journal belongs to one gateway: while one is open, another is refused.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple, Protocol


class Stored(NamedTuple):
    """A batch of the journal. `body`: the JSON of ports.platform.Batch."""

    number: int
    body: bytes


class Journal(Protocol):
    def append(self, batch: Stored | None, changes: Mapping[str, str | None]) -> None:
        """Stores a batch and changes of the state, both or neither, before it returns. A value of None deletes a key.
        Raises Conflict if the number is not the next one or another gateway has taken the journal, and Unavailable if
        it cannot store."""
        ...

    def last(self) -> int:
        """Returns the number of the newest batch; 0 in an empty journal."""
        ...

    def first(self) -> int:
        """Returns the number of the oldest batch that is kept; 0 in an empty journal."""
        ...

    def read(self, after: int, limit: int) -> list[Stored]:
        """Returns at most `limit` batches with number > `after`, in order."""
        ...

    def get(self, key: str) -> str | None: ...

    def get_many(self, keys: Iterable[str]) -> dict[str, str]:
        """Returns the values of the keys that exist."""
        ...

    def items(self, prefix: str) -> list[tuple[str, str]]:
        """Returns the (key, value) pairs whose key begins with `prefix`."""
        ...

    def drop(self, up_to: int) -> None:
        """Deletes the batches with number <= `up_to`. The newest batch stays."""
        ...

    def close(self) -> None: ...
