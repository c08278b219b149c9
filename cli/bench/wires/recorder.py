"""Records a wire: the real adapter reads its fake while prices move and traders trade."""

import asyncio
import random
import secrets
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Final

from cli.bench.wires.recorded import Header, write
from cli.chaos.venue.firm import fake
from cli.chaos.venue.kinds import Control, Kind, Place, Position, Staff, feed_of, platform_of
from cli.chaos.venue.opening import GROUP, deposit, deposit_key, enable
from cli.stack.probes import free_ports
from domain.errors import Unavailable
from ports.platform import AccountSnapshot
from ports.venue import CaughtUp, Message, Snapshot, VenueFeed

DEPOSIT: Final = 10_000_000  # minor units
_QUOTES: Final = 10  # quotes of each symbol to one trade
_STEP: Final = timedelta(milliseconds=200)  # of the venue's clock, from one quote to the next
_CATCH_UP: Final = 120.0  # seconds


async def record(kind: Kind, accounts: int, messages: int, longest: float, folder: Path) -> Path:
    """Returns the file. It ends after this many live messages, or after `longest` seconds: a venue that is polled sends
    few, and long ones."""
    folder.mkdir(parents=True)
    port, wire = free_ports(2)
    place = Place(port, wire, folder)
    unused = {"gateway": "http://127.0.0.1:1", "gateway_token": secrets.token_hex()}
    fields = {**unused, **kind.fields(place), "gateway_wall_clock": "false"}
    with fake(kind, place):
        control, feed = kind.control(place), feed_of(kind, fields)
        try:
            return await _Recorder(kind, control, feed, fields, folder).record(accounts, messages, longest)
        finally:
            await feed.aclose()
            await control.aclose()


class _Recorder:
    def __init__(self, kind: Kind, control: Control, feed: VenueFeed, fields: dict[str, str], folder: Path) -> None:
        self._kind, self._control, self._feed = kind, control, feed
        self._fields, self._folder = fields, folder
        self._random = random.Random(7)
        self._clock = datetime.now(UTC)
        self._logins: list[int] = []
        self._held: list[Position] = []

    async def record(self, accounts: int, messages: int, longest: float) -> Path:
        await self._quote()
        await self._open_accounts(accounts)
        specs = await self._feed.symbols()
        before: list[Message] = []
        live: list[Message] = []
        found: dict[int, AccountSnapshot] = {}
        reading = asyncio.create_task(self._read(before, live, found))
        try:
            await _until(lambda: len(found) == accounts and bool(live or reading.done()), reading, _CATCH_UP)
            ends = asyncio.get_running_loop().time() + longest
            while len(live) < messages and asyncio.get_running_loop().time() < ends and not reading.done():
                await self._trade()
        finally:
            reading.cancel()
            with suppress(asyncio.CancelledError):
                await reading
        shown = [account.model_dump(mode="json") for account in found.values()]
        symbols = [spec.model_dump(mode="json") for spec in specs]
        header = Header(self._kind.name, self._fields, symbols, shown, len(before), len(live[:messages]))
        path = self._folder / "wire"
        write(path, header, before, live[:messages])
        return path

    async def _read(self, before: list[Message], live: list[Message], found: dict[int, AccountSnapshot]) -> None:
        """The decoder says when the feed has caught up."""
        decoder, caught_up = self._feed.decoder(), False
        async for message in self._feed.messages({}):
            if caught_up:
                live.append(message)
                continue
            before.append(message)
            for fact in decoder.facts(message):
                if isinstance(fact, Snapshot):
                    found[fact.account.login] = fact.account
                caught_up = caught_up or isinstance(fact, CaughtUp)

    async def _open_accounts(self, count: int) -> None:
        staff = self._control if isinstance(self._control, Staff) else None
        opened = [await staff.open_account() for _ in range(count)] if staff is not None else []
        platform = platform_of(self._kind, self._fields)
        try:
            for number in range(count):
                key = f"bench/{number}"
                if staff is None:
                    opened.append(await platform.create_account(key=key, group=GROUP, currency="USD", leverage=100))
                await deposit(platform, staff, opened[-1 if staff is None else number], deposit_key(number), DEPOSIT)
                await enable(platform, staff, opened[-1 if staff is None else number], f"{key}/on")
        finally:
            await platform.aclose()
        self._logins = opened
        for login in opened:
            await self._control.open(login, self._kind.market.falling, "buy", 1)

    async def _quote(self) -> None:
        market, self._clock = self._kind.market, self._clock + _STEP
        await self._control.clock(self._clock)
        bid = market.start - market.tick * self._random.randint(0, 100)
        calm = market.low + market.calm_tick * self._random.randint(0, 10)
        prices: dict[str, tuple[Decimal, Decimal]] = {
            market.falling: (bid, bid + market.tick),
            market.calm: (calm, calm + market.calm_tick),
        }
        await self._control.quote(prices)

    async def _trade(self) -> None:
        for _ in range(_QUOTES):
            await self._quote()
        if len(self._held) > len(self._logins):
            await self._control.close(self._held.pop(0))
            return
        market, login = self._kind.market, self._random.choice(self._logins)
        held = await self._control.open(login, market.calm, "buy", market.unit)
        if held is not None:
            self._held.append(held)


async def _until(enough: Callable[[], bool], reading: asyncio.Task[None], longest: float) -> None:
    ends = asyncio.get_running_loop().time() + longest
    while not enough():
        if reading.done() and (failed := reading.exception()) is not None:
            raise failed
        if asyncio.get_running_loop().time() > ends:
            raise Unavailable("The feed does not catch up with its fake.")
        await asyncio.sleep(0.05)
