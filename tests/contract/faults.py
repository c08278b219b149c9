"""The ways in which a call to the outside goes wrong, and who makes them happen: a proxy for HTTP, a wrapper for fakes.

An answer of `in use`, `refused`, `too many` and `busy` is in the words of the other side: see `Refusals`.
"""

import http.client
import inspect
import json
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import MappingProxyType
from typing import Any, Final, Literal, TypeVar, cast, get_args
from urllib.parse import urlsplit

import pytest

from domain.errors import InProgress, OutcomeUnknown, PropOSError, RefusedForGood, Unavailable

Fault = Literal[
    "in use", "refused", "too many", "busy", "cut before", "cut after", "failed after", "garbage", "slow"
]  # fmt: skip
# What a changing call raises. A call that changes nothing raises Unavailable.
RAISES: Final[Mapping[Fault, type[PropOSError]]] = {
    "in use": InProgress,
    "refused": RefusedForGood,
    "too many": Unavailable,
    "busy": Unavailable,
    "cut before": OutcomeUnknown,
    "cut after": OutcomeUnknown,
    "failed after": OutcomeUnknown,
    "garbage": OutcomeUnknown,
    "slow": OutcomeUnknown,
}
HAPPENS: Final[frozenset[Fault]] = frozenset({"cut after", "failed after", "garbage", "slow"})
READING: Final[tuple[Fault, ...]] = ("too many", "busy", "cut before", "cut after", "failed after", "garbage", "slow")
# Of the adapter that a slow answer is tried on: a busy machine must reach the other side in it. Below the 5 s that the
# fake of Tradovate holds an answer. Each slow case costs this long.
IMPATIENT_SECONDS: Final = 1.5


def check_class(error: PropOSError, expected: type[PropOSError]) -> None:
    """Unavailable says that nothing happened: its two subclasses do not say that."""
    assert isinstance(error, expected), repr(error)
    if expected is Unavailable:
        assert not isinstance(error, InProgress | OutcomeUnknown), repr(error)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs a test of a suite for each call, question and fault of the subclass. A test module imports it as a hook."""
    if "fault" in metafunc.fixturenames:
        faults: tuple[Fault, ...] = READING if "read" in metafunc.fixturenames else get_args(Fault)
        metafunc.parametrize("fault", [each for each in faults if each not in metafunc.cls.impossible])
    for name, names in (("call", "calls"), ("read", "reads")):
        if name in metafunc.fixturenames:
            metafunc.parametrize(name, getattr(metafunc.cls, names) or [pytest.param(None, marks=pytest.mark.no_case)])


class Suite:
    """What a contract suite knows of its subject. `calls`: the changing calls that it has. `reads`: its questions; none
    for a fake, whose faults are only acted. `impossible`: faults that its other side does not have, with the reason."""

    calls: Sequence[str] = ()
    reads: Sequence[str] = ()
    impossible: Mapping[Fault, str] = MappingProxyType({})


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Asked:
    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


Refusals = Mapping[Fault, Callable[[Asked], Answer]]


class FaultProxy:
    """Passes every call on to `upstream`; the next ones of a method go wrong under `failing`."""

    def __init__(self, upstream: str, refusals: Refusals) -> None:
        self._upstream, self._refusals = urlsplit(upstream), refusals
        self._fault: Fault | None = None
        self._method = ""
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def failing(self, fault: Fault, method: str) -> Iterator[None]:
        self._fault, self._method = fault, method
        try:
            yield
        finally:
            self._fault = None

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def fault_of(self, method: str) -> Fault | None:
        return self._fault if method == self._method else None

    def refusal(self, fault: Fault, asked: Asked) -> Answer | None:
        return self._refusals[fault](asked) if fault in self._refusals else None

    def forward(self, asked: Asked) -> Answer:
        connection = http.client.HTTPConnection(self._upstream.hostname or "", self._upstream.port, timeout=60)
        kept = {name: value for name, value in asked.headers.items() if name not in ("host", "connection")}
        try:
            connection.request(asked.method, asked.path, asked.body, kept)
            real = connection.getresponse()
            headers = {name.lower(): value for name, value in real.getheaders()}
            return Answer(real.status, real.read(), headers)
        finally:
            connection.close()


def _handler(proxy: FaultProxy) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            self.close_connection = True
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.command, self.path, headers, body)
            fault = proxy.fault_of(self.command)
            if fault == "cut before":
                return
            answer = proxy.refusal(fault, asked) if fault else None
            answer = answer or proxy.forward(asked)
            if fault == "cut after":
                return
            if fault == "failed after":
                answer = Answer(500, b"<h1>oops</h1>", {"content-type": "text/html"})
            if fault == "garbage":
                answer = Answer(200, b'{"half": ', {"content-type": "application/json"})
            if fault == "slow":
                answer = Answer(200, b"{", {"content-type": "application/json", "content-length": "100"})
            self._send(answer)
            if fault == "slow":
                self.connection.recv(1)  # until the caller gives up

        def _send(self, answer: Answer) -> None:
            self.send_response(answer.status)
            sent = {"content-length": str(len(answer.body)), **_end_to_end(answer.headers), "connection": "close"}
            for name, value in sent.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(answer.body)
            self.wfile.flush()

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler


def _end_to_end(headers: Mapping[str, str]) -> dict[str, str]:
    dropped = ("connection", "transfer-encoding", "keep-alive", "date", "server")
    return {name: value for name, value in headers.items() if name not in dropped}


def problem(status: int, type: str, detail: str = "No.", **more: str) -> Answer:
    """A refusal of the sandbox."""
    body = json.dumps({"type": type, "detail": detail, **more}).encode()
    return Answer(status, body, {"content-type": "application/problem+json"})


def key_of(asked: Asked) -> str:
    """The key of a call to the sandbox: a header of the provider, a field at the venue."""
    if "idempotency-key" in asked.headers:
        return asked.headers["idempotency-key"]
    body = json.loads(asked.body)
    return str(body["key"] if "key" in body else body["locks"][0]["key"])


SANDBOX: Final[Refusals] = {
    "in use": lambda asked: problem(409, "in-progress", "An earlier call under this key is not finished."),
    "refused": lambda asked: problem(409, "refused-for-good", "The group does not exist.", key=key_of(asked)),
    "too many": lambda asked: Answer(429, b"slow down", {"retry-after": "1"}),
    "busy": lambda asked: problem(503, "unavailable", "Down for a moment."),
}

T = TypeVar("T")


def faulty(fake: T, fault: Fault, calls: frozenset[str]) -> T:
    """Returns the fake so that these calls of it end in `fault`."""
    return cast(T, _Faulty(fake, fault, calls))


class _Faulty:
    def __init__(self, fake: object, fault: Fault, calls: frozenset[str]) -> None:
        self._fake, self._fault, self._calls = fake, fault, calls

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._fake, name)
        if name not in self._calls:
            return found
        assert inspect.iscoroutinefunction(found)

        async def call(*args: Any, **kwargs: Any) -> Any:
            if self._fault in HAPPENS:
                await found(*args, **kwargs)
            if self._fault == "refused":
                raise RefusedForGood(str(kwargs.get("key")), "never under this key")
            raise RAISES[self._fault]("injected")

        return call
