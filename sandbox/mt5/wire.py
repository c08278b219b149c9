"""HTTP of the fake access server. A session is one TCP connection, as on the real one: connections are kept by hand."""

import asyncio
import contextlib
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final, Literal
from urllib.parse import parse_qsl, urlsplit

_LONGEST_BODY: Final = 1 << 20
_REASONS: Final = {200: "OK", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 413: "Too Large"} | {
    429: "Too Many Requests",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


@dataclass(eq=False)
class Session:
    """One connection. `manager`: the login that is signed in on it, 0 if nobody. `results`: the results of dealer
    requests sent over it; another connection cannot read them."""

    manager: int = 0
    claimed: int = 0
    srv_rand: bytes = b""
    results: dict[int, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True)
class Reply:
    """`end`: how it is sent. whole: as it should be. nothing: the connection closes without an answer. stall: the
    answer begins and does not go on."""

    status: int
    body: bytes
    end: Literal["whole", "nothing", "stall"] = "whole"
    content_type: str = "application/json"


Answer = Callable[[Request, Session], Awaitable[Reply]]


async def serve(
    host: str, port: int, answer: Answer, idle_seconds: float, tls: ssl.SSLContext | None = None
) -> asyncio.Server:
    """Returns a server that is listening. `idle_seconds`: after which a silent connection is closed."""

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session()
        try:
            while True:
                async with asyncio.timeout(idle_seconds):
                    request = await _read(reader)
                if not request:
                    break
                reply = await answer(request, session)
                if not await _send(reader, writer, reply):
                    break
        except (OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, TimeoutError):
            pass  # the caller is gone, or speaks no HTTP
        except asyncio.CancelledError:
            pass  # the server ends; asyncio would report a cancelled connection as an error
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    return await asyncio.start_server(connection, host, port, ssl=tls)


async def _read(reader: asyncio.StreamReader) -> Request | None:
    """Returns the next request; None at the end of the connection. Raises ValueError for what is no HTTP."""
    head = await reader.readuntil(b"\r\n\r\n") if not reader.at_eof() else b""
    if not head:
        return None
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers = {
        name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)
    }
    length = int(headers.get("content-length") or 0)
    if length > _LONGEST_BODY:
        raise ValueError("the body is too large")
    address = urlsplit(target)
    query = dict(parse_qsl(address.query, keep_blank_values=True))
    return Request(method, address.path, query, headers, await reader.readexactly(length))


async def _send(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, reply: Reply) -> bool:
    """Returns whether the connection goes on."""
    if reply.end == "nothing":
        return False
    stalls = reply.end == "stall"
    length = len(reply.body) + 100 if stalls else len(reply.body)
    head = (
        f"HTTP/1.1 {reply.status} {_REASONS.get(reply.status, 'Status')}\r\n"
        f"Content-Type: {reply.content_type}\r\nContent-Length: {length}\r\nConnection: keep-alive\r\n\r\n"
    )
    writer.write(head.encode() + reply.body)
    await writer.drain()
    if stalls:
        await reader.read(1)  # until the caller gives up
    return not stalls
