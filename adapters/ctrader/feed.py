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
from adapters.ctrader.arrivals import Arrivals
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
from domain.errors import NotFound, Unavailable
from ports.platform import SymbolSpec
from ports.venue import Decoder, Message
from wire.ctrader import OpenApiMessages_pb2 as api
from wire.ctrader.OpenApiModelMessages_pb2 import DEPOSIT_WITHDRAW

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
# What changes an account so that answers about it from before are no longer true.
_CHANGES: Final = (api.ProtoOAExecutionEvent, api.ProtoOATrailingSLChangedEvent, api.ProtoOATraderUpdatedEvent)
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
        self._events = Arrivals()
        self._demands: list[Wire] = []  # events that ask something of this connection
        self._changed: Counter[int] = Counter()  # changes that arrived, by account
        self._executed: Counter[int] = Counter()  # the executions among them
        self._asking: dict[int, asyncio.Task[None]] = {}  # by account: asks what its positions are worth
        self._joined: set[int] = set()  # accounts that are authorised
        self._reading = False

    def decoder(self) -> Decoder:
        return CTraderDecoder()

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        await self._link.aclose()
        self._events, self._demands, self._joined = Arrivals(), [], set()
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
            asking = list(self._asking.values())
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
            self._asking.clear()

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
        """Yields what the lists have since the cursors.

        Deals are asked for before orders and told after them: the order of a listed deal is known, also when it was
        placed and filled meanwhile. Events that have arrived come before the deals, because they say more of the same
        deal than the list: the stops of its position, and that the broker closed it."""
        trader = await self._link.one(login, api.ProtoOATraderReq(ctidTraderAccountId=login))
        yield Message(REFERENCE, trader.body, _now())
        last = history.now_ms()
        first = {name: min(_first(cursors.get(f"{name}/{login}", ""), trader.message), last) for name in _LISTS}
        async for page in history.pages(self._link, login, "cash", first["cash"], last):
            yield _of_page(page, login)
        deals = [page async for page in history.pages(self._link, login, "deals", first["deals"], last)]
        since, now = min(first["orders"], first["deals"]), max(history.now_ms(), last)
        orders = [page async for page in history.pages(self._link, login, "orders", since, now)]
        for page in orders:
            yield _of_page(page, login)
        for page in await history.unlisted_orders(self._link, login, [*deals, *orders]):
            yield Message(REFERENCE, page.answer.body, _now())
        for message in self._events.take_of(login):
            yield message
        for page in deals:
            yield _of_page(page, login)

    async def _whole(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        """Yields the three answers about each account, after every event that came before them. An account that
        changed meanwhile is asked again."""
        for login in logins:
            if not self._may_read(login):
                continue
            answers = await self._undisturbed(login)
            earlier = self._events.take_all()  # at once: an event that comes from now on is told after the answers
            for message in earlier:
                yield message
            for answer in answers:
                yield Message(SNAPSHOT, answer.body, _now())

    async def _undisturbed(self, login: int) -> list[Answer]:
        answers: list[Answer] = []
        for _ in range(_TRIES):
            before = self._changed[login]
            answers = [answered(each) for each in await self._link.ask(login, accounts.questions(login))]
            if self._changed[login] == before:
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
        if not self._reading:
            return
        login = getattr(message, "ctidTraderAccountId", 0)
        self._events.add(login, Message(LIVE, body, _now()))
        if isinstance(message, _CHANGES):
            self._changed[login] += 1
        if isinstance(message, api.ProtoOAExecutionEvent):
            self._executed[login] += 1
            if _moves_balance(message) and login not in self._asking:
                self._asking[login] = asyncio.create_task(self._ask_worth(login))
        elif isinstance(message, _DEMANDS):
            self._demands.append(message)

    async def _ask_worth(self, login: int) -> None:
        """Puts what the positions are worth now among the events: a change of worth that arrives after a position was
        closed may have been computed before. Asks until nothing was executed meanwhile. When the venue does not answer,
        the next comparison of the account asks."""
        request = api.ProtoOAGetPositionUnrealizedPnLReq(ctidTraderAccountId=login)
        before = -1
        try:
            while self._executed[login] != before:
                before = self._executed[login]
                answer = await self._link.one(login, request)
            self._events.add(login, Message(LIVE, answer.body, _now()))
        except (Unavailable, NotFound) as exc:
            _log.info("not known yet what positions are worth", platform=self.name, account=login, why=exc.message)
        finally:
            self._asking.pop(login, None)

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
        found = await self._events.next(session.closed, _SILENCE)
        if found is None and session.closed.is_set():
            raise Unavailable(f"{WHO} closed the connection.")
        return found

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


def _of_page(page: history.Page, login: int) -> Message:
    return Message(page_channel(page.list, login, page.last), page.answer.body, _now())


def _moves_balance(event: api.ProtoOAExecutionEvent) -> bool:
    return event.executionType == DEPOSIT_WITHDRAW or event.deal.HasField("closePositionDetail")


def _first(cursor: str, trader: Any) -> int:
    """Returns from when on a list is asked for."""
    return max(int(cursor) - _OVERLAP, 0) if cursor.isdigit() else _registered(trader)


def _registered(message: Any) -> int:
    """Returns when the account was registered, in milliseconds of Unix time; 0 if the venue does not say."""
    return message.trader.registrationTimestamp if isinstance(message, api.ProtoOATraderRes) else 0
