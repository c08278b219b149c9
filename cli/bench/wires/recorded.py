"""A recorded wire as a file: a header, the messages until the feed had caught up, and those that came live."""

import json
import struct
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from ports.venue import Message

_HEAD: Final = struct.Struct(">dHI")  # time of receipt, length of the channel's name, length of the body
_LENGTH: Final = struct.Struct(">II")  # of the header, and of what came before it was live


@dataclass(frozen=True)
class Header:
    """`fields`: of the adapter's settings. `specs`, `accounts`: symbols and snapshots, as JSON. `before`, `live`: the
    number of messages of each part."""

    adapter: str
    fields: dict[str, str]
    specs: list[dict[str, Any]]
    accounts: list[dict[str, Any]]
    before: int
    live: int


def frame(message: Message) -> bytes:
    channel = message.channel.encode()
    head = _HEAD.pack(message.received_at.timestamp(), len(channel), len(message.body))
    return head + channel + message.body


def frames(data: bytes) -> tuple[list[Message], bytes]:
    """Returns the messages that are whole in `data`, and the rest of it."""
    found, at = [], 0
    while len(data) - at >= _HEAD.size:
        seconds, channel, body = _HEAD.unpack_from(data, at)
        start = at + _HEAD.size
        if len(data) - start < channel + body:
            break
        name = data[start : start + channel].decode()
        found.append(
            Message(name, data[start + channel : start + channel + body], datetime.fromtimestamp(seconds, UTC))
        )
        at = start + channel + body
    return found, data[at:]


def write(path: Path, header: Header, before: Sequence[Message], live: Sequence[Message]) -> None:
    head, first = json.dumps(asdict(header)).encode(), b"".join(map(frame, before))
    path.write_bytes(b"".join((_LENGTH.pack(len(head), len(first)), head, first, *map(frame, live))))


def read(path: Path) -> tuple[Header, bytes, bytes]:
    """Returns the header, and the frames of both parts."""
    data = path.read_bytes()
    head, first = _LENGTH.unpack_from(data)
    start = _LENGTH.size + head
    header = Header(**json.loads(data[_LENGTH.size : start]))
    return header, data[start : start + first], data[start + first :]
