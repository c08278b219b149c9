"""What the simulated venue answered under each key, so that a key has one effect."""

import json
from collections.abc import Iterable
from typing import Any

from domain.errors import IdempotencyMismatch
from sandbox.journal import Row


class Answers:
    """A scope is a call with its key; it was given something and got an answer."""

    def __init__(self) -> None:
        self._known: dict[str, list[Any]] = {}
        self._new: list[str] = []

    def get(self, scope: str) -> tuple[Any, Any] | None:
        """Returns what was given and the answer; None for a scope that is not known."""
        known = self._known.get(scope)
        return None if known is None else (known[0], known[1])

    def stored(self, scope: str, key: str, given: list[Any]) -> Any:
        """Returns the answer, or None. Raises IdempotencyMismatch when something else was given."""
        known = self._known.get(scope)
        if known is None:
            return None
        if known[0] != given:
            raise IdempotencyMismatch(key)
        return known[1]

    def store(self, scope: str, given: list[Any], answer: Any) -> None:
        self._known[scope] = [given, answer]
        self._new.append(scope)

    def drain(self) -> Iterable[Row]:
        """Rows changed since the last call."""
        new, self._new = self._new, []
        for scope in new:
            yield Row("key", scope, json.dumps(self._known[scope]))

    def restore(self, known: Iterable[tuple[str, Any]]) -> None:
        self._known = dict(known)
