"""The kinds of messages by the number that a ProtoMessage carries for them."""

from collections.abc import Iterator
from typing import Final

from google.protobuf.descriptor import FileDescriptor
from google.protobuf.message import Message
from google.protobuf.message_factory import GetMessageClass

from wire.ctrader import OpenApiCommonMessages_pb2, OpenApiMessages_pb2


def _kinds(file: FileDescriptor) -> Iterator[tuple[int, type[Message]]]:
    for kind in file.message_types_by_name.values():
        number = kind.fields_by_name.get("payloadType")
        if number is not None and number.has_default_value:
            yield number.default_value, GetMessageClass(kind)


KINDS: Final[dict[int, type[Message]]] = dict(
    (*_kinds(OpenApiCommonMessages_pb2.DESCRIPTOR), *_kinds(OpenApiMessages_pb2.DESCRIPTOR))
)


_BY_NAME: Final[dict[str, type[Message]]] = {kind.DESCRIPTOR.name: kind for kind in KINDS.values()}


def answer_to(request: type[Message]) -> type[Message] | None:
    """Returns the kind of the answer to a kind of request; None for one that events answer."""
    return _BY_NAME.get(request.DESCRIPTOR.name.removesuffix("Req") + "Res")


def number_of(kind: type[Message]) -> int:
    """Returns the number of a kind of message. Raises KeyError for one that has none."""
    number: int = kind.DESCRIPTOR.fields_by_name["payloadType"].default_value
    return number
