"""The stream of the Open API for the gateway: what was missed, every account, then events as they come."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import structlog
from google.protobuf.message import Message as Wire

from adapters.ctrader import accounts, history, symbols
from adapters.ctrader.config import CTraderSettings
from adapters.ctrader.decoder import (
    CAUGHT_UP,
    HALTED,
    LIVE,
    REFERENCE,
    SNAPSHOT,
    CTraderDecoder,
    page_channel,
    refused_channel,
)
from adapters.ctrader.grants import Grants
from adapters.ctrader.link import Link, answered
from adapters.ctrader.session import WHO, Answer, Session
from adapters.ctrader.symbols import Symbols
from domain.errors import Unavailable
from ports.platform import SymbolSpec
from ports.venue import Decoder, Message
from wire.ctrader import OpenApiMessages_pb2 as api

_log = structlog.get_logger(__name__)
_SILENCE: Final = 3.0  # seconds without a message after which the venue is asked for one
_OVERLAP: Final = 60_000  # milliseconds before a cursor that are asked for again: a row may appear late
_TRIES: Final = 5
_DEMANDS: Final = (
    api.ProtoOASymbolChangedEvent,
    api.ProtoOAAccountsTokenInvalidatedEvent,
    api.ProtoOAAccountDisconnectEvent,
    api.ProtoOAClientDisconnectEvent,
)
_LISTS: Final[tuple[history.List, ...]] = ("cash", "orders", "deals")


@dataclass(frozen=True)
class _Stream:
    """One connection that is read. Prices of `symbols` come through the account `quotes_from`."""

    session: Session
    quotes_from: int
    symbols: list[int]


class CTraderFeed:
    """A VenueFeed. Every account with a grant is read over one connection. `look_again`: seconds after which accounts
    that were refused, or are new in the file of grants, are tried."""

    def __init__(self, name: str, settings: CTraderSettings, *, look_again: float = 30.0) -> None:
        self.name, self._settings, self._look_again = name, settings, look_again
        self._grants = Grants(settings.grants_file)
        self._link = Link(settings, self._grants, self._arrived)
        self._events: asyncio.Queue[tuple[datetime, bytes]] = asyncio.Queue()
        self._demands: list[Wire] = []  # events that ask something of this connection
        self._executed: Counter[int] = Counter()  # executions that arrived, by account
        self._joined: set[int] = set()  # accounts that are authorised
        self._reading = False

    def decoder(self) -> Decoder:
        return CTraderDecoder()

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        await self._link.aclose()
        self._events, self._demands, self._joined = asyncio.Queue(), [], set()
        self._reading = True
        try:
            session = await self._link.session()
            await self._join_all(session)
            quotes_from, known = min(self._joined), Symbols()
            yield Message(HALTED, cursors.get(HALTED, "").encode(), _now())
            async for message in self._reference(quotes_from, known):
                yield message
            stream = _Stream(session, quotes_from, known.wanted(self._settings.wanted_symbols))
            for login in sorted(self._joined):
                async for message in self._missed(login, cursors):
                    yield message
            async for message in self._whole(sorted(self._joined)):
                yield message
            yield Message(CAUGHT_UP, b"", _now())
            for login in sorted(self._joined):
                async for message in self._watch(login, stream):
                    yield message
            async for message in self._live(stream):
                yield message
        finally:
            self._reading = False

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        if not self._may_read(login):
            return
        async for message in self._missed(login, dict.fromkeys((f"{name}/{login}" for name in _LISTS), cursor)):
            yield message

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        async for message in self._whole(logins):
            yield message

    async def symbols(self) -> list[SymbolSpec]:
        known = Symbols()
        async for _ in self._reference(await self._link.any_account(), known):
            pass
        return known.specs()

    async def aclose(self) -> None:
        await self._link.aclose()

    def _may_read(self, login: int) -> bool:
        """Whether there is a grant and, while a stream is read, the venue accepts it."""
        return login in (self._joined if self._reading else self._grants.accounts())

    # before the stream

    async def _reference(self, login: int, known: Symbols) -> AsyncIterator[Message]:
        """Yields the lists of all symbols, and fills `known` with them."""
        for request in symbols.lists(login):
            answer = await self._link.one(login, request)
            known.learn_all(answer.message)
            yield Message(REFERENCE, answer.body, _now())
        for details in symbols.details(login, known.all()):
            answer = await self._link.one(login, details)
            known.learn_all(answer.message)
            yield Message(REFERENCE, answer.body, _now())

    async def _missed(self, login: int, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        trader = await self._link.one(login, api.ProtoOATraderReq(ctidTraderAccountId=login))
        yield Message(REFERENCE, trader.body, _now())
        last = history.now_ms()
        for name in _LISTS:
            cursor = cursors.get(f"{name}/{login}", "")
            first = max(int(cursor) - _OVERLAP, 0) if cursor.isdigit() else _registered(trader.message)
            async for page in history.pages(self._link, login, name, min(first, last), last):
                yield Message(page_channel(name, login, page.last), page.answer.body, _now())

    async def _whole(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        """Yields the three answers about each account, after every event that came before them. An account on which
        something was executed meanwhile is asked again."""
        for login in logins:
            if not self._may_read(login):
                continue
            answers = await self._undisturbed(login)
            for message in self._waiting():
                yield message
            for answer in answers:
                yield Message(SNAPSHOT, answer.body, _now())

    async def _undisturbed(self, login: int) -> list[Answer]:
        answers: list[Answer] = []
        for _ in range(_TRIES):
            before = self._executed[login]
            answers = [answered(each) for each in await self._link.ask(login, accounts.questions(login))]
            if self._executed[login] == before:
                break
        return answers

    async def _join_all(self, session: Session) -> None:
        """Authorises the accounts. One that the venue refuses does not keep the others from being read. Raises
        Unavailable when there is none."""
        refused = Unavailable("No trader has granted access.", remedy="docs/ctrader.md says how they do.")
        for login in sorted(self._grants.accounts()):
            try:
                await self._join(session, login)
            except Unavailable as exc:
                refused = exc
        if not self._joined:
            raise refused

    async def _join(self, session: Session, login: int) -> None:
        """Raises Unavailable, and NotFound for an account whose grant was taken out of the file."""
        try:
            await self._link.renew(login)
        except Unavailable as exc:
            if not session.closed.is_set():
                self._cannot_read(login, exc)
            raise
        self._joined.add(login)

    def _cannot_read(self, login: int, refused: Unavailable) -> None:
        self._joined.discard(login)
        _log.warning("an account cannot be read", platform=self.name, account=login, why=refused.message)

    async def _watch(self, login: int, stream: _Stream) -> AsyncIterator[Message]:
        """Subscribes. For an account that the venue refuses since it was read, it yields that its figures are not
        certain any more."""
        try:
            await self._subscribe(login, stream)
        except Unavailable as exc:
            session = stream.session
            if session.closed.is_set() or login == stream.quotes_from or login in session.authorised:
                raise
            self._cannot_read(login, exc)
            yield Message(refused_channel(login), b"", _now())

    async def _subscribe(self, login: int, stream: _Stream) -> None:
        """To the worth of the account and, if prices are read through it, to those."""
        await self._link.one(login, api.ProtoOAv1PnLChangeSubscribeReq(ctidTraderAccountId=login))
        if login == stream.quotes_from and stream.symbols:
            await self._subscribe_prices(login, stream.symbols)

    async def _subscribe_prices(self, login: int, wanted: list[int]) -> None:
        request = api.ProtoOASubscribeSpotsReq(
            ctidTraderAccountId=login, symbolId=wanted, subscribeToSpotTimestamp=True
        )
        await self._link.one(login, request)

    # the stream

    def _arrived(self, body: bytes, message: Wire | None) -> None:
        if self._reading:
            self._events.put_nowait((_now(), body))
            if isinstance(message, api.ProtoOAExecutionEvent):
                self._executed[message.ctidTraderAccountId] += 1
            elif isinstance(message, _DEMANDS):
                self._demands.append(message)

    def _waiting(self) -> Iterable[Message]:
        while not self._events.empty():
            at, body = self._events.get_nowait()
            yield Message(LIVE, body, at)

    async def _live(self, stream: _Stream) -> AsyncIterator[Message]:
        clock = asyncio.get_running_loop().time
        looked = clock()
        while True:
            found = await self._next(stream.session)
            if found is None:
                answer = await self._link.anonymous(api.ProtoOAVersionReq())
                found = Message(LIVE, answer.body, _now())
            yield found
            while self._demands:
                async for message in self._meet(self._demands.pop(0), stream):
                    yield message
            if clock() - looked >= self._look_again:
                looked = clock()
                async for message in self._again(sorted(self._grants.accounts().keys() - self._joined), stream):
                    yield message

    async def _next(self, session: Session) -> Message | None:
        """Returns the next event; None after a silence. Raises Unavailable when the connection has ended."""
        getting = asyncio.ensure_future(self._events.get())
        ended = asyncio.ensure_future(session.closed.wait())
        try:
            await asyncio.wait((getting, ended), timeout=_SILENCE, return_when=asyncio.FIRST_COMPLETED)
            if getting.done():
                at, body = getting.result()
                return Message(LIVE, body, at)
            if ended.done():
                raise Unavailable(f"{WHO} closed the connection.")
            return None
        finally:
            getting.cancel()
            ended.cancel()

    async def _meet(self, event: Wire, stream: _Stream) -> AsyncIterator[Message]:
        """Does what an event asks of this connection, and yields what is read for it."""
        if isinstance(event, api.ProtoOASymbolChangedEvent):
            known = Symbols()
            async for message in self._reference(stream.quotes_from, known):
                yield message
            new = [each for each in known.wanted(self._settings.wanted_symbols) if each not in stream.symbols]
            if new:
                stream.symbols.extend(new)
                await self._subscribe_prices(stream.quotes_from, new)
        elif isinstance(event, api.ProtoOAAccountsTokenInvalidatedEvent):
            async for message in self._again(list(event.ctidTraderAccountIds), stream):
                yield message
        elif isinstance(event, api.ProtoOAAccountDisconnectEvent):
            async for message in self._again([event.ctidTraderAccountId], stream):
                yield message
        elif isinstance(event, api.ProtoOAClientDisconnectEvent):
            raise Unavailable(f"{WHO} ended the connection of the application.")

    async def _again(self, logins: Iterable[int], stream: _Stream) -> AsyncIterator[Message]:
        """Authorises accounts again whose sessions the venue ended, for example because another process renewed their
        token, and accounts that have a grant since. Yields what happened on them meanwhile. For an account that the
        venue refuses it yields that its figures are not certain any more."""
        since = str(history.now_ms())
        for login in logins:
            if login not in self._grants.accounts():
                continue
            was_read = login in self._joined
            try:
                await self._join(stream.session, login)
            except Unavailable:
                if stream.session.closed.is_set() or login == stream.quotes_from:
                    raise
                yield Message(refused_channel(login), b"", _now())
                continue
            await self._subscribe(login, stream)
            cursors = {f"{name}/{login}": since for name in _LISTS} if was_read else {}
            async for message in self._missed(login, cursors):
                yield message
            async for message in self._whole([login]):
                yield message


def _now() -> datetime:
    return datetime.now(UTC)


def _registered(message: Any) -> int:
    """Returns when the account was registered, in milliseconds of Unix time; 0 if the venue does not say."""
    return message.trader.registrationTimestamp if isinstance(message, api.ProtoOATraderRes) else 0
