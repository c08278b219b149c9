"""Stops of the trading at platforms, on the record."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from sqlalchemy import ColumnElement, func, or_, select, text
from sqlalchemy.ext.asyncio import AsyncSession

from domain.stops import ACTIONS, AGREED, EVERYWHERE, Action
from store.models import Account, Intent, PlatformStop

CHANNEL: Final = "platform_stops"  # notification: one was agreed to
_OPEN = ("proposed", "approved")


@dataclass(frozen=True, slots=True)
class Scope:
    """What a stop is for. `platform` `*`: all of them. `symbol`, `product` None: every one."""

    platform: str
    symbol: str | None = None
    product: str | None = None

    @property
    def words(self) -> str:
        where = "every platform" if self.platform == EVERYWHERE else self.platform
        what = "The trading" if self.symbol is None else f"The trading of {self.symbol}"
        whose = "" if self.product is None else f" by accounts of {self.product}"
        return f"{what}{whose} at {where}"


def scope_of(stop: PlatformStop) -> Scope:
    return Scope(stop.platform, stop.symbol, stop.product)


def action_of(stop: PlatformStop) -> Action:
    return next(action for action in ACTIONS if action == stop.action)


def _is(scope: Scope) -> tuple[ColumnElement[bool], ...]:
    return (
        PlatformStop.platform == scope.platform,
        PlatformStop.symbol.is_not_distinct_from(scope.symbol),
        PlatformStop.product.is_not_distinct_from(scope.product),
    )


async def hold(session: AsyncSession) -> None:
    """Others who decide about stops wait until the transaction ends: a stop of everything bears on all others."""
    await session.execute(text("SELECT pg_advisory_xact_lock(7120038, 0)"))


async def tell_agreed(session: AsyncSession) -> None:
    """Whoever carries out stops looks at once when this transaction commits."""
    await session.execute(select(func.pg_notify(CHANNEL, "")))


async def open_ones(session: AsyncSession, scope: Scope, action: Action) -> list[PlatformStop]:
    """Returns those that wait for a second person, or to be carried out, oldest first; locked."""
    rows = select(PlatformStop).where(*_is(scope), PlatformStop.action == action, PlatformStop.state.in_(_OPEN))
    return list(await session.scalars(rows.order_by(PlatformStop.recorded_at).with_for_update()))


async def being_carried_out(session: AsyncSession) -> list[PlatformStop]:
    """Returns those of every scope that wait to be carried out, by id; locked."""
    rows = select(PlatformStop).where(PlatformStop.state == "approved").order_by(PlatformStop.id)
    return list(await session.scalars(rows.with_for_update().execution_options(populate_existing=True)))


async def state_of(session: AsyncSession, stop_id: str) -> str:
    """Returns the state as the record has it now."""
    return (await session.execute(select(PlatformStop.state).where(PlatformStop.id == stop_id))).scalar_one()


async def agreed(session: AsyncSession) -> list[str]:
    """Returns the ids of those that wait to be carried out, oldest first."""
    rows = select(PlatformStop.id).where(PlatformStop.state == "approved").order_by(PlatformStop.recorded_at)
    return list(await session.scalars(rows))


async def waiting(session: AsyncSession) -> list[PlatformStop]:
    """Returns those that wait for a second person or to be carried out, oldest first."""
    rows = select(PlatformStop).where(PlatformStop.state.in_(_OPEN)).order_by(PlatformStop.recorded_at)
    return list(await session.scalars(rows))


async def in_force(session: AsyncSession, scope: Scope) -> PlatformStop | None:
    """Returns the stop of exactly this scope that binds: agreed to, and its end is not agreed to."""
    newest: PlatformStop | None = await session.scalar(
        select(PlatformStop)
        .where(*_is(scope), PlatformStop.action == "close_only", PlatformStop.state.in_(AGREED))
        .order_by(PlatformStop.recorded_at.desc())
        .limit(1)
    )
    return newest if newest is not None and not newest.lifts else None


async def is_closing_only(session: AsyncSession, scope: Scope) -> bool:
    """Whether a stop of this scope or a wider one binds."""
    return bool(await _in_force(session, *_at(scope.platform), *_within(scope.symbol, scope.product)))


async def all_in_force(session: AsyncSession) -> list[PlatformStop]:
    """Returns every stop that binds, by platform, symbol and product; that of everything comes first."""
    return await _in_force(session)


async def _in_force(session: AsyncSession, *of: ColumnElement[bool]) -> list[PlatformStop]:
    place = (PlatformStop.platform, func.coalesce(PlatformStop.symbol, ""), func.coalesce(PlatformStop.product, ""))
    newest = await session.scalars(
        select(PlatformStop)
        .where(PlatformStop.state.in_(AGREED), PlatformStop.action == "close_only", *of)
        .distinct(*place)
        .order_by(*place, PlatformStop.recorded_at.desc())
    )
    return [each for each in newest if not each.lifts]


def _at(platform: str) -> tuple[ColumnElement[bool]]:
    """A platform, and every platform."""
    return (PlatformStop.platform.in_((platform, EVERYWHERE)),)


def _within(symbol: str | None, product: str | None) -> tuple[ColumnElement[bool], ...]:
    """Stops of this symbol and product, and of all symbols or products."""
    return (
        or_(PlatformStop.symbol.is_(None), PlatformStop.symbol == symbol),
        or_(PlatformStop.product.is_(None), PlatformStop.product == product),
    )


async def binds_venue(session: AsyncSession, platform: str, symbol: str | None) -> bool:
    """Whether a stop binds that the venue keeps by itself: that of the platform, or of every platform."""
    exactly = (PlatformStop.symbol.is_not_distinct_from(symbol), PlatformStop.product.is_(None))
    return bool(await _in_force(session, *_at(platform), *exactly))


async def limits_accounts(session: AsyncSession, platform: str, product: str) -> bool:
    """Whether a stop binds accounts of this product that the venue does not keep by itself: whoever enables such an
    account must not."""
    found = await _in_force(session, *_at(platform), *_within(None, product))
    return any(not each.whole for each in found)


async def stops_account(session: AsyncSession, platform: str, product: str) -> bool:
    """Whether a stop of everything binds accounts of this product at a platform."""
    return await is_closing_only(session, Scope(platform, None, product))


async def now(session: AsyncSession) -> datetime:
    """The wall time of the database, as `recorded_at` has it."""
    found: datetime = (await session.execute(select(func.clock_timestamp()))).scalar_one()
    return found


async def challenge_of(session: AsyncSession, account_id: str) -> str:
    return (await session.get_one(Account, account_id)).challenge_id


@dataclass(frozen=True, slots=True)
class Reached:
    """An account that a stop reaches by itself."""

    id: str
    platform: str
    product: str
    login: int


async def left(session: AsyncSession, stop: PlatformStop, but: Sequence[str] = ()) -> Sequence[Reached]:
    """Returns the active accounts at which this was not carried out yet, by id. `but`: platforms that are done."""
    done = select(Intent.key).where(Intent.key == func.concat(stop.id, "/", Account.id), Intent.done_at.is_not(None))
    wanted = [Account.status == "active", Account.login.is_not(None), ~done.exists(), Account.platform.not_in(but)]
    if stop.platform != EVERYWHERE:
        wanted.append(Account.platform == stop.platform)
    if stop.product is not None:
        wanted.append(Account.product == stop.product)
    rows = await session.execute(
        select(Account.id, Account.platform, Account.product, Account.login).where(*wanted).order_by(Account.id)
    )
    return [Reached(row.id, row.platform, row.product, int(row.login)) for row in rows if row.login is not None]
