"""Effects on a trading platform: each happens once, whatever the platform answers.

An effect that an earlier attempt may have had is looked up before it is asked for again, under the same key. A platform
that refuses a key for good is not asked again: a review asks a person, and its closing lets the step try a new key.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from domain.errors import IdempotencyMismatch, RefusedForGood, WaitsForPerson
from firm import platform_refusals, venue_limits
from ports.floors import HoldsFloors
from ports.platform import BalanceKind, Platforms, TradingPlatform
from ports.stops import LimitsToClosing, cancel_orders
from store.db import Database
from store.models import Account

T = TypeVar("T")


async def once(
    db: Database,
    challenge_id: str,
    key: str,
    call: Callable[[str], Awaitable[T]],
    find: Callable[[str], Awaitable[T | None]],
    *,
    asked_before: bool,
    usable: str | None = None,
) -> T:
    """Returns the effect of `call`, or the one that `find` sees. Both get the key. Raises WaitsForPerson once the
    platform has refused the step for good, and every other error of the platform.

    `usable`: what `platform_refusals.usable_key` says, where the caller has asked it. `asked_before`: an earlier
    attempt may have called. A step that a person has looked at is looked up too: it may have been done by hand.
    """
    if usable is None:
        async with db.transaction() as session:
            usable = await platform_refusals.usable_key(session, challenge_id, key)
    if asked_before or usable != key:
        found = await find(usable)
        if found is not None:
            return found
    try:
        return await call(usable)
    except RefusedForGood as refusal:
        async with db.transaction() as session:
            await platform_refusals.report(session, challenge_id, usable, refusal.message)
        raise WaitsForPerson(key) from refusal


async def create(
    db: Database,
    platform: TradingPlatform,
    challenge_id: str,
    key: str,
    *,
    group: str,
    currency: str,
    leverage: int,
    asked_before: bool,
) -> int:
    """Returns the login of the account that is opened under `key`, once. `asked_before`: as in `once`."""

    async def call(usable: str) -> int:
        return await platform.create_account(key=usable, group=group, currency=currency, leverage=leverage)

    return await once(db, challenge_id, key, call, platform.find_account, asked_before=asked_before)


@dataclass(frozen=True)
class AccountEffects:
    """The effects on one account at its platform."""

    db: Database
    platform: TradingPlatform
    challenge_id: str
    account_id: str
    login: int

    async def loosen_limits(self) -> None:
        """Comes before money moves without a trade, and before floors are measured anew: the limits that the venue
        holds must fit before and after. Raises what the venue refuses with."""
        if isinstance(self.platform, HoldsFloors):
            meaning, call = self.platform.floors_mean, self.platform.set_floors
            await venue_limits.send(self.db, self.account_id, self.platform.name, meaning, call, moving=True)

    async def lock(self, key: str) -> None:
        async def call(usable: str) -> bool:
            await self.platform.lock(self.login, key=usable)
            return True

        async def find(_: str) -> bool | None:
            now = await self.platform.snapshot(self.login)
            return None if now.trading_enabled or now.positions else True

        await once(self.db, self.challenge_id, key, call, find, asked_before=False)

    async def set_trading(self, key: str, *, enabled: bool) -> None:
        async def call(usable: str) -> bool:
            await self.platform.set_trading(self.login, key=usable, enabled=enabled)
            return True

        async def find(_: str) -> bool | None:
            return True if (await self.platform.snapshot(self.login)).trading_enabled == enabled else None

        await once(self.db, self.challenge_id, key, call, find, asked_before=False)

    async def freeze(self, key: str) -> None:
        """Disables the account and leaves its positions. Its pending orders are cancelled where the platform can."""
        await self.set_trading(key, enabled=False)
        await cancel_orders(self.platform, self.login, key=key)

    async def move(
        self,
        key: str,
        operation: BalanceKind,
        amount_minor: int,
        *,
        asked_before: bool,
        usable: str | None = None,
    ) -> None:
        """Pays in or takes out, in minor units. `asked_before`, `usable`: as in `once`. Raises IdempotencyMismatch if
        another amount moved under the key."""
        if operation != "deposit":
            await self.loosen_limits()

        async def call(usable: str) -> int:
            await self.platform.balance_operation(
                self.login, key=usable, operation=operation, amount_minor=amount_minor
            )
            return amount_minor

        async def find(usable: str) -> int | None:
            return await find_moved(self.platform, self.login, usable, operation, amount_minor)

        await once(self.db, self.challenge_id, key, call, find, asked_before=asked_before, usable=usable)


async def find_moved(
    platform: TradingPlatform, login: int, key: str, operation: BalanceKind, amount_minor: int
) -> int | None:
    """Returns the amount if it moved under this key, else None. Raises IdempotencyMismatch for another amount."""
    found = await platform.find_balance_operation(login, key=key, operation=operation)
    if found not in (None, amount_minor):
        raise IdempotencyMismatch(key)
    return found


async def limit(platform: TradingPlatform, login: int, key: str) -> None:
    """Keeps an account from opening positions: it may only close where the venue can do that, else nothing."""
    if isinstance(platform, LimitsToClosing):
        await platform.set_close_only(login, key=key, close_only=True)
    else:
        await platform.set_trading(login, key=key, enabled=False)
    await cancel_orders(platform, login, key=key)


def on_account(db: Database, platforms: Platforms, account: Account, login: int) -> AccountEffects:
    return AccountEffects(db, platforms.of(account.platform), account.challenge_id, account.id, login)
