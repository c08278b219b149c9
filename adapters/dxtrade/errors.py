"""Which of the five outcomes of ports/money.py a failed call is. DXtrade has published no list of its error codes, so
the HTTP status decides."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any, Final

import httpx

from domain.errors import (
    ChangedMeanwhile,
    Conflict,
    InProgress,
    NotFound,
    OutcomeUnknown,
    PropOSError,
    RefusedForGood,
    Unavailable,
)
from domain.quoting import storable_text
from ports.venue import Unreadable

WHO: Final = "DXtrade"
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LOOK_UP: Final = "Look it up by its key, then repeat it with its key."


def document(content: bytes) -> Any:
    """Returns a JSON document with exact decimals. Raises ValueError."""
    return json.loads(content, parse_float=Decimal, parse_constant=_no_number)


def _no_number(word: str) -> Any:
    raise ValueError(f"{word} is no number")


def not_reached(exc: httpx.HTTPError, key: str | None) -> Unavailable:
    """Returns the error for a call without an answer. `key`: None for a call that changes nothing."""
    if key is None or isinstance(exc, _NOT_SENT):
        return Unavailable(f"{WHO} cannot be reached.", remedy="Check the network and the address, and repeat it.")
    return OutcomeUnknown(f"{WHO} did not answer. The call may have taken effect.", remedy=_LOOK_UP)


def unreadable(key: str | None) -> Unavailable:
    """Returns the error for an answer that cannot be read."""
    if key is None:
        return Unavailable(f"{WHO} sent an answer that cannot be read.", remedy="Repeat it later.")
    return OutcomeUnknown(f"{WHO} sent an answer that cannot be read. The call may have taken effect.", remedy=_LOOK_UP)


@contextmanager
def readable() -> Iterator[None]:
    """Turns a figure that cannot be read into an answer that cannot be read. Raises Unavailable."""
    try:
        yield
    except Unreadable as error:
        raise Unavailable(f"{WHO} sent a figure that cannot be read: {error}.") from None


def words_of(found: Any) -> str | None:
    """Returns what an error document says, None for another document. A document is an error when it has an error code
    other than zero, whatever the HTTP status."""
    if not isinstance(found, dict) or found.get("errorCode") in (None, 0, "0", ""):
        return None
    text = found.get("errorMessage") or found.get("description") or "no text"
    return f"{storable_text(str(text), 200)} (error {storable_text(str(found['errorCode']), 20)})"


def refusal(status: int, words: str | None, key: str | None) -> PropOSError:
    """Returns the error for a call that the venue refused. `words`: None when the answer is not the venue's own."""
    if status == 429:
        return Unavailable(f"{WHO} asks for fewer calls.", remedy="Repeat it later.")
    if status == 503 or (status < 500 and words is None):
        return Unavailable(f"{WHO} could not answer (status {status}).", remedy="Repeat it later.")
    if status >= 500:
        return unreadable(key)
    if status in (401, 403):
        return Unavailable(f"{WHO} does not allow us this call: {words}.", remedy="Check the manager's permissions.")
    if status == 404:
        return NotFound(f"{WHO}: {words}.")
    if key is None:
        return Unavailable(f"{WHO} does not answer the question: {words}.")
    if status == 409:
        return Conflict(f"{WHO}: {words}.")
    if status == 412:
        return ChangedMeanwhile(f"{WHO}: {words}.")
    return RefusedForGood(key, f"{WHO} refuses the call: {words}.")


def partly(error: PropOSError, changed: bool) -> PropOSError:
    """Returns the error of an operation of several calls: after a call that changed something, "nothing happened" is
    not true of the whole."""
    if not changed or not isinstance(error, Unavailable) or isinstance(error, InProgress | OutcomeUnknown):
        return error
    return OutcomeUnknown(f"A part of the operation took effect. {error.message}", remedy=_LOOK_UP)
