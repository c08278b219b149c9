"""Calls of Zammad's REST interface, and the outcome of each."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Final

import httpx

from adapters.own_http import transport_error, unreadable
from adapters.venue.limits import CircuitBreaker
from adapters.zammad.config import WHO, ZammadSettings
from domain.errors import BadInput, NotFound, OutcomeUnknown, PropOSError, TooLarge, Unavailable
from domain.quoting import storable_text

_API: Final = "/api/v1"
_LONGEST_PAUSE: Final = 60.0
_PAUSE: Final = 5.0  # when Zammad says "too many" and not for how long
_REFUSED: Final = (400, 409, 413, 422)
_MOST_BYTES: Final = 16 * 2**20  # of an answer: a page of a hundred tickets has about a tenth of a mebibyte


class Client:
    """It connects on first use."""

    def __init__(self, settings: ZammadSettings) -> None:
        self._http = httpx.AsyncClient(
            base_url=settings.url.rstrip("/") + _API,
            headers={
                "Authorization": f"Token token={settings.token.get_secret_value()}",
                "Accept": "application/json",
            },
            timeout=settings.timeout,
            trust_env=settings.url.startswith("https://"),
        )
        self._breaker = CircuitBreaker(WHO)

    async def ask(self, path: str, query: Mapping[str, str] | None = None) -> Any:
        """A call that changes nothing. Raises Unavailable, NotFound, BadInput, TooLarge (of the answer)."""
        return await self._call("GET", path, query=query, changing=False)

    async def change(self, method: str, path: str, body: Any = None) -> Any:
        """A call that changes something. Raises OutcomeUnknown as well: Zammad knows no idempotency keys, so look the
        effect up."""
        return await self._call(method, path, body=body, changing=True)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(
        self, method: str, path: str, *, query: Mapping[str, str] | None = None, body: Any = None, changing: bool
    ) -> Any:
        self._breaker.check()
        try:
            async with self._http.stream(method, path, params=query, json=body) as answer:
                content = await _content(answer)
        except httpx.RequestError as error:
            self._breaker.failed()
            raise transport_error(WHO, error, changing) from None
        except asyncio.CancelledError:  # the caller has no more patience
            self._breaker.failed()
            raise
        if answer.status_code == 429:
            self._breaker.hold(_pause(answer.headers.get("retry-after")))
        elif answer.is_success or (answer.status_code < 500 and _words(content) is not None):
            self._breaker.succeeded()
        else:
            self._breaker.failed()
        if content is None:
            raise _too_large(changing)
        if not answer.is_success:
            raise _refusal(answer.status_code, content, changing)
        try:
            return json.loads(content)
        except (ValueError, RecursionError):
            raise unreadable(WHO, changing) from None


async def _content(answer: httpx.Response) -> bytes | None:
    """Returns the body; None for one that is too large, whose rest is not read."""
    found = bytearray()
    async for part in answer.aiter_bytes():
        found += part
        if len(found) > _MOST_BYTES:
            return None
    return bytes(found)


def _too_large(changing: bool) -> PropOSError:
    said = f"{WHO} sent an answer of more than {_MOST_BYTES // 2**20} MiB."
    if changing:
        return OutcomeUnknown(f"{said} The call may have taken effect.", remedy="Look it up.")
    return TooLarge(said, remedy="Look at this ticket in Zammad: it may have far too many articles, or huge ones.")


def _pause(asked: str | None) -> float:
    return min(float(asked), _LONGEST_PAUSE) if asked and asked.isdecimal() else _PAUSE


def _refusal(status: int, content: bytes, changing: bool) -> PropOSError:
    """Only an answer in Zammad's own words says that it refuses, or has no such thing. Whatever else comes is of
    something between: a proxy that is wrong or whose Zammad is away."""
    words = _words(content)
    if status in (401, 403):
        return Unavailable(
            f"{WHO} rejects our token: {words or status}",
            remedy="Make a new access token in Zammad, with ticket.agent and the group, and set it.",
        )
    if status == 404 and words is not None:
        return NotFound(f"{WHO} has no such ticket or article.")
    if status == 429:
        return Unavailable(f"{WHO} asks for fewer calls.", remedy="Wait.")
    if status == 503:
        return Unavailable(f"{WHO} is down for a moment.")
    if status in _REFUSED and words is not None:
        return BadInput(f"{WHO} does not take this: {words}", remedy="Check the group and the states in the settings.")
    if changing:
        return OutcomeUnknown(f"{WHO} answered {status}. The call may have taken effect.", remedy="Look it up.")
    return Unavailable(f"{WHO} answered {status}.", remedy="Check its address, and the proxy before it.")


def _words(content: bytes | None) -> str | None:
    """What Zammad says about a refusal, shortened: it may quote what was sent. None: the answer is not Zammad's."""
    try:
        found = json.loads(content or b"")
    except (ValueError, RecursionError):
        return None
    said = found.get("error") if isinstance(found, dict) else None
    return storable_text(said)[:200] if isinstance(said, str) else None
