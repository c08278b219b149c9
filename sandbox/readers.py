"""Who reads the sandbox's batches, and how far each reader is."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Reader:
    """`acked`: the last batch it has dealt with. `keep_after`: it will not ask for this batch or an earlier one.
    `behind`: by how many batches it may be late between two flushes. `news`: how much has happened at its place that
    the firm reacts to."""

    acked: int = 0
    keep_after: int = 0
    behind: int = 0
    news: int = 0


class Readers:
    """All of them by name."""

    def __init__(self, names: Iterable[str]) -> None:
        self._by_name = {name: Reader() for name in names}

    @property
    def acked(self) -> int:
        """The last batch that every reader has acknowledged."""
        return min(reader.acked for reader in self._by_name.values())

    @property
    def keep_after(self) -> int:
        """No reader will ask for this batch or an earlier one."""
        return min(reader.keep_after for reader in self._by_name.values())

    @property
    def news(self) -> int:
        return sum(reader.news for reader in self._by_name.values())

    def positions(self) -> dict[str, int]:
        """Returns the last acknowledged batch of each."""
        return {name: reader.acked for name, reader in self._by_name.items()}

    def waited_for(self, number: int, flushed: int) -> bool:
        """Returns whether lockstep waits for one of them: `number` is the last batch, `flushed` the last that asked to
        store everything."""
        return any(reader.acked < max(flushed, number - reader.behind) for reader in self._by_name.values())

    def join(self, name: str, after: int, behind: int) -> bool:
        """Returns whether the reader is new: lockstep then waits for it from batch `after` on."""
        is_new = name not in self._by_name
        self._by_name.setdefault(name, Reader(after, after)).behind = behind
        return is_new

    def acknowledge(self, name: str, number: int, keep_after: int, news: int) -> None:
        reader = self._by_name.setdefault(name, Reader())
        reader.acked, reader.keep_after = max(reader.acked, number), max(reader.keep_after, keep_after)
        reader.news = max(reader.news, news)

    def state(self) -> dict[str, Any]:
        return {name: (reader.acked, reader.keep_after) for name, reader in self._by_name.items()}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._by_name |= {name: Reader(acked, kept) for name, (acked, kept) in state.items()}
