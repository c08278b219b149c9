"""The room of accounts to every limit, and the time to the next reset. One SQL statement."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.clocks import begun_with
from domain.errors import NotFound
from domain.products.phase_terms import compile_phase
from domain.products.product import Product
from domain.rules.floors import Mark
from domain.rules.room import Room, rooms, rooms_after_reset
from domain.rules.state import fresh, from_json
from store.models import Account, AccountLive, MarketClock, ProductVersion
from store.read.pages import View, account_number
from store.scope import Scope


class LimitRoom(View):
    """One limit: `room_minor` is left before `operator` holds; `used_pct` of `allowance_minor` is used.
    `floor_after_reset_minor`, `room_after_reset_minor`: after the next reset if no price changes and nothing is
    traded; None where there is no limit then."""

    rule_id: str
    kind: str
    direction: str
    operator: str
    floor_minor: int
    allowance_minor: int
    room_minor: int
    used_pct: Decimal
    floor_after_reset_minor: int | None
    room_after_reset_minor: int | None


class RoomView(View):
    """`at` is the market time of equity and balance, None before the first checkpoint. `seconds_to_reset` counts in
    market time."""

    account_id: str
    number: str
    status: str
    currency: str
    balance_minor: int
    equity_minor: int
    at: datetime | None
    market_time: datetime
    next_reset: datetime
    seconds_to_reset: int
    clock_zone: str
    limits: tuple[LimitRoom, ...]

    @property
    def tightest(self) -> LimitRoom:
        return min(self.limits, key=lambda limit: limit.room_minor)


def _limit(room: Room, after: Room) -> LimitRoom:
    return LimitRoom(
        rule_id=room.spec.key,
        kind=room.spec.rule_type,
        direction=room.spec.direction,
        operator=room.spec.operator,
        floor_minor=room.floor_minor,
        allowance_minor=room.allowance_minor,
        room_minor=room.room_minor,
        used_pct=room.used_pct,
        floor_after_reset_minor=after.floor_minor if after.limited else None,
        room_after_reset_minor=after.room_minor if after.limited else None,
    )


async def list_rooms(
    session: AsyncSession, scope: Scope, *, account_id: str | None = None, trader_id: str | None = None
) -> list[RoomView]:
    """Returns the room of one account, or of every active account of a trader, newest account first."""
    now = select(func.min(MarketClock.watermark)).scalar_subquery()
    statement = (
        select(Account, AccountLive, ProductVersion.terms, now.label("now"))
        .join(ProductVersion, (ProductVersion.product == Account.product) & (ProductVersion.version == Account.version))
        .outerjoin(AccountLive, AccountLive.account_id == Account.id)
        .where(scope.own(Account.trader_id))
        .order_by(Account.number.desc())
    )
    if account_id is not None:
        statement = statement.where(Account.id == account_id)
    if trader_id is not None:
        statement = statement.where(Account.trader_id == trader_id, Account.status == "active")
    return [_view(row) for row in await session.execute(statement)]


def _view(row: Any) -> RoomView:
    now = row.now.astimezone(UTC) if row.now else datetime.now(UTC)
    return of(row.Account, row.AccountLive, Product.model_validate(row.terms), now)


async def one(session: AsyncSession, scope: Scope, account_id: str) -> RoomView:
    """Raises NotFound."""
    found = await list_rooms(session, scope, account_id=account_id)
    if not found:
        raise NotFound
    return found[0]


def of(account: Account, live: AccountLive | None, product: Product, now: datetime) -> RoomView:
    """Returns the room of an account whose rows are loaded, at market time `now`."""
    specs = compile_phase(product.phase(account.phase_index), account.initial_minor, account.currency)
    rules = from_json(specs, live.rule_state["rules"]) if live else fresh(specs)
    balance = live.balance_minor if live else account.initial_minor
    equity = live.equity_minor if live else account.initial_minor
    clock = product.loss_clock or product.clock
    reset, mark = clock.next_reset(now), Mark(balance, equity, 0, now)
    begins = begun_with(clock.trading_day(now), clock.trading_day(reset))
    return RoomView(
        account_id=account.id,
        number=account_number(account.number),
        status=account.status,
        currency=account.currency,
        balance_minor=balance,
        equity_minor=equity,
        at=live.at if live else None,
        market_time=now,
        next_reset=reset,
        seconds_to_reset=int((reset - now).total_seconds()),
        clock_zone=clock.zone,
        limits=tuple(
            _limit(room, after)
            for room, after in zip(rooms(rules, mark), rooms_after_reset(rules, mark, begins), strict=True)
            if room.limited
        ),
    )
