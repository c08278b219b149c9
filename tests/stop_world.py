"""Venues that can be stopped, and people who stop them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import activities.stops
from activities.deps import VenueDeps
from activities.stops import Outcome
from domain.approvals import Actor
from domain.errors import Unavailable
from domain.stops import Action
from firm import stops
from ports.platform import PositionState, TradingPlatform
from tests.adapters import platforms
from tests.challenge_world import Firm, Venue


@dataclass
class LimitingVenue(Venue):
    """Limits accounts to closing, one by one; `away`: logins that cannot be reached."""

    limited: set[int] = field(default_factory=set)
    enabled: list[int] = field(default_factory=list)
    cancelled: list[int] = field(default_factory=list)
    away: set[int] = field(default_factory=set)
    on_its_way: Callable[[], Awaitable[None]] | None = None  # what happens once, before the next call takes effect
    overtaken: tuple[bool, Callable[[], Awaitable[None]]] | None = (
        None  # as `on_its_way`, of a call with this `enabled`
    )

    async def set_close_only(self, login: int, *, key: str, close_only: bool) -> None:
        if login in self.away:
            raise Unavailable("It cannot be reached.")
        if self.on_its_way is not None:
            happens, self.on_its_way = self.on_its_way, None
            await happens()
        seat = self.seat(login)
        if not self._first(f"close-only:{login}:{key}:{close_only}", True):
            return
        if close_only and seat.enabled:
            seat.enabled = False
            self.limited.add(login)
        elif not close_only and login in self.limited:
            seat.enabled = True
            self.limited.discard(login)

    async def set_trading(self, login: int, *, key: str, enabled: bool) -> None:
        if self.overtaken is not None and self.overtaken[0] == enabled:
            happens, self.overtaken = self.overtaken[1], None
            await happens()
        await super().set_trading(login, key=key, enabled=enabled)
        if enabled:
            self.enabled.append(login)

    async def cancel_orders(self, login: int, *, key: str) -> None:
        self.cancelled.append(login)


@dataclass
class SwitchVenue(Venue):
    """Stops everybody in one call, unless it is `down`."""

    down: bool = False
    off: set[str | None] = field(default_factory=set)
    on_its_way: Callable[[], Awaitable[None]] | None = None  # what happens before a call takes effect

    async def set_stopped(self, *, key: str, symbol: str | None, stopped: bool) -> None:
        if self.on_its_way is not None:
            await self.on_its_way()
        if self.down:
            raise Unavailable("It cannot be reached.")
        if self._first(f"stopped:{symbol}:{key}", stopped):
            (self.off.add if stopped else self.off.discard)(symbol)

    async def stopped(self) -> frozenset[str | None]:
        return frozenset(self.off)


def held(position_id: str, symbol: str) -> PositionState:
    at = datetime(2026, 3, 6, tzinfo=UTC)
    return PositionState(
        position_id=position_id, symbol=symbol, side="buy", lots=Decimal(1), open_price=Decimal(1), opened_at=at
    )


async def ask(
    firm: Firm,
    actor: Actor,
    *,
    lifts: bool = False,
    platform: str = "fake",
    symbol: str | None = None,
    product: str | None = None,
    action: Action = "close_only",
    whole: bool = False,
) -> tuple[str, str]:
    async with firm.db.transaction() as session:
        row = await stops.ask(
            session,
            platform=platform,
            symbol=symbol,
            product=product,
            action=action,
            lifts=lifts,
            whole=whole,
            actor=actor,
            reason="The market is broken.",
        )
        return row.id, row.state


async def agree(
    firm: Firm, first: Actor, second: Actor, *, lifts: bool = False, platform: str = "fake", **wanted: Any
) -> str:
    """Two persons ask for the same. Returns its id."""
    await ask(firm, first, lifts=lifts, platform=platform, **wanted)
    stop_id, state = await ask(firm, second, lifts=lifts, platform=platform, **wanted)
    assert state == "approved"
    return stop_id


async def carry_out(firm: Firm, venue: TradingPlatform, stop_id: str, *others: TradingPlatform) -> Outcome:
    deps = VenueDeps(firm.db, platforms(venue, *others))
    return await activities.stops.carry_out(deps, stop_id, lambda done, of: None)
