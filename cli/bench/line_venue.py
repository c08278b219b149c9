"""A venue that speaks lines of JSON over TCP, as the source of the gateway's benchmark: its server, and what a gateway
reads from it.

`python -m cli.bench.line_venue SNAPSHOTS LINES` serves on a free port, which it prints. LINES are what happens at the
venue, a numbered line each; SNAPSHOTS are its accounts. A connection begins with one request. The bench itself sends
the commands `send`, `drop` and `pace`.
"""

import asyncio
import json
import socket
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

from domain.errors import Unavailable
from ports.platform import AccountSnapshot, SymbolSpec
from ports.venue import CaughtUp, Cursor, Decoder, Fact, Fill, Message, Quote, Snapshot, Unreadable

FILL: Final = b'{"is":"fill"'
LIVE: Final = b'{"is":"live"}\n'
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_CHUNK: Final = 1 << 16
_LONGEST_LINE: Final = 1 << 20


def micros(at: datetime) -> int:
    return (at - _EPOCH) // timedelta(microseconds=1)


# the server


class LineVenue:
    """`told`: how many lines have happened."""

    def __init__(self, snapshots: list[bytes], lines: list[bytes]) -> None:
        self._accounts = {json.loads(line)["account"]["login"]: line for line in snapshots}
        self._lines, self._told = lines, 0
        self._streams: list[socket.socket] = []

    def serve(self, connection: socket.socket) -> None:
        with connection.makefile("rb") as requests:
            for request in requests:
                asked = json.loads(request)
                answer = getattr(self, f"_{asked.pop('do')}")(connection, **asked)
                if answer is not None:
                    connection.sendall(json.dumps(answer).encode() + b"\n")

    def _stream(self, connection: socket.socket, after: int | None) -> None:
        """Without `after`: only what happens from now on."""
        if after is not None:
            connection.sendall(b"".join((*self._lines[after : self._told], *self._accounts.values())))
        self._streams.append(connection)  # before it is told: from then on it misses nothing
        connection.sendall(LIVE)

    def _send(self, _: socket.socket, count: int) -> dict[str, float]:
        """Sends the next lines as fast as they are taken; answers when that began."""
        body = b"".join(self._happen(count))
        began = time.time()
        self._to_all(body)
        return {"began": began}

    def _drop(self, _: socket.socket, count: int) -> dict[str, float]:
        """Closes the streams; the next lines happen while nobody listens."""
        self._happen(count)
        began = time.time()
        for stream in self._streams:
            with suppress(OSError):
                stream.shutdown(socket.SHUT_RDWR)
        self._streams.clear()
        return {"began": began}

    def _pace(self, _: socket.socket, count: int, rate: int) -> dict[str, float]:
        """Sends quotes at a steady pace, each with the time at which it is sent."""
        began = time.perf_counter()
        for number in range(count):
            wait = began + number / rate - time.perf_counter()
            if wait > 0:
                time.sleep(wait)
            us = time.time_ns() // 1000
            self._to_all(f'{{"is":"quote","symbol":"EURUSD","bid":"1.08497","ask":"1.08503","us":{us}}}\n'.encode())
        return {"sent": count}

    def _happen(self, count: int) -> list[bytes]:
        """Returns the next lines. What they fill is in the snapshots from now on."""
        lines = self._lines[self._told : self._told + count]
        self._told += count
        for line in lines:
            if line.startswith(FILL):
                self._fill(json.loads(line))
        return lines

    def _fill(self, fill: dict[str, Any]) -> None:
        snapshot = json.loads(self._accounts[fill["login"]])
        held = snapshot["account"]["positions"]
        if fill["entry"] == "in":
            about = {"position_id": fill["position"], "symbol": fill["symbol"], "side": fill["side"]}
            what = {"lots": fill["lots"], "open_price": fill["price"], "opened_at": _at(fill).isoformat()}
            held.append(about | what)
        else:
            held.remove(next(each for each in held if each["position_id"] == fill["position"]))
        self._accounts[fill["login"]] = json.dumps(snapshot).encode() + b"\n"

    def _to_all(self, body: bytes) -> None:
        for stream in tuple(self._streams):
            try:
                stream.sendall(body)
            except OSError:
                self._streams.remove(stream)


def main() -> None:
    venue = LineVenue(*(Path(name).read_bytes().splitlines(keepends=True) for name in sys.argv[1:3]))
    with socket.create_server(("127.0.0.1", 0)) as server:
        print(server.getsockname()[1], flush=True)
        while True:
            connection, _ = server.accept()
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            threading.Thread(target=venue.serve, args=(connection,), daemon=True).start()


# what a gateway reads


class LineFeed:
    name = "line"

    def __init__(self, port: int, specs: list[SymbolSpec]) -> None:
        self._port, self._specs = port, specs

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        writer = None
        try:
            reader, writer = await asyncio.open_connection("127.0.0.1", self._port, limit=_LONGEST_LINE)
            writer.write(json.dumps({"do": "stream", "after": int(cursors.get("told", "0"))}).encode() + b"\n")
            rest = b""
            while chunk := await reader.read(_CHUNK):
                now = datetime.now(UTC)
                *lines, rest = (rest + chunk).split(b"\n")
                for line in lines:
                    yield Message("line", line, now)
        except OSError as exc:
            raise Unavailable(f"The venue of the benchmark cannot be reached: {exc}.") from exc
        finally:
            if writer is not None:
                writer.close()

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        raise Unavailable("The venue of the benchmark does not list fills.")
        yield

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        raise Unavailable("The venue of the benchmark sends no snapshots on request.")
        yield

    def decoder(self) -> Decoder:
        return _Decoder()

    async def symbols(self) -> list[SymbolSpec]:
        return self._specs

    async def aclose(self) -> None:
        return None


class _Decoder:
    def facts(self, message: Message) -> Iterable[Fact]:
        try:
            line = json.loads(message.body)
            kind = line["is"]
            if kind == "quote":
                yield Quote(line["symbol"], Decimal(line["bid"]), Decimal(line["ask"]), _at(line))
            elif kind == "fill":
                yield _fill(line)
            elif kind == "snapshot":
                yield Snapshot(AccountSnapshot.model_validate(line["account"]), _at(line))
            elif kind == "live":
                yield CaughtUp()
            else:
                raise Unreadable(f"is: {kind!r}")
            if "n" in line:
                yield Cursor("told", str(line["n"]))
        except (ValueError, KeyError, TypeError, ArithmeticError) as exc:
            raise Unreadable(f"{type(exc).__name__}: {exc}") from exc


def _at(line: dict[str, Any]) -> datetime:
    return _EPOCH + timedelta(microseconds=line["us"])


def _fill(line: dict[str, Any]) -> Fill:
    return Fill(
        fill_id=line["id"],
        login=line["login"],
        position_id=line["position"],
        symbol=line["symbol"],
        side=line["side"],
        lots=Decimal(line["lots"]),
        price=Decimal(line["price"]),
        entry=line["entry"],
        at=_at(line),
        profit_minor=line["profit"],
    )


if __name__ == "__main__":
    main()
