"""The connection on which a shard acknowledges batches."""

import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import BaseModel, Field

from adapters.own_http import options
from adapters.platforms.ack_line import AckLine
from domain.errors import Unavailable
from ports.stream_http import ACK_PATH, Acknowledgements

HEADERS = {"Authorization": "Bearer t"}


class _Ack(BaseModel):
    number: int = Field(ge=0)


def _take(body: bytes) -> None:
    _Ack.model_validate_json(body)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    calls: list[tuple[str, str, bytes, tuple[str, int]]]
    hangs_up_after = (b"3", b"4")  # without saying so


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.calls.append((self.path, self.headers["Authorization"], body, self.client_address))
        self.send_response(204)
        self.end_headers()
        self.close_connection = body in self.server.hangs_up_after

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@pytest.fixture
def server() -> Iterator[_Server]:
    with _Server(("127.0.0.1", 0), _Handler) as made:
        made.calls = []
        thread = threading.Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def _line(port: int, path: str = "") -> AckLine:
    return AckLine("The venue", f"http://127.0.0.1:{port}{path}", HEADERS, 5.0, ssl.create_default_context())


def test_calls_share_a_connection_and_a_closed_one_is_opened_again(server: _Server) -> None:
    line = _line(server.server_port, "/far/")
    assert [line.send(b"1"), line.send(b"2")] == [None, None]
    assert [call[:3] for call in server.calls] == [(f"/far{ACK_PATH}", "Bearer t", body) for body in (b"1", b"2")]
    assert len({call[3] for call in server.calls}) == 1
    assert [line.send(body) for body in (b"3", b"4", b"5")] == [None, None, None]
    assert [call[2] for call in server.calls] == [b"1", b"2", b"3", b"4", b"5"]
    assert len({call[3] for call in server.calls}) == 3
    line.close()


def test_a_connection_that_was_idle_for_long_is_not_used_again(
    server: _Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is between may have forgotten it without a word: a call on it would wait until it gives up."""
    line = _line(server.server_port)
    assert [line.send(body) for body in (b"1", b"2")] == [None, None]
    monkeypatch.setattr("adapters.platforms.ack_line.IDLE_SECONDS", 0.0)
    assert line.send(b"5") is None
    first, second, third = (call[3] for call in server.calls)
    assert first == second != third
    line.close()


def test_a_server_that_is_away_is_unavailable(server: _Server) -> None:
    line = _line(server.server_port)
    server.server_close()
    with pytest.raises(Unavailable, match="The venue cannot be reached"):
        line.send(b"1")


def test_it_trusts_whom_the_other_calls_trust() -> None:
    made = options("https://venue.example:8443/base", "t", 3.0)
    line = AckLine("x", made["base_url"], made["headers"], made["timeout"], made["verify"])
    connection: Any = line._connection
    assert (connection.host, connection.port, connection.timeout) == ("venue.example", 8443, 3.0)
    assert connection._context is made["verify"]


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b'{"number": 1}', 204, ""),
        (b'{"number": -1}', 422, "number"),
        (b"not json", 422, "body"),
        (b" " * 5000, 413, "longer"),
    ],
)
async def test_an_acknowledgement_is_taken_or_refused_with_its_field(body: bytes, status: int, words: str) -> None:
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    async def routed(*_: Any) -> None:
        sent.append({"routed": True})

    app = Acknowledgements(routed, _take)
    await app({"type": "http", "method": "POST", "path": ACK_PATH}, receive, send)
    assert sent[0]["status"] == status
    assert (words in json.loads(sent[1]["body"])["detail"]) if words else sent[1]["body"] == b""
    sent.clear()
    await app({"type": "http", "method": "GET", "path": ACK_PATH}, receive, send)
    assert sent == [{"routed": True}]
