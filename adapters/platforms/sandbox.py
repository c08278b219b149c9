"""Adapter for the simulated trading platform, over HTTP."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, Final, Literal
from urllib.parse import urlencode

import httpx
from pydantic import BaseModel, ConfigDict, SecretStr, TypeAdapter, ValidationError

from adapters.own_http import WebUrl, options, refusal, transport_error, unreadable
from adapters.platforms.http_stream import SNAPSHOT, SYMBOLS, HttpStream, check_done, read_answer
from domain.venue_accounts import total
from ports.capabilities import PlatformCapabilities
from ports.credentials import Holder, SignIn
from ports.listing import ListedAccount
from ports.platform import (
    FIRST_READER,
    AccountSnapshot,
    BalanceKind,
    Deal,
    Marks,
    PlatformStream,
    SymbolSpec,
    TradingPlatform,
)
from ports.plugin import Plugin

_WHO: Final = "The simulated trading platform"
STATES_GROUPS: Final = "states/"  # for accounts in these groups the sandbox reports states instead of quotes
_LISTED: Final = TypeAdapter(list[AccountSnapshot])
_DEALS: Final = TypeAdapter(list[Deal])
_LOGIN: Final = TypeAdapter(dict[Literal["login"], int])
_FOUND_LOGIN: Final = TypeAdapter(dict[Literal["login"], int | None])
_AMOUNT: Final = TypeAdapter(dict[Literal["amount_minor"], int | None])
_STOPS: Final = TypeAdapter(list[str | None])
_MARKET: Final = TypeAdapter(dict[str, Any])


class SandboxPlatform:
    """A TradingPlatform on the sandbox at `url`, which LimitsToClosing, StopsEverybody and ResetsCredentials. A call
    that gets no answer within `timeout` seconds raises OutcomeUnknown if it may have changed something, else
    Unavailable."""

    def __init__(self, *, url: str, token: str, timeout: float = 10.0, name: str = "sandbox") -> None:
        self.name = name
        self._options = options(url, token, timeout)
        self._client = httpx.AsyncClient(**self._options)

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        body = {"key": key, "group": group, "currency": currency, "leverage": leverage}
        answer = await self._post("/venue/accounts", body)
        try:
            return _LOGIN.validate_json(answer.content)["login"]
        except ValidationError as exc:
            raise unreadable(_WHO, changing=True) from exc

    async def find_account(self, key: str) -> int | None:
        return read_answer(_WHO, _FOUND_LOGIN, await self._get(f"/venue/accounts?{urlencode({'key': key})}"))["login"]

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        body = {"key": key, "operation": operation, "amount_minor": amount_minor}
        await self._change(f"/venue/accounts/{login}/balance", body)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        query = urlencode({"key": key, "operation": operation})
        return read_answer(_WHO, _AMOUNT, await self._get(f"/venue/accounts/{login}/balance?{query}"))["amount_minor"]

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        await self._change(f"/venue/accounts/{login}/trading", {"key": key, "enabled": enabled})

    async def lock(self, login: int, *, key: str) -> None:
        await self._change(f"/venue/accounts/{login}/lock", {"key": key})

    async def set_close_only(self, login: int, *, key: str, close_only: bool) -> None:
        await self._change(f"/venue/accounts/{login}/close-only", {"key": key, "close_only": close_only})

    async def set_stopped(self, *, key: str, symbol: str | None, stopped: bool) -> None:
        await self._change("/venue/stops", {"key": key, "symbol": symbol, "stopped": stopped})

    async def stopped(self) -> frozenset[str | None]:
        found = read_answer(_WHO, _STOPS, await self._get("/venue/stops"))
        return frozenset(found)

    async def create_credentials(self, login: int, *, key: str, password: SecretStr, holder: Holder) -> SignIn:
        return await self.reset_credentials(login, key=key, password=password)

    async def reset_credentials(self, login: int, *, key: str, password: SecretStr) -> SignIn:
        body = {"key": key, "password": password.get_secret_value()}
        await self._change(f"/venue/accounts/{login}/password", body)
        return SignIn(str(login))

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        await self._change(f"/venue/accounts/{login}/close", {"key": key, "position_ids": list(position_ids)})

    async def snapshot(self, login: int) -> AccountSnapshot:
        return read_answer(_WHO, SNAPSHOT, await self._get(f"/venue/accounts/{login}"))

    async def accounts(self) -> AsyncIterator[Sequence[ListedAccount]]:
        after = 0
        while True:
            page = read_answer(_WHO, _LISTED, await self._get(f"/venue/listing?{urlencode({'after': after})}"))
            if not page:
                return
            yield [_listed(each) for each in page]
            after = page[-1].login

    async def symbols(self) -> list[SymbolSpec]:
        return read_answer(_WHO, SYMBOLS, await self._get("/venue/symbols"))

    async def deals(self, login: int) -> list[Deal]:
        return read_answer(_WHO, _DEALS, await self._get(f"/venue/accounts/{login}/deals"))

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return HttpStream(_WHO, self._options, reader)

    def marks(self, group: str) -> Marks:
        return "states" if group.startswith(STATES_GROUPS) else "quotes"

    async def healthy(self) -> str:
        market = read_answer(_WHO, _MARKET, await self._get("/market"))
        return f"{market['mode']}, market time {market['market_time']}"

    async def aclose(self) -> None:
        await self._client.aclose()

    async def _get(self, path: str) -> bytes:
        try:
            answer = await self._client.get(path)
        except httpx.RequestError as exc:
            raise transport_error(_WHO, exc, changing=False) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, None)
        return answer.content

    async def _change(self, path: str, body: dict[str, Any]) -> None:
        check_done(_WHO, await self._post(path, body))

    async def _post(self, path: str, body: dict[str, Any]) -> httpx.Response:
        try:
            answer = await self._client.post(path, json=body)
        except httpx.RequestError as exc:
            raise transport_error(_WHO, exc, changing=True) from exc
        if not answer.is_success:
            raise refusal(_WHO, answer, str(body["key"]))
        return answer


def _listed(account: AccountSnapshot) -> ListedAccount:
    lots = total((each.symbol, each.side, each.lots) for each in account.positions)
    return ListedAccount(account.login, account.currency, account.trading_enabled, account.balance_minor, lots)


class SandboxPlatformSettings(BaseModel):
    """`url`: address of the sandbox. `token`: its bearer token."""

    model_config = ConfigDict(extra="forbid")

    url: WebUrl
    token: SecretStr


def _build(name: str, settings: SandboxPlatformSettings) -> TradingPlatform:
    return SandboxPlatform(url=settings.url, token=settings.token.get_secret_value(), name=name)


PLUGIN: Final = Plugin(
    SandboxPlatformSettings,
    PlatformCapabilities(
        creates_accounts=True,
        sets_trading=True,
        moves_balances=True,
        finds_balance_operations=True,
        closes_all_in_one_call=True,
        close_only=True,
        kill_switch="symbol",
        lists_accounts=True,
        pushes_events=True,
        pushes_quotes=True,
        credentials="reset",
    ),
    _build,
)
