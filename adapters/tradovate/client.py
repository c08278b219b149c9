"""The way to Tradovate's API: tokens, rate limits, and the outcome of each call.

The venue answers many failures with status 200: `errorText` says what it refuses, a penalty ticket that it was asked
too often. Messages of the venue are repeated cut; passwords and tokens never are.
"""

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final, TypeVar

import httpx
from pydantic import TypeAdapter, ValidationError

from adapters.tradovate.settings import TradovateSettings
from adapters.tradovate.wire import SIGN_IN, Created, Row, Token, loads
from adapters.venue.limits import CircuitBreaker, Rate, RateLimiter, is_urgent
from domain.errors import BadInput, Conflict, NotFound, OutcomeUnknown, PropOSError, Unavailable
from domain.quoting import storable_text

WHO: Final = "Tradovate"
_SIGN_INS: Final = (Rate(10, 60.0),)
_CAPTCHA_PAUSE: Final = 3600.0  # "wait about one hour"
_PATIENCE: Final = 5.0  # seconds that we wait for a penalty to end within a call
_REFUSED_SIGN_IN: Final = 60.0  # seconds until a wrong password is tried again
_LONGEST_LIFE: Final = 80 * 60.0  # of a token, in seconds; the venue's ends after 90 minutes
_RENEW_AT: Final = 0.9  # of its life
_NOT_SENT: Final = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol)
_LOOK_UP: Final = "Look it up by its key, then repeat it with its key."
_R = TypeVar("_R", bound=Row)


def rates(settings: TradovateSettings) -> tuple[Rate, ...]:
    """Of the vendor's page on rate limits: 1,000 a second, and 5,000 an hour for each user unless agreed otherwise."""
    return Rate(1000, 1.0), Rate(settings.calls_per_hour, 3600.0)


class _Expired(Exception):
    """The venue does not take the token."""


class Api:
    """One user's calls to one host."""

    def __init__(self, settings: TradovateSettings, url: str) -> None:
        self._settings = settings
        proxied = url.startswith("https://")  # a sandbox is on this machine
        self._http = httpx.AsyncClient(base_url=f"{url}/", timeout=settings.timeout, trust_env=proxied)
        self._limiter = RateLimiter(WHO, rates(settings))
        self._sign_ins = RateLimiter(WHO, _SIGN_INS)
        self._breaker = CircuitBreaker(WHO)
        self._token: tuple[str, float] | None = None  # and when it is renewed, by the monotonic clock
        self._signing_in = asyncio.Lock()
        self._wrong_until = 0.0

    async def token(self) -> str:
        """Returns an access token that lives a while. Raises Unavailable."""
        async with self._signing_in:
            if self._token is None or self._token[1] <= time.monotonic():
                self._token = await self._sign_in()
            return self._token[0]

    async def rows(self, shape: type[_R], path: str, **query: str | int) -> list[_R]:
        """Returns a list. Raises Unavailable, NotFound."""
        return read_rows(shape, await self.get(path, **query))

    async def row(self, shape: type[_R], path: str, **query: str | int) -> _R:
        """Returns one entity. Raises NotFound, Unavailable."""
        return read_row(shape, await self.get(path, **query))

    async def get(self, path: str, **query: str | int) -> Any:
        return await self._call("GET", path, query, None, key=None)

    async def ask(self, path: str, body: dict[str, Any]) -> Any:
        """A question that is asked by POST."""
        return await self._call("POST", path, {}, body, key=None)

    async def change(self, path: str, body: dict[str, Any], key: str) -> Any:
        """Returns the answer to a changing call. Raises every outcome of ports/money.py but a refusal for good: the
        venue knows no keys."""
        return await self._call("POST", path, {}, body, key=key)

    async def aclose(self) -> None:
        await self._http.aclose()

    async def _call(
        self,
        method: str,
        path: str,
        query: dict[str, str | int],
        body: dict[str, Any] | None,
        *,
        key: str | None,
    ) -> Any:
        ticket: dict[str, Any] = {}
        for attempt in range(3):
            token = await self.token()
            await self._limiter.wait(urgent=is_urgent())
            sent = None if body is None else {**body, **ticket}
            try:
                answer = await self._guarded(method, path, query, sent, token, key=key)
            except _Expired:
                self.forget(token)
                if attempt:
                    raise Unavailable(
                        f"{WHO} does not allow our user this call.",
                        remedy="Check the API key and its scopes. docs/tradovate.md lists them.",
                    ) from None
                continue
            penalty = answer.get("p-ticket") if isinstance(answer, dict) else None
            if penalty is None:
                return self._checked(answer, key)
            await self._wait_for_penalty(answer)
            ticket = {"p-ticket": penalty}
        raise Unavailable(f"{WHO} asks for fewer calls.", remedy="Repeat it later.")

    async def _wait_for_penalty(self, answer: dict[str, Any]) -> None:
        """A call that gets a penalty ticket did not run. Waits a short penalty out. Raises Unavailable for a long one,
        and for one that only a person can end."""
        seconds = answer.get("p-time")
        if answer.get("p-captcha") or not isinstance(seconds, int | float):
            self._breaker.hold(_CAPTCHA_PAUSE)
            raise Unavailable(f"{WHO} wants a person to confirm the calls.", remedy="Wait an hour, then repeat it.")
        if seconds > _PATIENCE:
            self._breaker.hold(float(seconds))
            raise Unavailable(f"{WHO} asks for a pause of {seconds} s.", remedy="Repeat it later.")
        await asyncio.sleep(float(seconds))

    async def _guarded(
        self,
        method: str,
        path: str,
        query: dict[str, str | int],
        body: dict[str, Any] | None,
        token: str,
        *,
        key: str | None,
    ) -> Any:
        """One attempt, counted by the breaker."""
        self._breaker.check(urgent=is_urgent())
        done = False
        try:
            headers = {"Authorization": f"Bearer {token}"}
            try:
                answer = await self._http.request(method, path, params=query or None, json=body, headers=headers)
            except httpx.HTTPError as exc:
                raise _unreached(exc, key) from None  # its text may show the address with its query
            if answer.status_code == 401:
                done = True
                raise _Expired
            refused = _refusal(answer, key)
            if refused is None:
                read = _read(answer.content, key)
                done = True
                return read
            done = not isinstance(refused, Unavailable)
            raise refused
        finally:
            if done:
                self._breaker.succeeded()
            else:
                self._breaker.failed()

    def _checked(self, answer: Any, key: str | None) -> Any:
        """Raises for an answer of status 200 that says the call failed."""
        if not isinstance(answer, dict):
            return answer
        text = answer.get("errorText") or answer.get("failureText") or answer.get("failureReason") or ""
        failed = bool(text) or answer.get("ok") is False or bool(answer.get("violations"))
        if not failed or text == "Success":
            return answer
        said = f"{WHO} refuses the call: {storable_text(str(text) or 'no reason given', 200)}."
        raise Unavailable(said) if key is None else Conflict(said)

    def forget(self, token: str) -> None:
        """The venue does not take this token any more: the next call signs in again."""
        if self._token is not None and self._token[0] == token:
            self._token = None

    async def _sign_in(self) -> tuple[str, float]:
        now = time.monotonic()
        if now < self._wrong_until:
            raise _wrong_password()
        await self._sign_ins.wait()
        given = self._settings
        body = {
            "name": given.name,
            "password": given.password.get_secret_value(),
            "appId": "PropOS",
            "appVersion": "1.0",
            "deviceId": f"propos-{given.prefix.lower()}",
            "cid": given.cid,
            "sec": given.sec.get_secret_value(),
        }
        try:
            answer = await self._http.post(SIGN_IN, json=body)
        except httpx.HTTPError:
            raise Unavailable(f"{WHO} cannot be reached to sign in.", remedy="Check the network and address.") from None
        refused = _refusal(answer, None)
        if refused is not None:
            raise refused if isinstance(refused, Unavailable) else Unavailable(f"{WHO} refuses to sign us in.")
        read = _read(answer.content, None)
        if isinstance(read, dict) and read.get("p-ticket"):
            self._wrong_until = now + _REFUSED_SIGN_IN
            raise Unavailable(f"{WHO} asks for fewer sign-ins.", remedy="It is tried again after a minute.")
        if isinstance(read, dict) and read.get("errorText"):
            self._wrong_until = now + _REFUSED_SIGN_IN
            raise _wrong_password()
        token = read_row(Token, read)
        life = min((token.expirationTime - datetime.now(UTC)).total_seconds(), _LONGEST_LIFE)
        return token.accessToken, now + max(life, 0.0) * _RENEW_AT


def _wrong_password() -> Unavailable:
    return Unavailable(
        f"{WHO} does not accept our name, password, cid or sec.",
        remedy="Correct them in the settings. They are tried again every minute.",
    )


def _unreached(error: httpx.HTTPError, key: str | None) -> Unavailable:
    if key is None or isinstance(error, _NOT_SENT):
        return Unavailable(f"{WHO} cannot be reached.", remedy="Check the network and the address, and repeat it.")
    return OutcomeUnknown(f"{WHO} did not answer. The call may have taken effect.", remedy=_LOOK_UP)


def _refusal(answer: httpx.Response, key: str | None) -> PropOSError | None:
    """Returns the error that a status says; None for success."""
    status = answer.status_code
    if answer.is_success:
        return None
    if status in (423, 429):
        return Unavailable(f"{WHO} asks for fewer calls ({status}).", remedy="Repeat it later; an hour may be needed.")
    if status == 404:
        return NotFound(f"{WHO} has no such account, user or order.")
    if status == 503 or key is None:
        return Unavailable(f"{WHO} answered {status}.", remedy="Repeat it later.")
    if status >= 500:
        return OutcomeUnknown(f"{WHO} answered {status}. The call may have taken effect.", remedy=_LOOK_UP)
    return BadInput(f"{WHO} refuses the form of the call ({status}): {storable_text(answer.text, 200)}.")


def unreadable(key: str | None, why: str = "") -> Unavailable:
    """Returns the error for an answer that cannot be read. `key`: of a changing call."""
    text = f"{WHO} sent an answer that cannot be read{f' ({why})' if why else ''}."
    return (
        Unavailable(text) if key is None else OutcomeUnknown(f"{text} The call may have taken effect.", remedy=_LOOK_UP)
    )


def _read(content: bytes, key: str | None) -> Any:
    try:
        return loads(content)
    except (ValueError, RecursionError):
        raise unreadable(key) from None


def read_row(shape: type[_R], answer: Any, key: str | None = None) -> _R:
    try:
        return shape.model_validate(answer)
    except ValidationError as error:
        raise unreadable(key, _where(error)) from None


def read_rows(shape: type[_R], answer: Any) -> list[_R]:
    try:
        return TypeAdapter(list[shape]).validate_python(answer)  # type: ignore[valid-type]
    except ValidationError as error:
        raise unreadable(None, _where(error)) from None


def _where(error: ValidationError) -> str:
    first = error.errors(include_input=False, include_context=False, include_url=False)[0]
    return ".".join(str(part) for part in first["loc"]) or "the whole"


def joined(ids: Sequence[int]) -> str:
    return ",".join(map(str, ids))


def read_created(answer: object, key: str) -> Created:
    """Returns the answer for the only item of a batch. Raises Conflict when the venue refuses it: each item has its own
    error text."""
    results = answer.get("results") if isinstance(answer, dict) else None
    if not isinstance(results, list) or len(results) != 1:
        raise OutcomeUnknown(f"{WHO} sent an answer that cannot be read.", remedy="Look it up by its key.")
    made = read_row(Created, results[0], key)
    if made.errorText:
        raise Conflict(f"{WHO} refuses the call: {made.errorText[:200]}.")
    return made
