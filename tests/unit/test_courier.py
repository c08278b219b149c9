"""Quotes and fills of the fake Tradovate reach the firm in one order, though they go over two sockets."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from sandbox.tradovate.courier import Courier

_START = datetime(2026, 3, 6, 12, tzinfo=UTC)


def _at(seconds: float) -> datetime:
    return _START + timedelta(seconds=seconds)


class _Firm:
    """The sockets and the gateway: notes what is sent and what is waited for. `reacts`: what the firm does at the venue
    the first time that it stores something."""

    def __init__(self) -> None:
        self.log: list[Any] = []
        self.reacts: Callable[[], None] | None = None

    def send_quotes(self, quotes: list[dict[str, Any]]) -> None:
        self.log.append([quote["id"] for quote in quotes])

    def send_changes(self, changes: list[Any]) -> None:
        self.log.append(changes[0])

    def send_clock(self, at: datetime, speed: int) -> None:
        self.log.append(("clock", at, speed))

    async def read(self, at: datetime, remind: Callable[[], None]) -> None:
        self.log.append(("read", at))

    async def stored(self, at: datetime, remind: Callable[[], None]) -> None:
        self.log.append(("stored", at))
        if self.reacts is not None:
            self.reacts()
            self.reacts = None


def _courier(firm: _Firm) -> Courier:
    return Courier(cast(Any, firm), cast(Any, firm))


async def test_the_other_socket_is_used_only_when_the_firm_has_read_the_first() -> None:
    firm = _Firm()
    courier = _courier(firm)
    courier.keep_quote(_at(1), {"id": 1})
    courier.keep_quote(_at(2), {"id": 2})
    courier.keep_changes(_at(2), cast(Any, ["fill"]))
    courier.keep_quote(_at(3), {"id": 3})
    await courier.send()
    after_fill = _at(2) + timedelta(milliseconds=1)
    assert firm.log == [[1, 2], ("read", _at(2)), "fill", ("clock", after_fill, 100), ("read", after_fill), [3]]


async def test_the_clock_stands_until_what_the_firm_does_about_it_is_told_too() -> None:
    firm = _Firm()
    courier = _courier(firm)
    firm.reacts = lambda: courier.keep_changes(_at(5), cast(Any, ["lock"]))
    await courier.stand(_at(5))
    stands = [("clock", _at(5), 0), ("stored", _at(5))]
    assert firm.log == [*stands, "lock", *stands]
