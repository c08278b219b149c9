"""Polls an MT5 server for its gateway: the WebAPI pushes nothing.

A round asks for the server's time, the states and positions of all accounts, the deals since the round before, with
some overlap because the server may write a deal down late, and last for the orders. Users are asked for less often.
"""

import asyncio
import re
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

from adapters.mt5 import names, shapes
from adapters.mt5.config import Mt5Settings
from adapters.mt5.decode import DEALS, Mt5Decoder
from adapters.mt5.outcomes import readable
from adapters.mt5.reading import server_seconds_of, symbols_of
from adapters.mt5.session import Session, Sessions, json_of
from domain.errors import NotFound
from ports.platform import SymbolSpec
from ports.venue import Message

OVERLAP: Final = 120  # seconds of server time that are asked for again
_AHEAD: Final = 60  # seconds after the server's time to which deals are asked for
_USERS_SECONDS: Final = 5.0
_LOGINS_AT_ONCE: Final = 200
_MISSING_AT_ONCE: Final = 20
_SECRETS: Final = re.compile(rb'("(?:PhonePassword|OTPSecret)"\s*:\s*)"(?:[^"\\]|\\.)*"')
_DAY: Final = 86_400
_END: Final = timedelta(days=2)


class Mt5Feed:
    """A VenueFeed. `now`: the time of this machine, aware and UTC."""

    def __init__(
        self, name: str, settings: Mt5Settings, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self.name = name
        self._settings, self._now = settings, now
        self._sessions = Sessions(settings)
        self._groups: set[str] = set()  # whose currency the decoder of this connection knows
        self._symbols: list[str] = []
        self._registered = 2**40  # the server's time at which the first account was opened
        self._listed: dict[int, int] = {}  # deals of the last windows on this connection, with seconds of server time

    async def messages(self, cursors: Mapping[str, str]) -> AsyncIterator[Message]:
        self._groups.clear()
        self._listed.clear()
        since = max(0, int(cursors.get(DEALS, "0")) - OVERLAP)
        async with self._sessions.one() as session:
            users_at, caught_up = 0.0, False
            while True:
                began = time.monotonic()
                clock = await self._ask(session, "time", "/api/time/server")
                yield clock
                if began - users_at > _USERS_SECONDS or not caught_up:
                    users_at = began
                    async for message in self._users(session, "users", {"group": self._settings.group_mask}):
                        yield message
                with readable():
                    seconds = server_seconds_of(json_of(clock.body, changing=False))
                if not caught_up:
                    async for message in self._past(session, since, seconds):
                        yield message
                    since = max(since, seconds - _DAY)
                async for message in self._round(session, since, seconds + _AHEAD):
                    yield message
                since = max(0, seconds - OVERLAP)
                if not caught_up:
                    caught_up = True
                    yield await self._ask(session, "caught_up", "/api/test/access")
                await asyncio.sleep(max(0.0, self._settings.poll_seconds - (time.monotonic() - began)))

    async def fills(self, login: int, cursor: str) -> AsyncIterator[Message]:
        """`cursor`: seconds of server time."""
        query: dict[str, str | int] = {"login": login, "from": int(cursor or 0), "to": self._far()}
        pages: list[Message] = []
        offset, more = 0, True
        async with self._sessions.one() as session:
            while more:
                page: dict[str, str | int] = {**query, "offset": offset, "total": names.PAGE}
                pages.append(await self._ask(session, f"fills/{login}", "/api/deal/get_page", page))
                with readable():
                    count = sum(1 for _ in _rows_of(pages[-1]))
                offset, more = offset + count, count == names.PAGE
            yield await self._ask(session, "past_orders", "/api/history/get_batch", query)
        for each in pages:
            yield each

    async def snapshots(self, logins: Iterable[int]) -> AsyncIterator[Message]:
        wanted = list(logins)
        async with self._sessions.one() as session:
            for start in range(0, len(wanted), _LOGINS_AT_ONCE):
                asked: dict[str, str | int] = {"login": ",".join(map(str, wanted[start : start + _LOGINS_AT_ONCE]))}
                async for message in self._users(session, "snapshot/users", asked):
                    yield message
                yield await self._ask(session, "snapshot/accounts", "/api/user/account/get_batch", asked)
                yield await self._ask(session, "snapshot/positions", "/api/position/get_batch", asked)

    def decoder(self) -> Mt5Decoder:
        return Mt5Decoder(self._settings.app_id, self._settings.server_zone)

    async def symbols(self) -> list[SymbolSpec]:
        async with self._sessions.one() as session:
            answer = await session.ask("/api/symbol/get", {"mask": "*"})
        with readable():
            found = symbols_of(answer)
        self._symbols = [each.symbol for each in found]
        return found

    async def aclose(self) -> None:
        await self._sessions.aclose()

    async def _users(self, session: Session, channel: str, query: Mapping[str, str | int]) -> AsyncIterator[Message]:
        """Yields a list of users, and before it each of their groups that was not asked for yet."""
        users = await self._ask(session, channel, "/api/user/get_batch", query)
        self._registered = min([self._registered, *_registered(users)])
        for group in sorted(_groups_of(users) - self._groups):
            yield await self._ask(session, "group", "/api/group/get", {"group": group})
            self._groups.add(group)
        yield users

    async def _past(self, session: Session, since: int, now: int) -> AsyncIterator[Message]:
        """Yields orders and deals from `since` to a day before `now`, a day at a time. Times in seconds of the server.
        Before the first account there is one window, which is empty."""
        if since >= now - _DAY:
            return
        first = max(since, self._registered - _DAY)
        starts = [since, *range(first, now - _DAY, _DAY)] if since < first else range(since, now - _DAY, _DAY)
        for start in starts:
            end = min(first if start < first else start + _DAY, now - _DAY)
            window = {"group": self._settings.group_mask, "from": start, "to": end}
            yield await self._ask(session, "past_orders", "/api/history/get_batch", window)
            yield await self._ask(session, "past_deals", "/api/deal/get_batch", window)

    async def _round(self, session: Session, since: int, until: int) -> AsyncIterator[Message]:
        group: dict[str, str | int] = {"group": self._settings.group_mask}
        window: dict[str, str | int] = {**group, "from": since, "to": until}
        if self._settings.marks == "quotes":
            for start in range(0, len(await self._known_symbols()), names.PAGE):
                some = ",".join(self._symbols[start : start + names.PAGE])
                yield await self._ask(session, "ticks", "/api/tick/last", {"symbol": some, "trans_id": 0})
        yield await self._ask(session, "accounts", "/api/user/account/get_batch", group)
        yield await self._ask(session, "positions", "/api/position/get_batch", group)
        # asked for before the open orders, these before those that ended: the order of a listed deal is in one of them
        deals = await self._ask(session, f"deals/{since}", "/api/deal/get_batch", window)
        yield await self._ask(session, "orders", "/api/order/get_batch", group)
        yield await self._ask(session, "history", "/api/history/get_batch", window)
        yield deals
        for ticket in self._missing(deals, since):
            yield await self._ask(session, f"gone/{ticket}", "/api/deal/get", {"ticket": ticket})
            del self._listed[ticket]

    def _missing(self, deals: Message, since: int) -> list[int]:
        """Returns the deals of this window that were listed before and are not now. A list may be cut short: each of
        them is asked for by itself."""
        now: dict[int, int] = {}
        for row in _rows_of(deals):
            with suppress(KeyError, TypeError, ValueError):
                now[int(row["Deal"])] = int(row["Time"])  # type: ignore[index]
        before = {ticket: seconds for ticket, seconds in self._listed.items() if seconds >= since}
        self._listed = before | now
        return sorted(before.keys() - now.keys())[:_MISSING_AT_ONCE]

    async def _known_symbols(self) -> Sequence[str]:
        if not self._symbols:
            await self.symbols()
        return self._symbols

    async def _ask(
        self, session: Session, channel: str, path: str, query: Mapping[str, str | int] | None = None
    ) -> Message:
        """Returns the answer as it came, without secrets of users: messages are recorded. Raises Unavailable for one
        that is none."""
        body = _SECRETS.sub(rb'\1""', await session.raw(path, query))
        received_at = self._now()
        with suppress(NotFound):  # a list without rows
            json_of(body, changing=False)
        return Message(channel, body, received_at)

    def _far(self) -> int:
        return int((self._now() + _END).timestamp())


def _rows_of(message: Message) -> Iterable[object]:
    try:
        return list(shapes.rows(json_of(message.body, changing=False)))
    except NotFound:
        return ()


def _groups_of(users: Message) -> set[str]:
    with readable():
        found = (row.get("Group") for row in _rows_of(users) if isinstance(row, dict))
        return {group for group in found if isinstance(group, str)}


def _registered(users: Message) -> list[int]:
    """Returns when the accounts were opened, in seconds of server time."""
    with readable():
        found = (row.get("Registration") for row in _rows_of(users) if isinstance(row, dict))
        return [int(seconds) for seconds in found if isinstance(seconds, str) and seconds.isdigit() and seconds != "0"]
