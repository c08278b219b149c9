"""The form of the messages on the wire: four bytes of length, most significant first, and a ProtoMessage."""

import asyncio
import struct
from dataclasses import dataclass
from typing import Final, TypeVar

from google.protobuf.message import DecodeError, Message

from ports.venue import Unreadable
from wire.ctrader.kinds import KINDS, number_of
from wire.ctrader.OpenApiCommonMessages_pb2 import ProtoMessage

_LENGTH: Final = struct.Struct(">I")
_LONGEST: Final = 64 * 1024 * 1024  # bytes; a longer frame is a length that was read at the wrong place
M = TypeVar("M", bound=Message)


class FrameTooLong(Exception):
    """The length of a frame cannot be right: nothing after it can be read."""


@dataclass(frozen=True)
class Envelope:
    """A message with the id that the request it answers was sent under; empty for an event."""

    message: Message
    client_id: str


def packed(message: Message, client_id: str) -> bytes:
    """Returns the frame of a request."""
    body = ProtoMessage(
        payloadType=number_of(type(message)), payload=message.SerializeToString(), clientMsgId=client_id
    ).SerializeToString()
    return _LENGTH.pack(len(body)) + body


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """Returns the body of the next frame. Raises IncompleteReadError at the end of the connection, and FrameTooLong."""
    (length,) = _LENGTH.unpack(await reader.readexactly(_LENGTH.size))
    if length > _LONGEST:
        raise FrameTooLong
    return await reader.readexactly(length)


def client_id_of(body: bytes) -> str:
    """Returns the id of a frame whose payload may be unreadable; empty if there is none."""
    envelope = ProtoMessage()
    try:
        envelope.ParseFromString(body)
    except DecodeError:
        return ""
    return envelope.clientMsgId


def unpacked(body: bytes) -> Envelope:
    """Returns the message in the body of a frame. Raises Unreadable for an unknown kind, for bytes that are no message,
    and for a message without a field that its description requires; an unknown value of such a field counts as none."""
    envelope = ProtoMessage()
    try:
        envelope.ParseFromString(body)
    except DecodeError:
        raise Unreadable("a frame is no ProtoMessage") from None
    if not envelope.IsInitialized() or envelope.payloadType not in KINDS:
        raise Unreadable(f"payloadType {envelope.payloadType} is unknown")
    kind = KINDS[envelope.payloadType]
    message = kind()
    try:
        message.ParseFromString(envelope.payload)
    except DecodeError:
        raise Unreadable(f"the payload is no {kind.DESCRIPTOR.name}") from None
    if not message.IsInitialized():
        raise Unreadable(f"{kind.DESCRIPTOR.name} lacks a required field, or has a value there that is unknown")
    return Envelope(message, envelope.clientMsgId)


def expect(message: Message, kind: type[M]) -> M:
    """Returns the message as one of this kind. Raises Unreadable."""
    if not isinstance(message, kind):
        raise Unreadable(f"{message.DESCRIPTOR.name} came instead of {kind.DESCRIPTOR.name}")
    return message
