"""The stream of a platform over HTTP, as the sandbox and the gateway serve it."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr, TypeAdapter, ValidationError

from adapters.own_http import WebUrl, options, refusal, transport_error, unreadable
from adapters.platforms.ack_line import DONE, AckLine
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    Batch,
    ClockReading,
    GapInStream,
    PlatformStream,
    SymbolSpec,
)

_LOCKS_AT_ONCE: Final = 250
_LOCK_CALLS: Final = 4
_SILENCE: Final = 5.0  # seconds; the server sends an empty line each second
_TIMEOUT: Final = 10.0
SYMBOLS: Final = TypeAdapter(list[SymbolSpec])
CLOCK: Final = TypeAdapter(ClockReading)
SNAPSHOT: Final = TypeAdapter(AccountSnapshot)
_Answer = TypeVar("_Answer")


class GatewaySettings(BaseModel):
    """Settings of every adapter that is read through a gateway.

    `gateway`: the address at which the gateway of this platform listens; `gateway_token`: its bearer token.
    `gateway_keep_days`: how long raw messages are kept. `gateway_reconcile_seconds`: between two comparisons of all
    accounts with the venue. `gateway_wall_clock`: false for a simulated venue with a market time of its own.
    `gateway_journal`: the URL of a Redis; empty: a file in the data folder. `symbols_file`: the firm's names of the
    venue's symbols, and what the venue does not say of them."""

    model_config = ConfigDict(extra="forbid")

    gateway: WebUrl
    gateway_token: SecretStr
    gateway_keep_days: int = Field(7, ge=1)
    gateway_reconcile_seconds: float = Field(60.0, gt=0)
    gateway_wall_clock: bool = True
    gateway_journal: SecretStr = SecretStr("")
    symbols_file: Path | None = None


def gateway_stream(name: str, settings: GatewaySettings, reader: str = FIRST_READER) -> PlatformStream:
    """Returns the feed of platform `name`, from its gateway."""
    token = settings.gateway_token.get_secret_value()
    return HttpStream(f"The gateway of {name}", options(settings.gateway, token, _TIMEOUT), reader)


class HttpStream:
    """A PlatformStream of `who`, the sandbox or a gateway: one connection receives the batches, another sends
    acknowledgements and locks."""

    def __init__(self, who: str, client_options: dict[str, Any], reader: str) -> None:
        self._who, self._client, self._reader = who, httpx.Client(**client_options), reader
        names = {"base_url": "url", "headers": "headers", "timeout": "timeout", "verify": "trust"}
        self._acks = AckLine(who, **{ours: client_options[name] for name, ours in names.items()})

    def batches(self, after: int) -> Iterator[Batch | None]:
        """Raises Unavailable when the connection breaks or is silent for five seconds; open the stream again then."""
        timeout = httpx.Timeout(_SILENCE, read=_SILENCE)
        try:
            query: dict[str, str | int] = {"after": after, "reader": self._reader}
            with self._client.stream("GET", "/venue/stream", params=query, timeout=timeout) as answer:
                if not answer.is_success:
                    answer.read()
                    if answer.status_code == 410:
                        raise GapInStream(after, int(answer.json()["first"]))
                    raise refusal(self._who, answer, None)
                for line in _lines(answer.iter_raw()):
                    yield Batch.model_validate_json(line) if line else None
        except httpx.RequestError as exc:
            raise transport_error(self._who, exc, changing=False) from exc

    def acknowledge(self, number: int, keep_after: int) -> None:
        body = {"number": number, "keep_after": keep_after, "reader": self._reader}
        answer = self._acks.send(json.dumps(body).encode())
        if answer is not None:
            self._check(answer, key=f"ack {number}")

    def lock(self, login: int, key: str) -> None:
        self._post(f"/venue/accounts/{login}/lock", {"key": key}, key=key)

    def lock_many(self, locks: list[tuple[int, str]]) -> None:
        """Sends calls of up to 250 locks, four calls at a time. Raises an error only after all calls have ended."""
        parts = [locks[start : start + _LOCKS_AT_ONCE] for start in range(0, len(locks), _LOCKS_AT_ONCE)]
        if len(parts) == 1:
            self._lock_part(parts[0])
        elif parts:
            with ThreadPoolExecutor(_LOCK_CALLS) as calls:
                for done in [calls.submit(self._lock_part, part) for part in parts]:
                    done.result()

    def _lock_part(self, locks: list[tuple[int, str]]) -> None:
        body = {"locks": [{"login": login, "key": key} for login, key in locks]}
        more = len(locks) - 1
        self._post("/venue/locks", body, key=f"{locks[0][1]} and {more} more" if more else locks[0][1])

    def snapshot(self, login: int) -> AccountSnapshot:
        return read_answer(self._who, SNAPSHOT, self._get(f"/venue/accounts/{login}"))

    def symbols(self) -> list[SymbolSpec]:
        return read_answer(self._who, SYMBOLS, self._get("/venue/symbols"))

    def clock(self) -> ClockReading:
        return read_answer(self._who, CLOCK, self._get("/venue/clock"))

    def close(self) -> None:
        self._client.close()
        self._acks.close()

    def _get(self, path: str) -> bytes:
        try:
            answer = self._client.get(path)
        except httpx.RequestError as exc:
            raise transport_error(self._who, exc, changing=False) from exc
        if not answer.is_success:
            raise refusal(self._who, answer, None)
        return answer.content

    def _post(self, path: str, body: dict[str, Any], *, key: str) -> None:
        try:
            answer = self._client.post(path, json=body)
        except httpx.RequestError as exc:
            raise transport_error(self._who, exc, changing=True) from exc
        self._check(answer, key=key)

    def _check(self, answer: httpx.Response, *, key: str) -> None:
        if not answer.is_success:
            raise refusal(self._who, answer, key)
        check_done(self._who, answer)


def check_done(who: str, answer: httpx.Response) -> None:
    """Raises OutcomeUnknown for a success in another form than the platform's: a server in between may have made it."""
    if answer.status_code != DONE:
        raise unreadable(who, changing=True)


def read_answer(who: str, form: TypeAdapter[_Answer], content: bytes) -> _Answer:
    """Returns the answer to a question. Raises Unavailable if it is in the wrong format."""
    try:
        return form.validate_json(content)
    except ValidationError as exc:
        raise unreadable(who, changing=False) from exc


def _lines(chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yields complete lines, without a line that the end of the stream cuts off."""
    parts: list[bytes] = []
    for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for line in ended:
            yield b"".join([*parts, line])
            parts.clear()
        if rest:
            parts.append(rest)
