"""A small HTTP server that answers as a test tells it, in the forms of Stripe's API, and notes every call.

With `upstream` (stripe-mock) it passes each call on first, notes the status, and lays the test's answer over the one
that came back: stripe-mock checks the request, and keeps no state.
"""

import dataclasses
import fnmatch
import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx

KEY = "sk_test_4eC39HqLyjWDarjtT1zdp7dc"
SECRET = "whsec_one0123456789"
Json = dict[str, Any]


@dataclass(frozen=True)
class Call:
    """`given`: the query of a GET, the form of a POST. `status`: of stripe-mock's answer, or of ours."""

    method: str
    path: str
    given: Mapping[str, str]
    headers: Mapping[str, str]
    status: int
    answer: str = ""

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


@dataclass(frozen=True)
class Answer:
    """`cut`: the connection ends without an answer."""

    body: object
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


Scripted = Answer | Json | list[Any] | Callable[[Call], Answer | Json]


@dataclass
class StripeServer:
    """`answers`: "GET /v1/refunds" -> the answer, or a list of answers used up one by one; `*` stands for any id."""

    url: str = ""
    upstream: str | None = None
    answers: dict[str, Scripted] = field(default_factory=dict)
    calls: list[Call] = field(default_factory=list)

    def of(self, pattern: str) -> list[Call]:
        return [call for call in self.calls if fnmatch.fnmatchcase(str(call), pattern)]

    def answer(self, call: Call) -> Answer:
        found = next((value for name, value in self.answers.items() if fnmatch.fnmatchcase(str(call), name)), None)
        if isinstance(found, list):
            found = found.pop(0) if len(found) > 1 else found[0]
        if callable(found):
            found = found(call)
        if found is None:
            return error(404, code="resource_missing")
        return found if isinstance(found, Answer) else Answer(found)


def error(
    status: int, *, type: str = "invalid_request_error", headers: Mapping[str, str] | None = None, **fields: Any
) -> Answer:
    """An error as Stripe writes it. Its message names a person, whom nobody may repeat."""
    body = {"error": {"type": type, "message": "No such thing for jane.doe@example.com", **fields}}
    return Answer(body, status, {"request-id": "req_1", **(headers or {})})


def page(*rows: Any, has_more: bool = False, url: str = "/v1/any") -> Json:
    return {"object": "list", "url": url, "has_more": has_more, "data": list(rows)}


@contextmanager
def serving(upstream: str | None = None) -> Iterator[StripeServer]:
    state = StripeServer(upstream=upstream)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(state))
    state.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield state
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def _handler(state: StripeServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def _serve(self) -> None:
            split = urlsplit(self.path)
            body = self.rfile.read(int(self.headers.get("content-length") or 0)).decode()
            given = dict(parse_qsl(split.query if self.command == "GET" else body, keep_blank_values=True))
            headers = {name.lower(): value for name, value in self.headers.items()}
            call = Call(self.command, split.path, given, headers, 200)
            if state.upstream is None:
                answer = state.answer(call)
                state.calls.append(dataclasses.replace(call, status=answer.status))
            else:
                answer = self._through(call, split.query, body)
            if answer.cut:
                return
            content = json.dumps(answer.body).encode() if not isinstance(answer.body, bytes) else answer.body
            self.send_response(answer.status)
            for name, value in {**answer.headers, "content-length": str(len(content)), "connection": "close"}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)

        def _through(self, call: Call, query: str, body: str) -> Answer:
            names = ("authorization", "content-type", "idempotency-key", "stripe-version", "stripe-account")
            headers = {name: value for name, value in call.headers.items() if name in names}
            url = f"{state.upstream}{call.path}" + (f"?{query}" if query else "")
            with httpx.Client(trust_env=False, timeout=30) as client:
                real = client.request(call.method, url, content=body, headers=headers)
            state.calls.append(dataclasses.replace(call, status=real.status_code, answer=real.text))
            if not real.is_success:
                return Answer(real.content, real.status_code)
            scripted = next((v for name, v in state.answers.items() if fnmatch.fnmatchcase(str(call), name)), {})
            return Answer(_over(real.json(), scripted))

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, *args: Any) -> None:
            """Says nothing."""

    return Handler


def _over(below: Any, above: Any) -> Any:
    """`above` laid over `below`, objects field by field."""
    if isinstance(below, dict) and isinstance(above, dict):
        return {**below, **{name: _over(below.get(name), value) for name, value in above.items()}}
    return above
