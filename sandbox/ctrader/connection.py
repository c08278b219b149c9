"""One connection of a client: frames in and out, what it is authorised for, and the faults of its requests."""

import asyncio
import struct
from contextlib import suppress
from typing import Any, Final

from google.protobuf.message import DecodeError, Message

from sandbox.ctrader.faults import REFUSALS, EventFault, Fault, Faults
from wire.ctrader.kinds import KINDS, number_of
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoErrorRes, ProtoHeartbeatEvent, ProtoMessage
from wire.ctrader.OpenApiMessages_pb2 import ProtoOAErrorRes, ProtoOAVersionRes

_LENGTH: Final = struct.Struct(">I")
_UNKNOWN_FIELD: Final = b"\xfa\x3f\x03new"  # field 1023, a text: a later version of the interface has it
_GARBAGE: Final = b"\xff\xff\xff\xff"
_NO_PAYLOAD_TYPE: Final = 2999  # a kind that no version has
_STRANGER: Final = 99_999_999  # no account has this number
_HEARTBEAT: Final = 10.0
_DYING: Final = 0.2  # seconds without a request after which a dying connection ends


class Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, faults: Faults) -> None:
        self._reader, self._writer, self._faults = reader, writer, faults
        self.application = False
        self.accounts: dict[int, str] = {}  # authorised account -> the token
        self.spots: set[int] = set()
        self.spots_of = 0  # the account that subscribed
        self.worth: set[int] = set()
        self.dying = False
        self._held: bytes | None = None  # an event that waits for the next one
        self._later: set[asyncio.Task[None]] = set()

    async def next(self) -> ProtoMessage | None:
        """Returns the next request; None at the end of the connection. A dying one takes what is there and ends."""
        try:
            async with asyncio.timeout(_DYING if self.dying else None):
                return await self._read()
        except (asyncio.IncompleteReadError, OSError, TimeoutError):
            return None

    async def _read(self) -> ProtoMessage:
        (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
        envelope = ProtoMessage()
        envelope.ParseFromString(await self._reader.readexactly(length))
        return envelope

    # answers

    def answer(self, client_id: str, message: Message, fault: Fault | None = None) -> None:
        """Sends the answer to a request whose effect has happened, or what the fault makes of it."""
        kind = fault.fault if fault else None
        if kind in ("cut_after", "slow"):
            self.dying = self.dying or kind == "cut_after"
            return
        if kind == "failed_after":
            message = ProtoOAErrorRes(errorCode="UNKNOWN_ERROR", description="Something went wrong.")
        if kind == "wrong_type":
            message = ProtoOAVersionRes(version="0")
        payload, number = message.SerializeToString(), number_of(type(message))
        if kind == "garbage":
            payload = _GARBAGE
        if kind == "unknown_field":
            payload += _UNKNOWN_FIELD
        if kind == "unknown_enum":
            number = _NO_PAYLOAD_TYPE
        frame = self._frame(number, payload, client_id)
        if kind == "cut_body":
            self._write(frame[: len(frame) // 2])
            self.dying = True
            return
        self._write(frame)

    def refuse(self, client_id: str, fault: Fault) -> None:
        code = "BLOCKED_PAYLOAD_TYPE" if fault.retry_after else REFUSALS[fault.fault]
        error = ProtoOAErrorRes(errorCode=code, description="Not now.")
        if fault.retry_after:
            error.retryAfter = fault.retry_after
        self.answer(client_id, error)

    def error(self, client_id: str, code: str, description: str = "") -> None:
        self.answer(client_id, ProtoOAErrorRes(errorCode=code, description=description))

    def protocol_error(self, client_id: str, code: str) -> None:
        self.answer(client_id, ProtoErrorRes(errorCode=code))

    # events

    def event(self, message: Message) -> None:
        fault = self._faults.of_event(type(message).DESCRIPTOR.name)
        if fault in ("unknown_login", "zero_price"):
            self._write(self._event_frame(_wrong(message, fault), None))
        frame = self._event_frame(message, fault)
        if fault == "drop":
            return
        if fault == "delay":
            task = asyncio.get_running_loop().create_task(self._delayed(frame))
            self._later.add(task)
            task.add_done_callback(self._later.discard)
            return
        if fault == "reorder":
            self._held, frame = frame, self._held or b""
        elif self._held is not None:
            frame, self._held = frame + self._held, None
        self._write(frame * (2 if fault == "duplicate" else 1))

    def _event_frame(self, message: Message, fault: EventFault | None) -> bytes:
        payload, number = message.SerializeToString(), number_of(type(message))
        if fault == "garbage":
            payload = _GARBAGE
        if fault == "unknown_field":
            payload += _UNKNOWN_FIELD
        if fault == "unknown_enum":
            number = _NO_PAYLOAD_TYPE
        return self._frame(number, payload, "")

    async def _delayed(self, frame: bytes) -> None:
        await asyncio.sleep(self._faults.delay_seconds)
        self._write(frame)

    async def beat(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            self._write(self._frame(number_of(ProtoHeartbeatEvent), b"", ""))

    def raw(self, frame: bytes) -> None:
        self._write(frame)

    async def close(self) -> None:
        for task in self._later:
            task.cancel()
        self._writer.close()
        with suppress(OSError, TimeoutError):
            async with asyncio.timeout(1):
                await asyncio.shield(self._writer.wait_closed())  # two may wait: one that gives up leaves the other

    def _frame(self, number: int, payload: bytes, client_id: str) -> bytes:
        body = ProtoMessage(payloadType=number, payload=payload, clientMsgId=client_id).SerializeToString()
        return _LENGTH.pack(len(body)) + body

    def _write(self, frame: bytes) -> None:
        if not self.dying and not self._writer.is_closing():
            self._writer.write(frame)


def _wrong(message: Message, fault: EventFault) -> Message:
    """Returns the event as one of an account that nobody knows, or with prices of zero."""
    wrong: Any = type(message)()
    wrong.CopyFrom(message)
    if fault == "unknown_login":
        wrong.ctidTraderAccountId = _STRANGER
    else:
        wrong.bid = wrong.ask = 0
    return wrong  # type: ignore[no-any-return]


def request_of(envelope: ProtoMessage) -> Message | None:
    """Returns the message of a request; None for one that cannot be read."""
    kind = KINDS.get(envelope.payloadType)
    if kind is None:
        return None
    message = kind()
    try:
        message.ParseFromString(envelope.payload)
    except DecodeError:
        return None
    return message if message.IsInitialized() else None
