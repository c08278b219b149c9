"""A reader of Tradovate's feed that keeps books as the gateway does, and the world that it reads."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

from adapters.tradovate.decoder import TradovateDecoder
from adapters.tradovate.feed import TradovateFeed
from adapters.tradovate.platform import TradovatePlatform
from domain.errors import Unavailable
from ports.platform import AccountSnapshot
from ports.venue import CaughtUp, Cursor, Fact, Fill, FillCorrected, Message, Money, Unreadable
from sandbox.tradovate.fake import FakeTradovate
from tests.contract.platform_contract import new_key
from tests.contract.tradovate_desk import Desk
from tests.contract.tradovate_thread import settings

WAIT = 180  # seconds


@dataclass
class Reader:
    """Follows a feed over its connections and keeps books as the gateway does: a fill or an operation counts once, one
    that is sent again with other money is corrected."""

    feed: TradovateFeed
    facts: list[Fact] = field(default_factory=list)
    messages: list[Message] = field(default_factory=list)
    unreadable: list[str] = field(default_factory=list)
    connections: int = 0
    cursors: dict[str, str] = field(default_factory=dict)
    fills: dict[str, Fill] = field(default_factory=dict)
    money: dict[str, Money] = field(default_factory=dict)
    gone: set[str] = field(default_factory=set)
    changed: asyncio.Condition = field(default_factory=asyncio.Condition)
    decoder: TradovateDecoder = field(init=False)

    async def run(self) -> None:
        while True:
            self.decoder = self.feed.decoder()
            self.connections += 1
            try:
                async with aclosing(self.feed.messages(dict(self.cursors))) as messages:
                    async for message in messages:
                        self.messages.append(message)
                        self.take(message)
                        async with self.changed:
                            self.changed.notify_all()
            except Unavailable:
                await asyncio.sleep(0.1)

    def take(self, message: Message) -> None:
        try:
            for fact in self.decoder.facts(message):
                self._take(fact)
        except Unreadable as exc:
            self.unreadable.append(str(exc))

    def _take(self, fact: Fact) -> None:
        self.facts.append(fact)
        if isinstance(fact, Cursor):
            self.cursors[fact.name] = fact.value
        if isinstance(fact, Fill):
            self.fills[fact.fill_id] = fact
            self.gone.discard(fact.fill_id)
        if isinstance(fact, Money):
            self.money.setdefault(fact.operation_id, fact)
        if isinstance(fact, FillCorrected) and fact.change_minor is None:
            self.gone.add(fact.fill_id)

    def of(self, kind: type, login: int) -> list[Any]:
        return [fact for fact in self.facts if isinstance(fact, kind) and getattr(fact, "login", None) == login]

    def deals(self, login: int) -> list[Fill]:
        return [fill for id, fill in self.fills.items() if fill.login == login and id not in self.gone]

    def balance(self, login: int) -> int:
        deals = self.deals(login)
        made = sum((fill.profit_minor or 0) + fill.commission_minor + fill.fee_minor for fill in deals)
        return made + sum(each.amount_minor for each in self.money.values() if each.login == login)

    def positions(self, login: int) -> dict[str, Decimal]:
        held: dict[str, Decimal] = {}
        for fill in self.deals(login):
            change = fill.lots if fill.entry == "in" else -fill.lots
            held[fill.position_id] = held.get(fill.position_id, Decimal(0)) + change
        return {id: lots for id, lots in held.items() if lots}

    def agrees(self, venue: AccountSnapshot) -> bool:
        theirs = {each.position_id: each.lots for each in venue.positions}
        return (self.balance(venue.login), self.positions(venue.login)) == (venue.balance_minor, theirs)

    async def until(self, done: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT), self.changed:
            await self.changed.wait_for(done)


@dataclass
class World:
    fake: FakeTradovate
    platform: TradovatePlatform
    desk: Desk

    async def account(self, deposit: int = 50_000_00) -> int:
        login = await self.platform.create_account(key=new_key(), group="g", currency="USD", leverage=1)
        await self.platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=deposit)
        await self.platform.set_trading(login, key=new_key(), enabled=True)
        return login

    @asynccontextmanager
    async def reading(self, **other: str) -> AsyncIterator[Reader]:
        reader = Reader(TradovateFeed("futures", settings(self.fake.config, **other)))
        task = asyncio.create_task(reader.run())
        try:
            await reader.until(lambda: CaughtUp() in reader.facts)
            yield reader
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            await reader.feed.aclose()
