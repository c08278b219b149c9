"""Idempotency keys: each belongs to an account, and is forgotten after 24 hours of market time."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any, Final, NamedTuple

from sandbox.instants import DAY
from sandbox.stripe.errors import ApiError
from sandbox.stripe.state import State


class Answer(NamedTuple):
    status: int
    body: dict[str, Any]


_KEPT: Final = DAY


class Keys:
    def __init__(self, state: State) -> None:
        self._state = state
        self._known: dict[str, tuple[str, Answer]] = {}  # "account/key" -> (digest of the input, first answer)
        self._under_way: set[str] = set()

    @contextmanager
    def under_way(self, name: str) -> Iterator[None]:
        """Hold a key for a call. Raises ApiError while another call has it."""
        if name in self._under_way:
            self._state.faults.count("key_in_use")
            self._state.save_faults()
            raise ApiError(
                "There is currently another in-progress request using this Idempotency Key (that probably means you "
                "submitted twice, and the other request is still going through). Please try again later.",
                status=409,
                type="idempotency_error",
                code="idempotency_key_in_use",
            )
        self._under_way.add(name)
        try:
            yield
        finally:
            self._under_way.remove(name)

    def recall(self, name: str, given: str) -> Answer | None:
        """Returns the first answer under this key. Raises ApiError when the first call had another input."""
        known = self._known.get(name)
        if known is None:
            return None
        if known[0] != given:
            raise ApiError(
                "Keys for idempotent requests can only be used with the same parameters they were first used with. "
                f"Try using a key other than '{name.partition('/')[2]}' if you meant to execute a different request.",
                type="idempotency_error",
            )
        return known[1]

    def keep(self, name: str, given: str, answer: Answer) -> None:
        if self._state.faults.forget_keys:
            self._state.faults.count("forget_keys")
            return
        self._known[name] = (given, answer)
        self._state.row("key", name, [given, *answer])
        self._state.later(_KEPT, "key.forget", name)

    def forget(self, name: str) -> None:
        if self._known.pop(name, None) is not None:
            self._state.row("key", name, None)

    def forget_all(self) -> None:
        for name in list(self._known):
            self.forget(name)

    def restore(self, rows: Iterable[tuple[str, Any]]) -> None:
        self._known = {name: (given, Answer(status, body)) for name, (given, status, body) in rows}


def digest(path: str, values: dict[str, Any]) -> str:
    """Returns what an input is compared by."""
    return sha256(json.dumps([path, values], sort_keys=True).encode()).hexdigest()
