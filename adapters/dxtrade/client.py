"""The way to DXtrade: sessions, the pace of calls, and the outcome of each call."""

import asyncio
import json
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final, TypeVar

import httpx
from pydantic import ValidationError

from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.errors import WHO, document, not_reached, refusal, unreadable, words_of
from adapters.dxtrade.shapes import Shape, Token
from adapters.dxtrade.wire import ADMIN, TRADING
from adapters.venue.limits import CircuitBreaker, Rate, RateLimiter
from domain.errors import Unavailable

_LONGEST_PAUSE: Final = 60.0  # seconds; the venue may ask for more, and is asked again
_REJECTED_SECONDS: Final = 60.0  # until a sign-in that was rejected is tried again: venues lock users out
_S = TypeVar("_S", bound=Shape)


@dataclass(frozen=True)
class Answer:
    """A document of the venue. `content`: as it came. `etag`: of the resource. `at`: the venue's clock."""

    found: Any
    content: bytes
    etag: str | None
    at: datetime | None

    def as_(self, shape: type[_S], key: str | None = None) -> _S:
        """Reads the document. Raises Unavailable, or OutcomeUnknown for the answer to a change under `key`."""
        try:
            return shape.model_validate(self.found)
        except ValidationError:
            raise unreadable(key) from None


class Client:
    """Both REST interfaces of one venue, each with a session of its own. It connects on first use. An `urgent` call, of
    a lock, waits for no limit."""

    def __init__(self, settings: DxtradeSettings) -> None:
        self._settings = settings
        proxied = settings.url.startswith("https://")  # a fake is on this machine
        self._http = httpx.AsyncClient(base_url=settings.url, timeout=settings.timeout, trust_env=proxied)
        self._tokens: dict[str, str] = {}
        self._rejected_until = 0.0
        self._signing_in = {ADMIN: asyncio.Lock(), TRADING: asyncio.Lock()}
        self._limiter = RateLimiter(WHO, [Rate(settings.calls_per_second, 1.0)])
        self._breaker = CircuitBreaker(WHO)

    async def ask(self, path: str, query: Mapping[str, str] | None = None, *, urgent: bool = False) -> Answer:
        """A call that changes nothing. Raises Unavailable, NotFound."""
        return await self._call("GET", path, None, query=query, urgent=urgent)

    async def change(
        self, method: str, path: str, body: Any, key: str, *, if_match: str | None = None, urgent: bool = False
    ) -> Answer:
        """A call that changes something under our key. Raises every outcome of ports/money.py, and ChangedMeanwhile
        when `if_match` is no longer the tag of the resource."""
        headers = {} if if_match is None else {"If-Match": if_match}
        return await self._call(method, path, key, body=body, headers=headers, urgent=urgent)

    async def ping(self) -> Answer:
        """Extends the session for trading. Raises Unavailable."""
        return await self._call("POST", f"{TRADING}/ping", None)

    async def trading_token(self) -> str:
        """Returns the token of the session for trading, which the sockets use too. Raises Unavailable."""
        return await self._token(TRADING, urgent=False)

    def forget_session(self) -> None:
        """The venue has ended the session for trading: the next call signs in again."""
        self._tokens.pop(TRADING, None)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        key: str | None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
        urgent: bool = False,
    ) -> Answer:
        side = ADMIN if path.startswith(ADMIN) else TRADING
        for last in (False, True):
            token = await self._token(side, urgent)
            sent = {**(headers or {}), "Authorization": f"DXAPI {token}"}
            answer = await self._send(method, path, key, query=query, body=body, headers=sent, urgent=urgent)
            if answer.status_code != 401 or last:
                return _read(answer, key)
            # The session has ended, so the call did nothing: it is sent once more in a new one.
            if self._tokens.get(side) == token:
                del self._tokens[side]
        raise AssertionError("unreachable")

    async def _token(self, side: str, urgent: bool) -> str:
        async with self._signing_in[side]:
            if side not in self._tokens:
                if time.monotonic() < self._rejected_until:
                    raise _rejected()
                settings = self._settings
                words = {
                    "username": settings.username,
                    "domain": settings.domain,
                    "password": settings.password.get_secret_value(),
                }
                answer = await self._send("POST", f"{side}/login", None, body=words, headers={}, urgent=urgent)
                if answer.status_code in (401, 403):
                    self._rejected_until = time.monotonic() + _REJECTED_SECONDS
                    raise _rejected()
                self._tokens[side] = _read(answer, None).as_(Token).session_token
            return self._tokens[side]

    async def _send(
        self,
        method: str,
        path: str,
        key: str | None,
        *,
        query: Mapping[str, str] | None = None,
        body: Any,
        headers: Mapping[str, str],
        urgent: bool,
    ) -> httpx.Response:
        self._breaker.check(urgent=urgent)
        await self._limiter.wait(urgent=urgent)
        content = None if body is None else json.dumps(body).encode()
        sent = headers if body is None else {**headers, "Content-Type": "application/json"}
        try:
            answer = await self._http.request(method, path, params=query, content=content, headers=sent)
        except httpx.HTTPError as exc:
            self._breaker.failed()
            raise not_reached(exc, key) from None  # a traceback would show the address with its query
        if answer.status_code == 429:
            self._breaker.hold(_pause(answer.headers.get("retry-after")))
        elif answer.status_code >= 500:
            self._breaker.failed()
        else:
            self._breaker.succeeded()
        return answer


def _rejected() -> Unavailable:
    return Unavailable(f"{WHO} rejects our sign-in.", remedy="Check the connection's username, domain and password.")


def _read(answer: httpx.Response, key: str | None) -> Answer:
    """Returns the document of an answer. Raises the error of a refusal, also of one with status 200."""
    try:
        found = document(answer.content)
    except (ValueError, RecursionError):
        if answer.is_success:
            raise unreadable(key) from None
        raise refusal(answer.status_code, None, key) from None
    words = words_of(found)
    if answer.is_success and words is None:
        return Answer(found, answer.content, answer.headers.get("etag"), _clock(answer.headers.get("date")))
    raise refusal(400 if answer.is_success else answer.status_code, words, key)


def _pause(header: str | None) -> float:
    """Returns the seconds of a Retry-After header; 1 for one that is missing or no plain number."""
    try:
        seconds = float(header or 1)
    except ValueError:
        return 1.0
    return min(max(seconds, 0.0), _LONGEST_PAUSE) if math.isfinite(seconds) else 1.0


def _clock(header: str | None) -> datetime | None:
    try:
        found = parsedate_to_datetime(header or "")
    except ValueError:
        return None
    return found if found.tzinfo is not None else None
