"""A recorded wire as a gateway reads it: the messages over a socket, the decoder of the real adapter."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Final

from cli.bench.wires.recorded import Header, frames
from cli.chaos.venue.command import KINDS
from cli.chaos.venue.kinds import feed_of
from domain.errors import Unavailable
from ports.platform import SymbolSpec
from ports.venue import Decoder, Fact, Halt, Message

END: Final = "END"  # the symbol whose halt follows the last message
_CHUNK: Final = 1 << 16


class WireFeed:
    """`header`: of the recording that is sent on `port`."""

    def __init__(self, header: Header, port: int) -> None:
        self.name, self._port, self._left = header.adapter, port, header.live
        self._specs = [SymbolSpec.model_validate(each) for each in header.specs]
        self._real = feed_of(KINDS[header.adapter], header.fields)
        self._before = header.before

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        writer = None
        count = 0
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
            rest = b""
            while chunk := await reader.read(_CHUNK):
                found, rest = frames(rest + chunk)
                for message in found:
                    yield message
                count += len(found)
                if found and count == self._before + self._left:
                    yield found[-1]._replace(channel=END, body=b"")
        except OSError as exc:
            raise Unavailable(f"The recorded wire cannot be read: {exc}.") from exc
        finally:
            if writer is not None:
                writer.close()

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        for _ in ():
            yield Message("", b"", _)

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        for _ in ():
            yield Message("", b"", _)

    def decoder(self) -> Decoder:
        return _Decoder(self._real.decoder())

    async def symbols(self) -> list[SymbolSpec]:
        return self._specs

    async def aclose(self) -> None:
        await self._real.aclose()


class _Decoder:
    def __init__(self, real: Decoder) -> None:
        self._real = real

    def facts(self, message: Message) -> Iterable[Fact]:
        return (Halt(END, True, None),) if message.channel == END else self._real.facts(message)
