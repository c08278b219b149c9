"""A receiver of webhooks: a small HTTP server on this machine that answers as told and remembers what came."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Received:
    """One request. `headers` in lower case."""

    headers: dict[str, str]
    body: bytes

    @property
    def webhook_id(self) -> str:
        return self.headers["webhook-id"]


@dataclass
class Receiver:
    """`answer` makes (status, further headers, seconds to wait) of the number of the request, from 1."""

    url: str = ""
    answer: Callable[[int], tuple[int, dict[str, str], float]] = lambda _: (204, {}, 0.0)
    got: list[Received] = field(default_factory=list)

    def says(self, status: int, headers: dict[str, str] | None = None, *, seconds: float = 0.0) -> None:
        self.answer = lambda _: (status, headers or {}, seconds)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")[1:-2]
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head)}
            self.got.append(Received(headers, await reader.readexactly(int(headers["content-length"]))))
            status, more, seconds = self.answer(len(self.got))
            await asyncio.sleep(seconds)
            lines = [f"HTTP/1.1 {status} Said", "Content-Length: 0", "Connection: close"]
            lines += [f"{name}: {value}" for name, value in more.items()]
            writer.write(("\r\n".join(lines) + "\r\n\r\n").encode())
            await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass  # the sender gave up
        finally:
            writer.close()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    server = await asyncio.start_server(receiver.serve, "127.0.0.1", 0)
    receiver.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/hooks"
    try:
        yield receiver
    finally:
        server.close()
