"""Faults that the fake produces on request, by kind and by the call that they befall."""

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from sandbox.mt5.wire import Reply, Session

# Without the effect of the call.
Before = Literal["too_many", "busy", "cut_before", "timeout_before", "expired", "error_text"]
# With its effect.
After = Literal["cut_after", "timeout_after", "failed_after", "garbage", "slow", "delay"]
# With its effect, and another answer.
Odd = Literal[
    "wrong_type",
    "unknown_field",
    "unknown_enum",
    "duplicate",
    "reorder",
    "cut_list",
    "unknown_login",
    "zero_price",
    "negative_price",
]
Kind = Before | After | Odd
KINDS: Final = frozenset(get_args(Before) + get_args(After) + get_args(Odd))
_HTML: Final = b"<h1>oops</h1>"


@dataclass
class Fault:
    """`path`: of the calls it befalls; empty: all. `times`: how often; None: until it is taken away. `seconds`: the
    length of a timeout or a delay. `text`: the retcode of `error_text`. `must_show`: an answer that the fault leaves as
    it is does not count."""

    kind: str
    path: str = ""
    times: int | None = 1
    seconds: float = 0
    text: str = "2 Common error"
    must_show: bool = False


@dataclass
class Faults:
    """`uses`: how often each kind really happened."""

    planned: list[Fault] = field(default_factory=list)
    uses: Counter[str] = field(default_factory=Counter)

    def take(self, path: str) -> Fault | None:
        """Returns the fault of this call, and counts it."""
        for fault in self.planned:
            if fault.path in ("", path) and fault.times != 0:
                if fault.times is not None:
                    fault.times -= 1
                self.uses[fault.kind] += 1
                return fault
        return None

    def did_nothing(self, fault: Fault) -> None:
        """The answer was one that this fault leaves as it is: it waits for the next."""
        self.uses[fault.kind] -= 1
        if fault.times is not None:
            fault.times += 1

    async def after(self, fault: Fault, reply: Reply) -> Reply:
        """Returns what becomes of the answer of a call that had its effect."""
        made = await _after(fault, reply)
        if fault.must_show and fault.kind in get_args(Odd) and made.body == reply.body:
            self.did_nothing(fault)
        return made


async def before(fault: Fault, session: Session) -> Reply | None:
    """Returns the answer of a call that has no effect; None when the call goes on."""
    if fault.kind == "too_many":
        return Reply(429, b"slow down", content_type="text/plain")
    if fault.kind == "busy":
        return Reply(503, _HTML, content_type="text/html")
    if fault.kind == "error_text":
        return Reply(200, json.dumps({"retcode": fault.text}).encode())
    if fault.kind == "expired":
        session.manager = 0
        return None
    if fault.kind in ("cut_before", "timeout_before"):
        await asyncio.sleep(fault.seconds)
        return Reply(200, b"", "nothing")
    return None


async def _after(fault: Fault, reply: Reply) -> Reply:
    if fault.kind in ("timeout_after", "delay"):
        await asyncio.sleep(fault.seconds)
    if fault.kind in ("cut_after", "timeout_after"):
        return Reply(200, b"", "nothing")
    if fault.kind == "failed_after":
        return Reply(500, _HTML, content_type="text/html")
    if fault.kind == "garbage":
        return Reply(200, b'{"retcode" : "0 Done", "answer" : {"Log')
    if fault.kind == "slow":
        return Reply(200, b"{", "stall")
    if fault.kind in _CHANGES and reply.status == 200:
        answer = json.loads(reply.body)
        answer["answer"] = _CHANGES[fault.kind](answer.get("answer"))
        return Reply(200, json.dumps(answer).encode())
    return reply


def _each(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any], Any]:
    """Returns a change of every object in an answer."""

    def apply(answer: Any) -> Any:
        if isinstance(answer, list):
            return [change(dict(row)) if isinstance(row, dict) else row for row in answer]
        return change(dict(answer)) if isinstance(answer, dict) else answer

    return apply


def _listed(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    return lambda answer: change(answer) if isinstance(answer, list) else answer


def _wrong_type(row: dict[str, Any]) -> dict[str, Any]:
    for name in ("Login", "Time", "Equity", "Ticket"):
        if name in row:
            return row | {name: {"odd": [name]}}
    return row


def _unknown_enum(row: dict[str, Any]) -> dict[str, Any]:
    return row | {name: "250" for name in ("Action", "Entry", "State", "Type") if name in row}


def _unknown_login(rows: list[Any]) -> list[Any]:
    """Adds a copy of the last row, of a login that nobody knows, under an id of its own."""
    if not rows or not isinstance(rows[-1], dict) or "Login" not in rows[-1]:
        return rows
    return [*rows, rows[-1] | {name: _STRANGER + rows[-1][name] for name in _IDS if rows[-1].get(name)}]


def _priced(price: str) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda row: row | {name: price for name in _PRICES if name in row}


_STRANGER: Final = "99"  # before the figures of a login or an id
_IDS: Final = ("Login", "Deal", "Position", "Order", "PositionID")
_PRICES: Final = ("Price", "PriceOpen", "PriceCurrent", "PriceOrder", "Bid", "Ask")
_CHANGES: Final[dict[str, Callable[[Any], Any]]] = {
    "wrong_type": _each(_wrong_type),
    "unknown_field": _each(lambda row: row | {"FieldOfTomorrow": {"deep": ["1"]}}),
    "unknown_enum": _each(_unknown_enum),
    "duplicate": _listed(lambda rows: [row for each in rows for row in (each, each)]),
    "reorder": _listed(lambda rows: rows[::-1]),
    "unknown_login": _listed(_unknown_login),
    "zero_price": _each(_priced("0")),
    "negative_price": _each(_priced("-1.5")),
    "cut_list": _listed(lambda rows: rows[: len(rows) // 2]),
}
