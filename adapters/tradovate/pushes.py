"""One web socket of the venue: opened, authorized, kept alive, and read frame by frame."""

import asyncio
import contextlib
import json
import time
from collections import deque
from typing import Any, Final, Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from adapters.tradovate.client import WHO, Api
from adapters.tradovate.wire import loads
from domain.errors import Unavailable

_BEAT: Final = 2.5  # seconds between our heartbeats, as the vendor asks
_SILENCE: Final = 10.0  # seconds without a frame: the venue sends one every 2.5
_LARGEST: Final = 64 * 2**20  # bytes of one frame
_OPEN: Final = 20.0


class Pushes:
    """`api`: gives the access token. A new one is told to the open socket (unverified that the venue takes it there; if
    not, it closes the socket and the gateway connects again)."""

    def __init__(self, url: str, api: Api) -> None:
        self._url, self._api = url, api
        self._socket: ClientConnection | None = None
        self._sent_token = ""
        self._kept: deque[bytes] = deque()
        self._id = 0
        self._beats: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Raises Unavailable."""
        proxy: Literal[True] | None = True if self._url.startswith("wss://") else None  # a sandbox is on this machine
        try:
            self._socket = await connect(
                self._url, max_size=_LARGEST, ping_interval=None, open_timeout=_OPEN, proxy=proxy
            )
        except (OSError, InvalidHandshake, TimeoutError, ConnectionClosed) as exc:
            raise Unavailable(
                f"{WHO}'s socket cannot be opened.", remedy="Check network, address and certificate."
            ) from exc
        if (await self.frame())[:1] != b"o":
            raise Unavailable(f"{WHO}'s socket did not open as it should.")
        self._sent_token = await self._api.token()
        try:
            await self._answered(await self._send("authorize", self._sent_token), "does not accept our token")
        except Unavailable:
            self._api.forget(self._sent_token)
            raise
        self._beats = asyncio.create_task(self._beat())

    async def request(self, path: str, body: dict[str, Any]) -> None:
        """Sends a request and waits until the venue says yes. Raises Unavailable."""
        id = await self._send(path, json.dumps(body))
        await self._answered(id, f"refuses {path}")

    async def frame(self) -> bytes:
        """Returns the next frame. Raises Unavailable when the connection is closed or silent."""
        return self._kept.popleft() if self._kept else await self._receive()

    async def _receive(self) -> bytes:
        assert self._socket is not None
        try:
            async with asyncio.timeout(_SILENCE):
                text = await self._socket.recv(decode=False)
        except TimeoutError:
            raise Unavailable(f"{WHO}'s socket is silent.") from None
        except ConnectionClosed:
            raise Unavailable(f"{WHO} closed the socket.") from None
        if text[:1] == b"c" or b'"shutdown"' in text[:60]:
            raise Unavailable(f"{WHO} is closing the socket.", remedy="Too many connections, or maintenance.")
        return text

    async def close(self) -> None:
        if self._beats is not None:
            self._beats.cancel()
            await asyncio.gather(self._beats, return_exceptions=True)
        if self._socket is not None:
            await self._socket.close()

    async def _send(self, path: str, body: str) -> int:
        assert self._socket is not None
        self._id += 1
        try:
            await self._socket.send(f"{path}\n{self._id}\n\n{body}")
        except ConnectionClosed:
            raise Unavailable(f"{WHO} closed the socket.") from None
        return self._id

    async def _answered(self, id: int, refusal: str) -> None:
        """Reads frames until the answer to a request, and keeps the others for `frame`."""
        deadline = time.monotonic() + _OPEN
        while time.monotonic() < deadline:
            frame = await self._receive()
            self._kept.append(frame)
            for message in _messages(frame) if frame[:1] == b"a" else ():
                if isinstance(message, dict) and message.get("i") == id:
                    if message.get("s") == 200:
                        return
                    raise Unavailable(f"{WHO} {refusal} ({str(message.get('s'))[:10]}).")
        raise Unavailable(f"{WHO} did not answer on the socket.")

    async def _beat(self) -> None:
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            while True:
                await asyncio.sleep(_BEAT)
                await self._socket.send("[]")
                with contextlib.suppress(Unavailable):
                    token = await self._api.token()
                    if token != self._sent_token:
                        self._sent_token = token
                        await self._send("authorize", token)


def _messages(frame: bytes) -> list[Any]:
    try:
        read = loads(frame[1:])
    except (ValueError, RecursionError):
        return []
    return read if isinstance(read, list) else []
