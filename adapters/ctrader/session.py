"""One connection to the Open API: TLS, requests matched with their answers, heartbeats, events."""

import asyncio
import itertools
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, Self, TypeVar

from google.protobuf.message import Message

from adapters.ctrader.config import CTraderSettings
from adapters.ctrader.messages import FrameTooLong, client_id_of, expect, packed, read_frame, unpacked
from adapters.ctrader.refusals import ALREADY_AUTHORISED, Refusal
from domain.errors import Unavailable
from ports.venue import Unreadable
from wire.ctrader.kinds import answer_to
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoErrorRes, ProtoHeartbeatEvent
from wire.ctrader.OpenApiMessages_pb2 import (
    ProtoOAApplicationAuthReq,
    ProtoOAApplicationAuthRes,
    ProtoOAErrorRes,
    ProtoOAExecutionEvent,
    ProtoOAOrderErrorEvent,
)
from wire.ctrader.OpenApiModelMessages_pb2 import ORDER_CANCEL_REJECTED, ORDER_REJECTED

WHO: Final = "cTrader"
_HEARTBEAT: Final = 10.0  # seconds; the venue closes a connection that is silent for 30 (unverified)
_ACCOUNT: Final = "ctidTraderAccountId"
_REJECTED: Final = (ORDER_REJECTED, ORDER_CANCEL_REJECTED)
M = TypeVar("M", bound=Message)


class Lost(Exception):
    """No answer came: the connection broke, or the venue was silent. What was asked may have been done."""


@dataclass(frozen=True)
class Answer:
    """`body`: the frame as it came."""

    message: Message
    body: bytes

    def read(self, kind: type[M]) -> M:
        """Raises Unreadable for an answer of another kind."""
        return expect(self.message, kind)


Outcome = Answer | Refusal | Lost | Unreadable
OnEvent = Callable[[bytes, Message | None], None]


class Session:
    """Use `open`. Everything runs in one event loop. `on_event` gets the body of every frame that answers no request,
    heartbeats excepted, in the order of arrival, and its message; None for one that cannot be read."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, timeout: float, on_event: OnEvent
    ) -> None:
        self._reader, self._writer = reader, writer
        self._timeout, self._on_event = timeout, on_event
        self._ids = itertools.count(1)
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._tasks: tuple[asyncio.Task[None], ...] = ()
        self.closed = asyncio.Event()
        self.authorised: set[int] = set()

    @classmethod
    async def open(cls, settings: CTraderSettings, on_event: OnEvent = lambda *_: None) -> Self:
        """Connects and authorises the application. Raises Unavailable."""
        where = f"{settings.host}:{settings.port}"
        try:
            context = ssl.create_default_context(cafile=settings.ca_file)
            async with asyncio.timeout(settings.timeout):
                reader, writer = await asyncio.open_connection(settings.host, settings.port, ssl=context)
        except ssl.SSLError as exc:
            raise Unavailable(f"The certificate of {WHO} at {where} is refused: {exc.reason}.") from None
        except (OSError, TimeoutError):
            raise Unavailable(f"{WHO} cannot be reached at {where}.") from None
        session = cls(reader, writer, settings.timeout, on_event)
        session._tasks = (asyncio.create_task(session._receive()), asyncio.create_task(session._beat()))
        request = ProtoOAApplicationAuthReq(
            clientId=settings.client_id, clientSecret=settings.client_secret.get_secret_value()
        )
        try:
            (answer,) = await session.ask([request])
            if isinstance(answer, Refusal) and answer.code not in ALREADY_AUTHORISED:
                raise Unavailable(f"{WHO} refuses the application: {answer}.")
            if isinstance(answer, Lost | Unreadable):
                raise Unavailable(f"{WHO} at {where} does not answer.")
            if isinstance(answer, Answer):
                answer.read(ProtoOAApplicationAuthRes)
        except Unreadable:
            await session.close()
            raise Unavailable(f"{WHO} at {where} answers something else.") from None
        except BaseException:
            await session.close()
            raise
        return session

    async def ask(self, requests: Sequence[Message]) -> list[Outcome]:
        """Sends the requests in one write and returns their outcomes in that order. A request without an outcome within
        the timeout is Lost."""
        waiting: list[asyncio.Future[Outcome]] = []
        frames = bytearray()
        names = [str(next(self._ids)) for _ in requests]
        for name, request in zip(names, requests, strict=True):
            self._waiting[name] = asyncio.get_running_loop().create_future()
            waiting.append(self._waiting[name])
            frames += packed(request, name)
        try:
            if self.closed.is_set():
                return [Lost() for _ in requests]
            self._writer.write(bytes(frames))
            await asyncio.wait(waiting, timeout=self._timeout)
            found = [each.result() if each.done() else Lost() for each in waiting]
            return [_fitting(request, each) for request, each in zip(requests, found, strict=True)]
        finally:
            for name in names:
                del self._waiting[name]

    async def close(self) -> None:
        self._end()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await self._writer.wait_closed()

    def _end(self) -> None:
        self.closed.set()
        self._writer.close()
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(Lost())

    async def _receive(self) -> None:
        try:
            while True:
                self._take(await read_frame(self._reader))
        except (asyncio.IncompleteReadError, FrameTooLong, OSError):
            self._end()

    def _take(self, body: bytes) -> None:
        waiting = self._waiting.get(client_id_of(body))
        try:
            message = unpacked(body).message
        except Unreadable as unreadable:
            if waiting is not None and not waiting.done():
                waiting.set_result(unreadable)
            else:
                self._on_event(body, None)
            return
        if isinstance(message, ProtoHeartbeatEvent):
            return
        if waiting is not None and not waiting.done():
            waiting.set_result(_refusal(message) or Answer(message, body))
        if waiting is None or isinstance(message, ProtoOAExecutionEvent):
            self._on_event(body, message)  # the answer to an order is also an event

    async def _beat(self) -> None:
        while not self.closed.is_set():
            await asyncio.sleep(_HEARTBEAT)
            self._writer.write(packed(ProtoHeartbeatEvent(), ""))


def _fitting(request: Message, found: Outcome) -> Outcome:
    """An answer of another kind than the request's, or about another account, is unreadable."""
    kind = answer_to(type(request))
    if not isinstance(found, Answer) or kind is None:
        return found
    name = found.message.DESCRIPTOR.name
    if not isinstance(found.message, kind):
        return Unreadable(f"{name} came instead of {kind.DESCRIPTOR.name}")
    if getattr(found.message, _ACCOUNT, None) != getattr(request, _ACCOUNT, None):
        return Unreadable(f"{name} is about another account")
    return found


def _refusal(message: Message) -> Refusal | None:
    if isinstance(message, ProtoOAErrorRes):
        return Refusal(message.errorCode, message.description, message.retryAfter)
    if isinstance(message, ProtoErrorRes | ProtoOAOrderErrorEvent):
        return Refusal(message.errorCode, message.description)
    if isinstance(message, ProtoOAExecutionEvent) and message.executionType in _REJECTED:
        return Refusal(message.errorCode or "UNABLE_TO_CANCEL_ORDER")
    return None
