"""The two sockets of DXtrade's push interface: subscriptions, pings, and the end of a session.

The session's token is part of every message on the wire. It is taken out before a message leaves this module.
"""

import asyncio
import contextlib
import itertools
import json
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from adapters.dxtrade import wire
from adapters.dxtrade.config import DxtradeSettings
from adapters.dxtrade.decode import PUSHED, QUOTED
from adapters.dxtrade.errors import WHO
from domain.errors import Unavailable
from ports.venue import Message

_TOO_LARGE: Final = 2**26  # bytes of a message that is refused
_SYMBOLS_AT_ONCE: Final = 200
_HIDDEN: Final = b"-"


class Ended(Exception):
    """The venue has ended the session."""


class Sockets:
    """Both sockets of one connection. What they send, or the error that ended one of them, comes into `inbox`."""

    def __init__(self, settings: DxtradeSettings, token: str) -> None:
        self._settings, self._token = settings, token
        self._ids = itertools.count(1)
        self.inbox: asyncio.Queue[Message | Exception] = asyncio.Queue()

    @contextlib.asynccontextmanager
    async def open(self, symbols: Sequence[str]) -> AsyncIterator[None]:
        """Connects and subscribes to every account and these symbols. Raises Unavailable."""
        async with contextlib.AsyncExitStack() as stack:
            tasks: list[asyncio.Task[None]] = []
            stack.push_async_callback(_cancel, tasks)
            events = await self._connect(stack, wire.EVENTS_SOCKET)
            quotes = await self._connect(stack, wire.QUOTES_SOCKET)
            tasks.append(asyncio.create_task(self._read(events, PUSHED)))
            tasks.append(asyncio.create_task(self._read(quotes, QUOTED)))
            try:
                await self._subscribe(events, quotes, symbols)
            except (OSError, WebSocketException):
                raise Unavailable(f"{WHO} broke the connection.", remedy="It is opened again.") from None
            yield

    async def _connect(self, stack: contextlib.AsyncExitStack, path: str) -> ClientConnection:
        secure = self._settings.url.startswith("https://")
        url = f"{'wss' if secure else 'ws'}://{self._settings.url.partition('://')[2]}{path}"
        try:
            opened = connect(
                url,
                open_timeout=self._settings.timeout,
                close_timeout=1,
                max_size=_TOO_LARGE,
                proxy=True if secure else None,
            )
            return await stack.enter_async_context(opened)
        except (OSError, WebSocketException, TimeoutError):
            raise Unavailable(f"{WHO} does not open its push interface.", remedy="It is tried again.") from None

    async def _subscribe(self, events: ClientConnection, quotes: ClientConnection, symbols: Sequence[str]) -> None:
        for kind in (wire.PORTFOLIOS, wire.METRICS, wire.TRANSFERS, wire.EVENTS):
            await self._send(events, f"{kind}{wire.SUBSCRIBE}", {"requestType": "ALL"})
        for start in range(0, len(symbols), _SYMBOLS_AT_ONCE):
            wanted = list(symbols[start : start + _SYMBOLS_AT_ONCE])
            payload = {"symbols": wanted, "eventTypes": [{"type": "Quote", "format": "COMPACT"}]}
            await self._send(quotes, f"{wire.MARKET_DATA}{wire.SUBSCRIBE}", payload)

    async def _send(self, socket: ClientConnection, kind: str, payload: dict[str, Any] | None) -> None:
        message: dict[str, Any] = {
            "type": kind,
            "requestId": f"propos-{next(self._ids)}",
            "timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
            "session": self._token,
        }
        if payload is not None:
            message["payload"] = payload
        await socket.send(json.dumps(message))

    async def _read(self, socket: ClientConnection, channel: str) -> None:
        """Puts every message into the inbox, answers pings, and ends with an error."""
        try:
            async for text in socket:
                raw = text.encode() if isinstance(text, str) else text
                body = raw.replace(self._token.encode(), _HIDDEN)
                kind = _kind(body)
                if kind == wire.REJECT:
                    self.inbox.put_nowait(Ended())
                    return
                if kind == wire.PING_REQUEST:
                    await self._send(socket, wire.PING, None)
                self.inbox.put_nowait(Message(channel, body, datetime.now(UTC)))
        except (OSError, WebSocketException):
            pass
        self.inbox.put_nowait(Unavailable(f"{WHO} broke the connection.", remedy="It is opened again."))


def _kind(body: bytes) -> str | None:
    """Returns the kind of the two messages that the connection itself must answer, without reading all the others."""
    if b"PingRequest" not in body and b"Reject" not in body:
        return None
    try:
        found = json.loads(body)
    except ValueError:
        return None
    return str(found.get("type")) if isinstance(found, dict) else None


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
