"""Signed-in connections to the access server.

A session is one TCP connection: it is signed in on it, and results of dealer requests can only be read on it. The
password never travels: both sides prove that they know it. TLS is always verified.
"""

import asyncio
import contextlib
import hashlib
import hmac
import json
import secrets
import ssl
import time
from collections.abc import AsyncIterator, Mapping
from decimal import Decimal
from typing import Any, Final

import httpx

from adapters.mt5 import names
from adapters.mt5.config import Mt5Settings
from adapters.mt5.outcomes import WHO, bad_status, refusal, retcode_of, unreached, unreadable
from adapters.venue.limits import CircuitBreaker, Rate, RateLimiter, is_urgent
from domain.errors import Unavailable

_OLD: Final = names.IDLE_SECONDS - 30  # seconds of silence after which a connection is not trusted any more
_REST_SECONDS: Final = 5.0  # the longest pause after failures: polls are all that we see of this venue
_LONGEST: Final = 256 << 20  # bytes of an answer
Answer = dict[str, Any]


class Session:
    """One connection, used by one caller at a time."""

    def __init__(self, settings: Mt5Settings, limiter: RateLimiter, breaker: CircuitBreaker) -> None:
        self._settings, self._limiter, self._breaker = settings, limiter, breaker
        self._client: httpx.AsyncClient | None = None
        self._used = 0.0
        self.signed_in = 0  # how often: a number that changes with the connection

    async def ask(
        self, path: str, query: Mapping[str, str | int] | None = None, *, body: object = None, changing: bool = False
    ) -> Answer:
        """Returns the answer with retcode 0 or 1. Raises the error for any other. A call that the server refuses
        because nobody is signed in did nothing: it is made once more."""
        return json_of(await self.raw(path, query, body=body, changing=changing), changing=changing)

    async def raw(
        self, path: str, query: Mapping[str, str | int] | None = None, *, body: object = None, changing: bool = False
    ) -> bytes:
        """Returns the body of an HTTP answer 200, unread."""
        self._breaker.check(urgent=is_urgent())
        reached = False
        try:
            for attempt in range(2):
                client = await self._connected()
                answer = await self._call(client, path, query, body=body, changing=changing)
                reached = True
                if answer.status_code == 403 and attempt == 0:
                    await self.drop()
                    continue
                if answer.status_code != 200:
                    raise bad_status(answer.status_code, changing=changing and answer.status_code != 403)
                return answer.content
            raise AssertionError("unreachable")
        finally:
            if reached:
                self._breaker.succeeded()
            else:
                self._breaker.failed()

    async def drop(self) -> None:
        """Closes the connection. The next call signs in on a new one."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def quit(self) -> None:
        if self._client is not None and time.monotonic() - self._used < _OLD:
            with contextlib.suppress(httpx.HTTPError):
                await self._client.get("/api/quit")
        await self.drop()

    async def _connected(self) -> httpx.AsyncClient:
        if self._client is not None and time.monotonic() - self._used > _OLD:
            await self.drop()  # the server closes silent connections: a call on one could be lost
        if self._client is None:
            client = self._new_client()
            try:
                await self._sign_in(client)
            except BaseException:
                await client.aclose()
                raise
            self._client, self.signed_in = client, self.signed_in + 1
        return self._client

    def _new_client(self) -> httpx.AsyncClient:
        verify = ssl.create_default_context()
        if self._settings.ca_file:
            verify.load_verify_locations(self._settings.ca_file)
        one = httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=None)
        return httpx.AsyncClient(
            base_url=self._settings.url,
            timeout=self._settings.timeout,
            limits=one,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            trust_env=False,
            verify=verify,
        )

    async def _sign_in(self, client: httpx.AsyncClient) -> None:
        """Proves to the server that we know the password, and lets it prove the same. Raises Unavailable."""
        settings = self._settings
        begun = await self._greet(
            client,
            "/api/auth/start",
            {"version": settings.build, "agent": settings.agent, "login": settings.manager, "type": "manager"},
        )
        try:
            srv_rand = bytes.fromhex(begun["srv_rand"])
        except (KeyError, TypeError, ValueError):
            raise unreadable(changing=False, what="srv_rand") from None
        cli_rand = secrets.token_bytes(16)
        proof = {"srv_rand_answer": proof_of(settings, srv_rand), "cli_rand": cli_rand.hex()}
        ended = await self._greet(client, "/api/auth/answer", proof)
        theirs = str(ended.get("cli_rand_answer", ""))
        if not hmac.compare_digest(theirs.lower().encode(), proof_of(settings, cli_rand).encode()):
            raise Unavailable(
                "The MT5 server does not know the manager's password: it is not the server it should be.",
                remedy="Check the address and the certificate.",
            )

    async def _greet(self, client: httpx.AsyncClient, path: str, query: Mapping[str, str | int]) -> Answer:
        answer = await self._call(client, path, query, body=None, changing=False)
        if answer.status_code != 200:
            raise bad_status(answer.status_code, changing=False)
        return json_of(answer.content, changing=False)

    async def _call(
        self,
        client: httpx.AsyncClient,
        path: str,
        query: Mapping[str, str | int] | None,
        *,
        body: object,
        changing: bool,
    ) -> httpx.Response:
        await self._limiter.wait(urgent=is_urgent())
        content = None if body is None else json.dumps(body).encode()
        self._used = time.monotonic()
        try:
            answer = await client.request("GET" if body is None else "POST", path, params=query, content=content)
        except httpx.RequestError as error:
            await self.drop()
            raise unreached(error, changing=changing) from error
        except BaseException:  # cancelled: what is left of the answer must not be taken for the next one
            await self.drop()
            raise
        return answer


class Sessions:
    """A few sessions, each made on first use. All keep to one pace."""

    def __init__(self, settings: Mt5Settings) -> None:
        limiter = RateLimiter(WHO, (_rate(settings.calls_per_second),))
        breaker = CircuitBreaker(WHO, longest=_REST_SECONDS)
        self._all = [Session(settings, limiter, breaker) for _ in range(settings.sessions)]
        self._free = list(self._all)
        self._places = asyncio.Semaphore(settings.sessions)

    @contextlib.asynccontextmanager
    async def one(self) -> AsyncIterator[Session]:
        """Yields a session that nobody else uses meanwhile."""
        async with self._places:
            session = self._free.pop()
            try:
                yield session
            finally:
                self._free.append(session)

    async def aclose(self) -> None:
        for session in self._all:
            await session.quit()


def _rate(per_second: float) -> Rate:
    """At least one call at a time."""
    return Rate(int(per_second), 1.0) if per_second >= 1 else Rate(1, 1 / per_second)


def proof_of(settings: Mt5Settings, challenge: bytes) -> str:
    """Returns the answer that only somebody with the manager's password can give to `challenge`."""
    password = settings.password.get_secret_value().encode("utf-16-le")
    inner = hashlib.md5(hashlib.md5(password).digest() + b"WebAPI").digest()
    return hashlib.md5(inner + challenge).hexdigest()


def json_of(content: bytes, *, changing: bool) -> Answer:
    """Returns the JSON of an answer, numbers with a point as Decimal. Raises the error for a retcode that is not 0 or
    1."""
    try:
        answer = (
            json.loads(content, parse_float=Decimal, parse_constant=_no_number) if len(content) < _LONGEST else None
        )
    except (ValueError, RecursionError):
        answer = None
    retcode = retcode_of(answer.get("retcode")) if isinstance(answer, dict) else None
    if retcode is None:
        raise unreadable(changing=changing)
    if retcode not in (names.MT_RET_OK, names.MT_RET_OK_NONE):
        raise refusal(retcode, changing=changing)
    assert isinstance(answer, dict)
    return answer


def loads(content: bytes) -> Any:
    """Returns the value of a JSON text, numbers with a point as Decimal. Raises ValueError."""
    if len(content) > _LONGEST:
        raise ValueError("an answer of more than 256 MiB")
    try:
        return json.loads(content, parse_float=Decimal, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _no_number(text: str) -> None:
    raise ValueError(f"{text} is no number")
