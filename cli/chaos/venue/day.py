"""Plays a day at one fake: traders trade, prices fall, faults come and go, the gateway is killed; then all is calm."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import ROUND_FLOOR, Decimal
from functools import partial
from typing import Any, Final, TypeVar

from cli.chaos.venue.firm import PHASE, VenueFirm, product_of_chaos
from cli.chaos.venue.judge import HEALING, judge
from cli.chaos.venue.kinds import Position, Staff, least
from cli.chaos.venue.opening import GROUP, deposit, deposit_key, enable
from cli.chaos.venue.plan import Day, PlannedTrader
from domain.errors import PropOSError, Unavailable
from domain.products.phase_terms import phase_terms
from ports.platform import Side

T = TypeVar("T")
_HOURS: Final = 6
_PACE: Final = 0.05  # seconds from one step to the next
_DOWN_STEPS: Final = 15  # steps that the market goes on without a gateway
_PATIENCE: Final = 180.0  # seconds
_AT_MOST: Final = 900.0  # seconds that what changes again and again is waited for
_STORM: Final = 5.0  # seconds that faults last while nothing else goes on
_CHANCE_OF_FAULTS, _CHANCE_OF_CALM = 0.25, 0.10
_AT_ONCE: Final = 3  # kinds of fault
_LOSS: Final = Decimal("0.1")  # of the initial balance, to the floor
_MARGIN: Final = Decimal(40)  # dollars, at least, that one who ends just above the floor has left
_SESSIONS: Final = "sessions_ended"
_KILLED: Final = "gateway_killed"
_STRAY: Final = "deal_of_ended_account"
_CHANCE_OF_STRAY: Final = 0.1


@dataclass
class Trader:
    plan: PlannedTrader
    login: int
    held: list[Position] = field(default_factory=list)  # small ones
    large: Position | None = None


class Movement:
    """Of what is looked at again and again: a slow machine has the time it needs while something changes."""

    def __init__(self) -> None:
        self._began = self._changed = time.monotonic()
        self._before: object = None

    def is_over(self, state: object) -> bool:
        """Returns whether the state has not changed for long, or has changed for very long."""
        now = time.monotonic()
        if state != self._before:
            self._before, self._changed = state, now
        return now - self._changed > _PATIENCE or now - self._began > _AT_MOST


class DayAtVenue:
    """`clock`: market time of the fake, ahead of ours. `happened`: what this command did itself."""

    def __init__(self, firm: VenueFirm, day: Day, shard: int, seed: int) -> None:
        self._firm, self._day, self._shard = firm, day, shard
        self._market = firm.kind.market
        self._rng = random.Random(f"chaos/venue/{firm.kind.name}/{seed}/day")
        self._product = product_of_chaos()
        initial = Decimal(phase_terms(self._product, PHASE).product.initial_minor) / 100
        self._initial, self.floor = initial, initial * (1 - _LOSS)
        self._traders: list[Trader] = []
        self._clock = datetime.now(UTC)
        self._step_time = timedelta(hours=_HOURS) / day.steps
        self._fallen = 0.0
        self._down = 0  # steps since the gateway was started and has not answered
        self._calls = 0
        self._opened: dict[int, int] = {}  # logins that people at the broker have opened, by number of the trader
        self.happened: Counter[str] = Counter({_SESSIONS: 0, _KILLED: 0, _STRAY: 0})
        control = firm.control
        self._staff: Staff | None = control if isinstance(control, Staff) else None

    # the day

    async def play(self, report: Callable[[str, float], None]) -> None:
        await self._move(0)
        if self._staff is not None:  # such a venue cannot be read before there is an account
            self._opened = {plan.number: await self._staff.open_account() for plan in self._day.traders}
        await self._caught_up()
        self._firm.witness.start()
        self._firm.shard.start()
        await self._open_accounts()
        for step in range(self._day.steps):
            report(f"{self._firm.kind.name}: the day", step / self._day.steps)
            await self._toggle()
            await self._move(step)
            await self._trade(step)
            if self._rng.random() < _CHANCE_OF_STRAY:
                await self._stray()
            if step in self._day.kills:
                await self._kill(may_catch_up=self._day.kills[step])
            await self._pace()
            self._firm.check()

    async def settle(self, report: Callable[[str, float], None]) -> dict[str, list[str]]:
        """Goes on until every fault has met a call, then calms down. Returns what is wrong when nothing changes any
        more, or after long."""
        await self._meet_every_fault(report)
        await self._firm.control.switch((), self._rng)
        await self._caught_up()
        found = {}
        if self._staff is not None:
            found = await self._until_healed(report, rights_matter=False)
            for login in self._firm.breached():
                await self._staff.set_trading(login, enabled=False)
        if not any(found.get(name) for name in HEALING):
            found = await self._until_healed(report, rights_matter=True)
        return found

    async def _until_healed(self, report: Callable[[str, float], None], *, rights_matter: bool) -> dict[str, list[str]]:
        """Returns what is wrong when nothing changes any more, or after long. `rights_matter`: see `judge`."""
        movement = Movement()
        while True:
            report(f"{self._firm.kind.name}: until nothing moves any more", 1.0)
            found = await self._verdict(rights_matter=rights_matter)
            wounds = {name: found[name] for name in HEALING}
            if not any(wounds.values()) or movement.is_over(wounds):
                return found
            if rights_matter:
                self._firm.look_at_parked()
            await self._move(self._day.steps)
            await asyncio.sleep(1)

    async def _verdict(self, *, rights_matter: bool) -> dict[str, list[str]]:
        """Judges when witness and shard have read everything that was told so far."""
        firm = self._firm
        status = await firm.gateway.status()
        last, deadline = 0 if status is None else int(status["batch"]), time.monotonic() + _PATIENCE
        while min(firm.witness.last, firm.shard.done) < last and time.monotonic() < deadline:
            firm.check()
            await asyncio.sleep(0.1)
        firm.check()
        books = await firm.control.book()
        told, breached, fill_of = firm.witness.told, firm.breached(), firm.kind.fill_of
        return judge(books, told, breached, firm.deposits, self.floor, fill_of, rights_matter=rights_matter)

    async def faults(self) -> dict[str, int]:
        uses = await self._firm.control.uses()
        self.happened[_KILLED] = self._firm.gateway.kills
        return {name: uses.get(name, 0) for name in self._firm.kind.faults} | dict(self.happened)

    # accounts

    async def _open_accounts(self) -> None:
        """Each through the adapter, while its calls fail."""
        for plan in self._day.traders:
            await self._toggle()
            self._traders.append(Trader(plan, await self._open_account(plan)))
            await self._move(0)
        books = await self._firm.control.book()
        wrong = [book.login for book in books.values() if book.balance != self._initial]
        if wrong or len(books) != len(self._traders):
            raise Unavailable(f"{len(books)} accounts were opened; with another balance than the deposit: {wrong}.")

    async def _open_account(self, plan: PlannedTrader) -> int:
        platform, key = self._firm.platform, f"chaos/{self._firm.kind.name}/{plan.number}"
        opened = partial(platform.create_account, key=key, group=GROUP, currency="USD", leverage=100)
        login = self._opened[plan.number] if self._staff else await self._until_done(opened)
        self._firm.record(login, self._product, self._clock, self._shard)
        paid, amount = deposit_key(plan.number), int(self._initial * 100)
        self._firm.deposits[login] = (paid, amount)
        await self._until_done(partial(deposit, platform, self._staff, login, paid, amount))
        await self._until_done(partial(enable, platform, self._staff, login, f"{key}/on"))
        return login

    async def _until_done(self, call: Callable[[], Awaitable[T]]) -> T:
        """Repeats a call of the firm as its activities do."""
        deadline = time.monotonic() + _PATIENCE
        while True:
            try:
                return await call()
            except PropOSError:
                if time.monotonic() > deadline:
                    raise
                await asyncio.sleep(0.2)

    # the market and the traders

    async def _move(self, step: int) -> None:
        """Prices and clock of a step. The large positions' price never rises again."""
        market, firm = self._market, self._firm
        self._clock += self._step_time
        await firm.control.clock(self._clock)
        self._fallen = max(self._fallen, self._day.fallen(step))
        bid = market.start - _to_tick(market.fall * Decimal(self._fallen), market.tick)
        calm = market.low + _to_tick(market.range * Decimal(self._rng.random()), market.calm_tick)
        prices = {market.falling: (bid, bid + market.tick), market.calm: (calm, calm + market.calm_tick)}
        await firm.control.quote(prices)

    async def _trade(self, step: int) -> None:
        for trader in self._traders:
            if trader.plan.opens_at == step and trader.plan.role != "busy":
                await self._open_large(trader)
        for trader in self._rng.sample(self._traders, k=max(1, len(self._traders) // 4)):
            if trader.plan.role != "near" or step < trader.plan.opens_at:
                await self._trade_a_little(trader)

    async def _trade_a_little(self, trader: Trader) -> None:
        market, rng = self._market, self._rng
        if trader.held and rng.random() < 0.5:
            await self._firm.control.close(trader.held.pop())
            return
        side: Side = "buy" if rng.random() < 0.5 else "sell"
        position = await self._firm.control.open(trader.login, market.calm, side, market.unit)
        if position is not None:
            trader.held.append(position)

    async def _stray(self) -> None:
        """The venue fills an order of an account that has ended."""
        ended = sorted(self._firm.breached())
        if ended:
            login, market = self._rng.choice(ended), self._market
            opened = await self._firm.control.open(login, market.calm, "buy", market.unit, forced=True)
            self.happened[_STRAY] += opened is not None

    async def _open_large(self, trader: Trader) -> None:
        """Buys so much that the floor is reached at the planned share of the fall, or not quite at its end."""
        market = self._market
        if trader.plan.role == "near":
            while trader.held:
                await self._firm.control.close(trader.held.pop())
        equity = (await self._firm.control.book())[trader.login].equity
        room, fall = equity - self.floor, market.fall + market.tick
        if trader.plan.role == "near":
            units = int((room - _MARGIN) / (market.value * fall))
        else:
            units = int(room / (market.value * market.fall * Decimal(trader.plan.breaks_at))) + 1
        trader.large = await self._firm.control.open(trader.login, market.falling, "buy", units)

    # what goes wrong

    async def _toggle(self) -> None:
        chance = self._rng.random()
        if chance < _CHANCE_OF_FAULTS:
            names = self._rng.sample(self._firm.kind.faults, k=self._rng.randint(1, _AT_ONCE))
            await self._firm.control.switch(names, self._rng)
        elif chance < _CHANCE_OF_FAULTS + _CHANCE_OF_CALM:
            await self._firm.control.switch((), self._rng)
        if self._rng.random() < 0.02:
            await self._end_sessions()

    async def _end_sessions(self) -> None:
        await self._firm.control.end_sessions()
        self.happened[_SESSIONS] += 1

    async def _kill(self, *, may_catch_up: bool) -> None:
        if may_catch_up:
            await self._caught_up()
        self._firm.gateway.kill()
        self._firm.gateway.start()

    async def _pace(self) -> None:
        """The market goes on for some steps while a gateway starts, and then waits, so that the day meets a gateway."""
        await asyncio.sleep(_PACE)
        status = await self._firm.gateway.status()
        if status is not None:
            self._down = 0
            return
        self._down += 1
        if self._down > _DOWN_STEPS:
            await self._wait_for(lambda found: found is not None)

    async def _caught_up(self) -> None:
        await self._wait_for(lambda found: found is not None and bool(found["caught_up"]))

    async def _wait_for(self, enough: Callable[[dict[str, Any] | None], bool]) -> None:
        """Every storm ends: the faults go off when this takes long."""
        began, stormy = time.monotonic(), True
        while not enough(status := await self._firm.gateway.status()):
            waited = time.monotonic() - began
            if stormy and waited > _STORM:
                stormy = False
                await self._firm.control.switch((), self._rng)
            if waited > _PATIENCE:
                raise Unavailable(f"The gateway of {self._firm.kind.name} does not catch up: {status}.")
            self._firm.check()
            await asyncio.sleep(0.1)

    async def _meet_every_fault(self, report: Callable[[str, float], None]) -> None:
        """Small trades, and positions that the firm closes itself, until every fault has met a call."""
        movement, kind = Movement(), self._firm.kind
        while missing := {name: times for name, times in (await self.faults()).items() if times < least(kind, name)}:
            if movement.is_over(missing):
                return
            report(f"{kind.name}: {len(missing)} faults have met too few calls yet", 1.0)
            if _SESSIONS in missing:
                await self._end_sessions()
            if _STRAY in missing:
                await self._stray()
            names = [name for name in missing if name in kind.faults][:_AT_ONCE]
            await self._firm.control.switch(names, self._rng)
            await self._move(self._day.steps)
            trader = self._rng.choice([each for each in self._traders if each.plan.role == "busy"])
            await self._trade_a_little(trader)
            await self._close_some(trader.login)
            self._firm.check()

    async def _close_some(self, login: int) -> None:
        """The firm closes what a trader holds. One that fails here is of no interest: the faults are on."""
        self._calls += 1
        with suppress(PropOSError):
            held = (await self._firm.platform.snapshot(login)).positions
            ids = [each.position_id for each in held]
            await self._firm.platform.close_positions(login, key=f"chaos/close/{self._calls}", position_ids=ids)


def _to_tick(amount: Decimal, tick: Decimal) -> Decimal:
    return (amount / tick).to_integral_value(ROUND_FLOOR) * tick
