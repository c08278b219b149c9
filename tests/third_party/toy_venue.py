"""A trading venue's adapter that is no part of PropOS, read through a gateway (docs/adding-a-platform.md).

The venue speaks lines of JSON over TCP. A connection begins with one request; the venue answers with lines.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from pydantic import SecretStr

from adapters.platforms.http_stream import GatewaySettings, gateway_stream
from domain.errors import Conflict, IdempotencyMismatch, NotFound, OutcomeUnknown, Unavailable
from ports.capabilities import PlatformCapabilities
from ports.facts import checked
from ports.platform import FIRST_READER, AccountSnapshot, BalanceKind, Deal, Marks, PlatformStream, SymbolSpec
from ports.plugin import Plugin
from ports.venue import Access, CaughtUp, Cursor, Fact, Fill, Message, Money, Quote, Snapshot, Unreadable, VenueTime

_ACCOUNT = ("login", "currency", "balance_minor", "equity_minor", "trading_enabled", "positions")
_FILL = ("login", "position_id", "symbol", "side", "entry", "profit_minor", "commission_minor")
_QUESTIONS = ("find", "find money", "snapshot", "symbols")
_SILENCE, _LONGEST_LINE = 5.0, 1 << 20


class ToyVenueSettings(GatewaySettings):
    server: str
    port: int
    password: SecretStr


class _Venue:
    """The wire, and what both halves of the adapter have."""

    def __init__(self, name: str, settings: ToyVenueSettings) -> None:
        self.name, self._settings = name, settings

    async def symbols(self) -> list[SymbolSpec]:
        return [SymbolSpec.model_validate(each) for each in await self._ask("symbols")]

    async def aclose(self) -> None:
        return None

    async def _ask(self, do: str, **request: Any) -> Any:
        """Returns the venue's one answer. Raises Unavailable, or OutcomeUnknown when a change may have happened."""
        async with self._connection(do, request, Unavailable if do in _QUESTIONS else OutcomeUnknown) as reader:
            answer = json.loads(await _line(reader), parse_float=Decimal)
        if "unknown" in answer:
            raise NotFound("The toy venue has no such account.")
        if "mismatch" in answer:
            raise IdempotencyMismatch(request["key"])
        if "refused" in answer:
            raise Conflict(answer["refused"])
        return answer

    async def _lines(self, channel: str, do: str, **request: Any) -> AsyncIterator[Message]:
        """Yields the venue's lines until it closes the connection. Raises Unavailable when it is silent."""
        async with self._connection(do, request, Unavailable) as reader:
            while line := await _line(reader):
                if line.endswith(b"\n"):
                    yield Message(channel, line[:-1], datetime.now(UTC))

    @asynccontextmanager
    async def _connection(self, do: str, request: Any, lost: type[Unavailable]) -> AsyncIterator[asyncio.StreamReader]:
        settings, password = self._settings, self._settings.password.get_secret_value()
        try:
            reader, writer = await asyncio.open_connection(settings.server, settings.port, limit=_LONGEST_LINE)
        except OSError as exc:
            raise Unavailable(f"The toy venue cannot be reached: {exc}.") from exc
        try:
            writer.write(json.dumps({"do": do, "password": password, **request}).encode() + b"\n")
            yield reader
        except (OSError, TimeoutError, ValueError) as exc:
            raise lost(f"The toy venue does not answer: {exc or 'it is silent'}.") from exc
        finally:
            writer.close()


async def _line(reader: asyncio.StreamReader) -> bytes:
    async with asyncio.timeout(_SILENCE):
        return await reader.readline()


class ToyVenue(_Venue):
    """The administration of accounts. The venue keeps our keys: the same key does nothing a second time."""

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        terms = {"group": group, "currency": currency, "leverage": leverage}
        return int((await self._ask("create", key=key, **terms))["login"])

    async def find_account(self, key: str) -> int | None:
        login: int | None = (await self._ask("find", key=key))["login"]
        return login

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        await self._ask("money", login=login, key=key, operation=operation, amount=amount_minor)

    async def find_balance_operation(self, login: int, *, key: str, operation: BalanceKind) -> int | None:
        answer = await self._ask("find money", login=login, key=key, operation=operation)
        return None if answer["amount"] is None else int(answer["amount"])

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        await self._ask("trading", login=login, key=key, enabled=enabled)

    async def lock(self, login: int, *, key: str) -> None:
        await self._ask("lock", login=login, key=key)

    async def close_positions(self, login: int, *, key: str, position_ids: Sequence[str]) -> None:
        await self._ask("close", login=login, key=key, positions=list(position_ids))

    async def snapshot(self, login: int) -> AccountSnapshot:
        return _account(await self._ask("snapshot", login=login))

    async def deals(self, login: int) -> list[Deal]:
        facts = [fact async for line in self._lines("deals", "deals", login=login) for fact in read(line)]
        return [_as_deal(fact) for fact in facts if isinstance(fact, Fill)]

    def open_stream(self, reader: str = FIRST_READER) -> PlatformStream:
        return gateway_stream(self.name, self._settings, reader)

    def marks(self, group: str) -> Marks:
        return "quotes"

    async def healthy(self) -> str:
        return f"{len(await self.symbols())} symbols"


class ToyFeed(_Venue):
    """What the gateway reads, and its decoder: it remembers nothing between messages."""

    def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        return self._lines("live", "stream", after=int(cursors.get("told", "0")))

    def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        return self._lines("deals", "deals", login=login)

    def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        return self._lines("snapshots", "snapshots", logins=list(logins))

    def decoder(self) -> "ToyFeed":
        return self

    def facts(self, message: Message) -> Iterable[Fact]:
        return read(message)


def read(message: Message) -> list[Fact]:
    try:
        line = json.loads(message.body, parse_float=Decimal)
        told = [Cursor("told", str(int(line["number"])))] if "number" in line else []
        return [checked(_FACTS[line["is"]](line)), *told]
    except (ValueError, KeyError, TypeError, ArithmeticError, RecursionError, OSError) as exc:
        raise Unreadable(f"{type(exc).__name__}: {exc}") from exc


def _at(line: dict[str, Any]) -> datetime:
    return datetime.fromtimestamp(line["ms"] / 1000, UTC)


def _quote(line: dict[str, Any]) -> Fact:
    return Quote(line["symbol"], Decimal(line["bid"]), Decimal(line["ask"]), _at(line))


def _deal(line: dict[str, Any]) -> Fact:
    about = {name: line[name] for name in _FILL}
    return Fill(fill_id=line["id"], lots=Decimal(line["lots"]), price=Decimal(line["price"]), at=_at(line), **about)


def _as_deal(fill: Fill) -> Deal:
    values = {name: getattr(fill, name) for name in Deal.model_fields if hasattr(fill, name)}
    return Deal.model_validate(values | {"seq": 0, "deal_id": fill.fill_id, "balance_minor": 0})


def _money(line: dict[str, Any]) -> Fact:
    return Money(line["id"], line["login"], line["operation"], line["key"], line["amount"], _at(line))


def _account(line: dict[str, Any]) -> AccountSnapshot:
    return AccountSnapshot.model_validate({"seq": 0} | {name: line[name] for name in _ACCOUNT})


_FACTS: dict[str, Any] = {
    "quote": _quote,
    "deal": _deal,
    "money": _money,
    "access": lambda line: Access(line["login"], line["change"], _at(line)),
    "snapshot": lambda line: Snapshot(_account(line), _at(line)),
    "alive": lambda line: VenueTime(_at(line)),
    "live": lambda line: CaughtUp(),
}
CAN = PlatformCapabilities(
    creates_accounts=True, sets_trading=True, moves_balances=True, finds_balance_operations=True, pushes_quotes=True
)
PLUGIN = Plugin(ToyVenueSettings, CAN, ToyVenue, ToyFeed)
