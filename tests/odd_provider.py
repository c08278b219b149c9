"""A payment provider behind real HTTP that answers whatever it is told to, to whoever asks for its events."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

Answer = tuple[int, bytes]


def told(*events: Any) -> Answer:
    """A list of events as providers answer it."""
    return 200, json.dumps(events).encode()


def an_event(
    event_id: Any = "ev_1", kind: Any = "checkout.paid", object_id: Any = "co_1", **more: Any
) -> dict[str, Any]:
    return {"event_id": event_id, "kind": kind, "object_id": object_id, "created_at": "2014-05-02T21:00:00Z", **more}


class OddProvider:
    """`answers` are given one after the other, the last one again and again; `asked` is where each question began."""

    def __init__(self) -> None:
        self.answers: list[Answer] = [told()]
        self.asked: list[str | None] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query)
                outer.asked.append(query["after"][0] if "after" in query else None)
                status, body = outer.answers.pop(0) if len(outer.answers) > 1 else outer.answers[0]
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                """Quiet."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"


@contextmanager
def odd_provider() -> Iterator[OddProvider]:
    provider = OddProvider()
    thread = threading.Thread(target=provider.server.serve_forever, daemon=True)
    thread.start()
    try:
        yield provider
    finally:
        provider.server.shutdown()
        provider.server.server_close()
        thread.join()
