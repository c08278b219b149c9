"""Adapter for the simulated trading platform, over HTTP."""

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter

from adapters.sandbox_http import WebUrl, options, refusal, transport_error
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Batch,
    Deal,
    GapInStream,
    Marks,
    PlatformCapabilities,
    PlatformStream,
    SymbolSpec,
    TradingPlatform,
)
from ports.plugin import Plugin

_WHO: Final = "The simulated trading platform"
STATES_GROUPS: Final = "states/"  # for accounts in these groups the sandbox reports states instead of quotes
_LOCKS_AT_ONCE: Final = 250
_LOCK_CALLS: Final = 4
_SILENCE: Final = 5.0  # seconds; the venue sends an empty line each second
_SYMBOLS: Final = TypeAdapter(list[SymbolSpec])
_DEALS: Final = TypeAdapter(list[Deal])


class SandboxPlatform:
    """A TradingPlatform on the sandbox at `url`. A call that gets no answer within `timeout` seconds raises
    OutcomeUnknown if it may have changed something, else Unavailable."""

    def __init__(self, *, url: str, token: str, timeout: float = 10.0, name: str = "sandbox") -> None:
        self.name = name
        self._options = options(url, token, timeout)
        self._client = httpx.AsyncClient(**self._options)

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        body = {"key": key, "group": group, "currency": currency, "leverage": leverage}
        answer = await self._post("/venue/accounts", body)
        return int(answer.json()["login"])

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        body = {"key": key, "operation": operation, "amount_minor": amount_minor}
        await self._post(f"/venue/accounts/{login}/balance", body)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        query = urlencode({"key": key, "operation": operation})
        found = json.loads(await self._get(f"/venue/accounts/{login}/balance?{query}"))["amount_minor"]
        return None if found is None else int(found)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        await self._post(f"/venue/accounts/{login}/trading", {"key": key, "enabled": enabled})

    async def lock(self, login: int, *, key: str) -> None:
        await self._post(f"/venue/accounts/{login}/lock", {"key": key})

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        await self._post(f"/venue/accounts/{login}/close", {"key": key, "position_ids": list(position_ids)})

    async def snapshot(self, login: int) -> AccountSnapshot:
        return AccountSnapshot.model_validate_json(await self._get(f"/venue/accounts/{login}"))

    async def symbols(self) -> list[SymbolSpec]:
        return _SYMBOLS.validate_json(await self._get("/venue/symbols"))

    async def deals(self, login: int) -> list[Deal]:
        return _DEALS.validate_json(await self._get(f"/venue/accounts/{login}/deals"))

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return SandboxStream(self._options, reader)

    def marks(self, group: str) -> Marks:
        return "states" if group.startswith(STATES_GROUPS) else "quotes"

    async def healthy(self) -> str:
        market = json.loads(await self._get("/market"))
        return f"{market['mode']}, market time {market['market_time']}"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _get(self, path: str) -> bytes:
        try:
            answer = await self._client.get(path)
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, None)
        return answer.content

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            answer = await self._client.post(path, json=body)
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=True) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, str(body["key"]))
        return answer


class SandboxStream:
    """A PlatformStream: one connection receives the batches, another sends acknowledgements and locks."""

    def __init__(self, client_options: dict[str, Any], reader: str) -> None:
        self._client, self._reader = httpx.Client(**client_options), reader

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
                    raise refusal(_WHO, answer, None)
                for line in _lines(answer.iter_raw()):
                    yield Batch.model_validate_json(line) if line else None
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc

    def acknowledge(self, number: int, keep_after: int) -> None:
        body = {"number": number, "keep_after": keep_after, "reader": self._reader}
        self._post("/venue/ack", body, key=f"ack {number}")

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
        self._post("/venue/locks", body, key=f"{locks[0][1]} and {len(locks) - 1} more")

    def snapshot(self, login: int) -> AccountSnapshot:
        return AccountSnapshot.model_validate_json(self._get(f"/venue/accounts/{login}"))

    def symbols(self) -> list[SymbolSpec]:
        return _SYMBOLS.validate_json(self._get("/venue/symbols"))

    def close(self) -> None:
        self._client.close()

    def _get(self, path: str) -> bytes:
        try:
            answer = self._client.get(path)
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, None)
        return answer.content

    def _post(self, path: str, body: dict[str, Any], *, key: str) -> None:
        try:
            answer = self._client.post(path, json=body)
        except httpx.TransportError as exc:
            raise transport_error(_WHO, exc, changing=True) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, key)


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


class SandboxPlatformSettings(BaseModel):
    """`url`: address of the sandbox. `token`: its bearer token."""

    model_config = ConfigDict(extra="forbid")

    url: WebUrl
    token: SecretStr


def _build(name: str, settings: SandboxPlatformSettings) -> TradingPlatform:
    return SandboxPlatform(url=settings.url, token=settings.token.get_secret_value(), name=name)


PLUGIN: Final = Plugin(
    SandboxPlatformSettings,
    PlatformCapabilities(finds_balance_operations=True),
    _build,
)
