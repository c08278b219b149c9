"""Faults of the fake's wire, switched on by kind for each call, and one layer of the server that makes them happen."""

import json
import re
from collections import Counter
from collections.abc import Mapping
from typing import Any, Final, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from sandbox.zones import in_other_zone

CallFault = Literal[
    "cut_before",  # the connection breaks, nothing happened
    "cut_after",  # the effect happened, the connection breaks
    "held_before",  # no answer until the caller hangs up, nothing happened
    "held_after",  # the effect happened, no answer until the caller hangs up
    "failed_before",  # 500, nothing happened
    "failed_after",  # 500 in the words of a proxy, the effect happened
    "half_body",  # 200 with half a document, the effect happened
    "too_many",
    "busy",
    "refused",
    "error_in_200",  # nothing happened, and the status is 200
    "token_expired",
    "wrong_type",  # numbers of the answer are texts that are no numbers
    "unknown_field",
    "unknown_enum",
]
PushFault = Literal[
    "duplicate",
    "reorder",
    "delay",
    "drop",
    "cut",
    "garbage",
    "wrong_type",
    "unknown_field",
    "unknown_type",
    "other_zone",  # the same instants, written in another zone
    "unknown_login",  # the message again, of an account that nobody knows
    "zero_price",  # before the message one with quotes of nothing
    "negative_price",
]
# What a message must hold that a fault can befall.
_ONLY: Final[dict[str, str]] = {
    "other_zone": r'Time": "2',
    "unknown_login": r'"account": "default:',
    "zero_price": '"eventsType": "Quote"',
    "negative_price": '"eventsType": "Quote"',
}
_PRICES: Final[dict[str, float]] = {"zero_price": 0.0, "negative_price": -1.5}
_BEFORE: Final = frozenset(
    {"cut_before", "held_before", "failed_before", "too_many", "busy", "refused", "error_in_200", "token_expired"}
)
_JSON: Final = [(b"content-type", b"application/json")]


class CallSwitch(BaseModel):
    """`match`: a regular expression for "METHOD /path body". `times`: how often it happens. `skip`: how many
    such calls go well before. `pause`: seconds that `too_many` asks for."""

    model_config = ConfigDict(extra="forbid")

    kind: CallFault
    match: str = ""
    times: int = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    pause: int = Field(default=1, ge=0)


class PushSwitch(BaseModel):
    """`match`: a regular expression for the text of the message. `skip`: how many such messages go well before.
    `delay`: seconds."""

    model_config = ConfigDict(extra="forbid")

    kind: PushFault
    match: str = ""
    times: int = Field(default=1, ge=1)
    skip: int = Field(default=0, ge=0)
    delay: float = Field(default=0.2, ge=0, le=120)


class Faults(BaseModel):
    """The faults that are switched on. `uses` counts those that happened, by kind."""

    model_config = ConfigDict(extra="forbid")

    calls: list[CallSwitch] = []
    pushes: list[PushSwitch] = []
    _uses: Counter[str] = PrivateAttr(default_factory=Counter)

    @property
    def uses(self) -> Counter[str]:
        return self._uses

    def counted_since(self, earlier: "Faults") -> "Faults":
        """Returns these faults with the uses of the earlier ones."""
        self._uses = earlier.uses
        return self

    def of_call(self, text: str) -> CallSwitch | None:
        """Returns the fault of this call, and counts it down."""
        switch = _take(self.calls, text)
        if switch is not None:
            self._uses[switch.kind] += 1
        return switch

    def of_push(self, text: str) -> PushSwitch | None:
        """Returns the fault of this message, and counts it down."""
        switch = _take(self.pushes, text)
        if switch is not None:
            self._uses[f"push_{switch.kind}"] += 1
        return switch


_Switch = TypeVar("_Switch", CallSwitch, PushSwitch)


def _take(switches: list[_Switch], text: str) -> _Switch | None:
    for switch in switches:
        if re.search(switch.match, text) and re.search(_ONLY.get(switch.kind, ""), text):
            if switch.skip:
                switch.skip -= 1
                continue
            switch.times -= 1
            if switch.times == 0:
                switches.remove(switch)
            return switch
    return None


class FaultLayer:
    """ASGI middleware: a call that a switch names goes wrong. The control interface and sockets are not touched."""

    def __init__(self, app: ASGIApp, holder: "HasFaults") -> None:
        self._app, self._holder = app, holder

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"].startswith("/control"):
            await self._app(scope, receive, send)
            return
        body = await _body(receive)
        path = f"{scope['path']}?{scope['query_string'].decode()}"
        fault = self._holder.faults.of_call(f"{scope['method']} {path} {body.decode(errors='replace')}")
        if fault is not None and fault.kind in _BEFORE:
            await _before(fault, receive, send)
            return
        answer = _Answer()
        await self._app(scope, _again(body, receive), answer.take)
        await _after(None if fault is None else fault.kind, answer, receive, send)


class HasFaults(Protocol):
    """What the layer reads its switches from."""

    faults: Faults


class _Answer:
    """The answer of the application, held back."""

    def __init__(self) -> None:
        self.status, self.headers, self.body = 500, list[tuple[bytes, bytes]](), b""

    async def take(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status, self.headers = message["status"], list(message["headers"])
        else:
            self.body += message.get("body", b"")


async def _body(receive: Receive) -> bytes:
    parts = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if not message.get("more_body"):
            return b"".join(parts)


def _again(body: bytes, receive: Receive) -> Receive:
    sent = False

    async def once() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return once


async def _before(switch: CallSwitch, receive: Receive, send: Send) -> None:
    fault = switch.kind
    if fault == "cut_before":
        await _cut(send)
    elif fault == "held_before":
        await _hold(receive)
        await _cut(send)
    elif fault == "too_many":
        await _say(send, 429, b"slow down", [(b"retry-after", str(switch.pause).encode())])
    elif fault == "busy":
        await _say(send, 503, b"down for a moment", [(b"content-type", b"text/plain")])
    elif fault == "failed_before":
        await _say(send, 500, b"<h1>oops</h1>", [(b"content-type", b"text/html")])
    else:
        status = {"refused": 400, "error_in_200": 200, "token_expired": 401}[fault]
        text = "Authorization required" if fault == "token_expired" else "Refused by a fault switch"
        code = 1 if fault == "token_expired" else 30099
        words = {"errorCode": code, "errorMessage": text, "description": text, "error": text}  # the last: Zammad's
        await _say(send, status, json.dumps(words).encode(), _JSON)


async def _after(fault: CallFault | None, answer: _Answer, receive: Receive, send: Send) -> None:
    if fault == "cut_after":
        await _cut(send)
    elif fault == "held_after":
        await _hold(receive)
        await _cut(send)
    elif fault == "failed_after":
        await _say(send, 500, b"<h1>oops</h1>", [(b"content-type", b"text/html")])
    elif fault == "half_body":
        await _say(send, 200, b'{"half": ', _JSON)
    else:
        body = answer.body if fault is None else changed(answer.body, fault)
        kept = [(name, value) for name, value in answer.headers if name != b"content-length"]
        await _say(send, answer.status, body, kept)


def changed(body: bytes, fault: str) -> bytes:
    """Returns a JSON document with wrong types, a field that nobody knows or a word that nobody knows."""
    try:
        document = json.loads(body)
    except ValueError:
        return body
    return json.dumps(_changed(document, fault)).encode()


def texts(text: str, fault: PushFault) -> tuple[str, ...]:
    """Returns what is sent in place of a message."""
    if fault == "duplicate":
        return (text, text)
    if fault == "cut":
        return (text[: len(text) // 2],)
    if fault == "garbage":
        return ("<html>\x00 no message of the venue",)
    if fault == "unknown_type":
        return (json.dumps({**json.loads(text), "type": "NewsOfNextYear"}),)
    if fault == "other_zone":
        return (in_other_zone(text),)
    if fault == "unknown_login":
        return (_of_stranger(text), text)
    if fault in _PRICES:
        return (_with_prices(text, _PRICES[fault]), text)
    return (changed(text.encode(), fault).decode(),)


def _of_stranger(text: str) -> str:
    """Returns a message with another account in place of each."""
    return re.sub(r'"default:\d+"', '"default:99999999"', text)


def _with_prices(text: str, price: float) -> str:
    """Returns a message with another price in every quote."""
    return re.sub(r'"(bid|ask)": [-0-9.e]+', rf'"\g<1>": {price}', text)


def _changed(value: Any, fault: str) -> Any:
    if isinstance(value, Mapping):
        kept = {name: _changed(item, fault) for name, item in value.items()}
        return {**kept, "fieldOfNextYear": {"a": [1]}} if fault == "unknown_field" else kept
    if isinstance(value, list):
        return [_changed(item, fault) for item in value]
    if fault == "wrong_type" and isinstance(value, int | float) and not isinstance(value, bool):
        return "many"
    if fault == "unknown_enum" and isinstance(value, str) and re.fullmatch(r"[A-Z]+(_[A-Z]+)*", value):
        return f"{value}_OF_NEXT_YEAR"
    return value


async def _say(send: Send, status: int, body: bytes, headers: list[tuple[bytes, bytes]]) -> None:
    length = (b"content-length", str(len(body)).encode())
    await send({"type": "http.response.start", "status": status, "headers": [*headers, length]})
    await send({"type": "http.response.body", "body": body})


async def _cut(send: Send) -> None:
    """Promises a body and does not send it: the server closes the connection."""
    headers = [*_JSON, (b"content-length", b"100")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": b"{", "more_body": True})


async def _hold(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
