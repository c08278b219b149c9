"""The live part of the feed: what the sockets push, and what is asked beside them.

The sockets push positions, worth, money and quotes, but not the fills: an account whose portfolio was pushed is asked
for its orders. A sweep over all accounts finds what a push that was lost would have said.
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Final

from adapters.dxtrade import decode, paging, wire
from adapters.dxtrade.client import Client
from adapters.dxtrade.errors import WHO
from adapters.dxtrade.lists import Lists, own, told
from adapters.dxtrade.sockets import Ended, Sockets
from domain.errors import PropOSError, Unavailable
from ports.venue import Message

_SILENCE: Final = 3.0  # seconds without a message until the venue is asked for a sign of life
_SWEEP: Final = 30.0  # seconds between two looks at everything
_TOGETHER: Final = 0.02  # seconds in which pushed portfolios are asked about together
_AGAIN: Final = 1.0  # seconds until they are asked about once more
_ASKS: Final = 2  # times that they are asked about


class Live:
    """What comes after a connection has caught up. It ends with Unavailable when the connection breaks."""

    def __init__(self, client: Client, lists: Lists, sockets: Sockets) -> None:
        self._client, self._lists, self._sockets = client, lists, sockets
        self._due: dict[str, int] = {}  # accounts to ask about, and how often still
        self._ask_at: float | None = None
        self._heard = self._swept = time.monotonic()
        self._pushed = asyncio.Event()

    async def messages(self) -> AsyncIterator[Message]:
        asking = asyncio.create_task(self._ask_on())
        try:
            while True:
                found = await self._sockets.inbox.get()
                if isinstance(found, Ended):
                    self._client.forget_session()
                    raise Unavailable(f"{WHO} has ended the session.", remedy="A new one is opened.")
                if isinstance(found, Exception):
                    raise found
                self._heard = time.monotonic()
                self._take(pushed_accounts(found))
                yield found
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    def _take(self, versions: dict[str, int] | None) -> None:
        if versions is None:
            self._swept = time.monotonic() - _SWEEP
            self._pushed.set()
        elif versions:
            self._lists.note(versions)
            self._due.update(dict.fromkeys(versions, _ASKS))
            soon = time.monotonic() + _TOGETHER
            self._ask_at = soon if self._ask_at is None else min(self._ask_at, soon)
            self._pushed.set()

    async def _ask_on(self) -> None:
        """Asks beside the sockets until it is cancelled. The answers and the error that ends it come into the inbox."""
        inbox = self._sockets.inbox
        try:
            while True:
                await self._wait()
                async for message in self._answers():
                    inbox.put_nowait(message)
        except PropOSError as error:
            inbox.put_nowait(error)

    async def _wait(self) -> None:
        ends = [self._heard + _SILENCE, self._swept + _SWEEP, *([self._ask_at] if self._ask_at else [])]
        try:
            async with asyncio.timeout(max(0.0, min(ends) - time.monotonic())):
                await self._pushed.wait()
        except TimeoutError:
            pass
        self._pushed.clear()

    async def _answers(self) -> AsyncIterator[Message]:
        now = time.monotonic()
        if self._ask_at is not None and now >= self._ask_at:
            names = list(self._due)
            # What an account may do is not pushed: one that may not trade may by now, and one that was asked about
            # before may have been locked.
            doubted = [name for name, left in self._due.items() if left == 1 or name not in self._lists.able]
            self._due = {name: left - 1 for name, left in self._due.items() if left > 1}
            self._ask_at = now + _AGAIN if self._due else None
            async for message in self._lists.some_accounts(doubted):
                yield message
            async for message in self._lists.orders_of(names):
                yield message
        if now >= self._swept + _SWEEP:
            yield told(decode.ACCOUNTS, await self._lists.accounts())
            async for message in self._lists.tradable():
                yield message
            async for message in self._lists.everything():
                yield message
            self._swept = time.monotonic()
        elif now >= self._heard + _SILENCE:
            yield await self._sign_of_life()
            self._heard = time.monotonic()

    async def _sign_of_life(self) -> Message:
        """Extends the session and tells the venue's clock. The answer itself holds a token and is not told."""
        answer = await self._client.ping()
        return own(decode.CLOCK, {"at": (answer.at or datetime.now(UTC)).isoformat()})


def pushed_accounts(message: Message) -> dict[str, int] | None:
    """Returns the accounts whose portfolio this message pushes, with its version; None for a message that cannot be
    read, which may have told anything. The worth of accounts is pushed most often and asks for nothing."""
    if message.channel != decode.PUSHED or wire.METRICS.encode() in message.body:
        return {}
    try:
        found = json.loads(message.body)
        if found["type"] != wire.PORTFOLIOS:
            return {}
        rows = found["payload"]["portfolios"]
        return {paging.account_of({"account": each["account"]}): paging.version_of(each) for each in rows}
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
