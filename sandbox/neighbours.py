"""The parties beside the market that live on its clock and in its journal: payment provider, bank."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

from sandbox.journal import Journal, Row
from sandbox.provider import Provider


class Neighbour(Protocol):
    """`kinds`: of its rows in the journal."""

    kinds: ClassVar[tuple[str, ...]]

    def start(self, now_us: int) -> None:
        """Sets market time once, before the market begins."""
        ...

    def advance(self, now_us: int) -> None:
        """Sets market time; does what is due."""
        ...

    def drain(self) -> Iterable[Row]:
        """Returns the rows changed since the last call."""
        ...

    def committed(self, *, at_rest: bool) -> None:
        """The journal has what `drain` returned: it may be seen now. `at_rest`: market time stands."""
        ...

    def restore(self, rows: dict[str, list[tuple[str, Any]]], now_us: int) -> None:
        """Restores the state from the journal's rows by kind."""
        ...

    def news(self) -> int:
        """Returns how often the firm was told something, in this process."""
        ...

    def unheard(self) -> int:
        """Returns how many webhooks and files the firm has not taken yet."""
        ...


class ProviderNeighbour:
    """The payment provider as a neighbour. Its webhooks have a task of their own."""

    kinds: ClassVar[tuple[str, ...]] = ("checkout", "transfer", "idempotency", "entry", "event", "webhook", "faults")

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self.advance, self.drain, self.restore = provider.advance, provider.drain, provider.restore

    def start(self, now_us: int) -> None:
        self._provider.now_us = now_us

    def committed(self, *, at_rest: bool) -> None:
        return None

    def news(self) -> int:
        return len(self._provider.events)

    def unheard(self) -> int:
        return len(self._provider.undelivered)


class Neighbours:
    """All of them as one, for the market."""

    def __init__(self, *parties: Neighbour) -> None:
        self._parties = parties

    def start(self, now_us: int) -> None:
        for party in self._parties:
            party.start(now_us)

    def advance(self, now_us: int) -> None:
        for party in self._parties:
            party.advance(now_us)

    def drain(self) -> Iterable[Row]:
        for party in self._parties:
            yield from party.drain()

    def committed(self, *, at_rest: bool) -> None:
        for party in self._parties:
            party.committed(at_rest=at_rest)

    def restore(self, journal: Journal, now_us: int) -> None:
        for party in self._parties:
            party.restore({kind: list(journal.all(kind)) for kind in party.kinds}, now_us)

    def news(self) -> tuple[int, ...]:
        return tuple(party.news() for party in self._parties)

    def unheard(self) -> int:
        return sum(party.unheard() for party in self._parties)
