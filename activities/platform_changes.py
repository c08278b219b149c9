"""The activity of workflow `PlatformChange`: one step of a change at a time, each repeatable after any of its calls."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession
from temporalio import activity

from activities import provisioning
from activities.deps import Deps
from activities.effects import AccountEffects, create, on_account
from contracts.messages import PlatformChangeStart
from contracts.platform_changes import PlatformChangeStatus
from domain import change_keys, keys
from domain.errors import Conflict, PropOSError, Unavailable, WaitsForPerson
from domain.platform_changes import MAY_BE_ABANDONED
from domain.wording import sentence
from firm import credentials, platform_changes
from ports.platform import AccountSnapshot
from store import outbox, products, shards, venue_limits
from store.clock import market_now
from store.models import Account, Intent, PlatformChange

Step = Callable[[PlatformChange, Account], Awaitable[None]]
Then = Callable[[AsyncSession, PlatformChange], Awaitable[None]]


class PlatformChangeActivities:
    def __init__(self, deps: Deps) -> None:
        self._deps, self._db = deps, deps.db
        self._steps: Final[Mapping[str, Step]] = {
            "approved": self._shut,
            "shut": self._open,
            "taken": self._resume,
            "giving_back": self._give_back,
        }

    def all(self) -> Sequence[Callable[..., Awaitable[object]]]:
        return [self.take_step]

    @activity.defn(name="platform_changes.take_step")
    async def take_step(self, start: PlatformChangeStart) -> PlatformChangeStatus:
        """Before the record switches, whatever is refused turns the change back. Raises Unavailable."""
        async with self._db.transaction() as session:
            change = await session.get_one(PlatformChange, start.change_id)
            account = await session.get_one(Account, change.account_id)
        take = self._steps.get(change.state)
        if take is not None:
            try:
                await take(change, account)
            except PropOSError as error:
                waits = isinstance(error, WaitsForPerson)
                if isinstance(error, Unavailable) and not waits:
                    raise
                if not await self._turned_back(change, error) and not waits:
                    raise
        async with self._db.transaction() as session:
            state = (await session.get_one(PlatformChange, change.id, populate_existing=True)).state
        return PlatformChangeStatus(state=state)

    async def _turned_back(self, change: PlatformChange, error: PropOSError) -> bool:
        async with self._db.transaction() as session:
            locked = await platform_changes.locked(session, change.id)
            if locked.state not in MAY_BE_ABANDONED:
                return False
            await platform_changes.give_up(session, locked, sentence(error.message), await market_now(session))
        return True

    # at the old platform

    async def _shut(self, change: PlatformChange, account: Account) -> None:
        """Stops trading and leaves the account flat. Its last event there is the one up to which the record must
        judge."""
        async with self._db.transaction() as session:
            locked = await platform_changes.locked(session, change.id)
            if locked.state != change.state:
                return
            await platform_changes.check_agreed(session, locked)
            await platform_changes.check_possible(session, locked)
        old = self._old(change, account)
        if not change.close_positions:
            await old.set_trading(keys.trading(change.id, "shut"), enabled=False)
            if (await old.platform.snapshot(change.from_login)).positions:
                raise Conflict("The account has open positions, and the change may not close them.")
        await old.lock(keys.account_lock(change.id, "leaves"))
        last = await old.platform.snapshot(change.from_login)
        if last.positions or last.trading_enabled:
            return  # the venue has not done it yet
        if last.balance_minor < 0:
            raise Conflict("The balance is below zero, and no venue opens an account with a debt.")
        async with self._db.transaction() as session:
            locked = await platform_changes.locked(session, change.id)
            if locked.state == change.state:
                locked.balance_minor, locked.from_seq = last.balance_minor, last.seq
                await platform_changes.step(
                    session,
                    locked,
                    "account_shut",
                    await market_now(session),
                    detail={"balance_minor": last.balance_minor, "seq": last.seq},
                )

    # at the new platform

    async def _open(self, change: PlatformChange, account: Account) -> None:
        """Opens the account at the new platform, disabled, with the balance that it has at the old one."""
        platform = self._deps.platforms.of(change.to_platform)
        key, group = change_keys.account(change.id), f"{account.product}/{account.phase_index}"
        async with self._db.transaction() as session:
            product = await products.load(session, account.product, account.version)
            asked_before = await session.get(Intent, key) is not None
            wanted = {"group": group, "currency": account.currency, "leverage": product.leverage}
            await outbox.declare_intent(session, key=key, kind="platform.account", payload=wanted)
        login = await create(
            self._db,
            platform,
            account.challenge_id,
            key,
            group=group,
            currency=account.currency,
            leverage=product.leverage,
            asked_before=asked_before,
        )
        new = AccountEffects(self._db, platform, account.challenge_id, account.id, login)
        balance = change.balance_minor or 0
        async with self._db.transaction() as session:  # a change that is given back knows what to take out again
            locked = await platform_changes.locked(session, change.id)
            if locked.state != change.state:
                return
            locked.to_login = login
            await outbox.fulfil_intent(session, key=key, result={"login": login})
        if balance:
            deposit = change_keys.deposit(change.id)
            await new.move(deposit, "deposit", balance, asked_before=asked_before)
        found = await platform.snapshot(login)
        _check_opened(found, account.currency, balance)
        async with self._db.transaction() as session:
            locked = await platform_changes.locked(session, change.id)
            if locked.state == change.state:
                locked.to_seq, locked.to_marks = found.seq, platform.marks(group)
                locked.to_shard = await shards.least_loaded(session, platform.name)
                detail = {"login": login, "seq": found.seq}
                now = await market_now(session)
                await platform_changes.step(session, locked, "account_opened", now, detail=detail)

    async def _resume(self, change: PlatformChange, account: Account) -> None:
        """Lets the account trade at its new platform, whose shard judges it by now."""
        assert change.to_login is not None
        key = keys.trading(change.id, "enable")
        await provisioning.restore(self._deps, account.id, change.to_login, key, ends_change=change.id)
        await self._end(change, "trading_resumed", self._arrived)
        # whoever was to let it trade while the change lasted has left that to us
        await provisioning.restore(self._deps, account.id, change.to_login, key)

    async def _arrived(self, session: AsyncSession, change: PlatformChange) -> None:
        """The trader learns of it, and the venue is asked for what an account needs there."""
        await platform_changes.tell_trader(session, change)
        account = await session.get_one(Account, change.account_id)
        await venue_limits.forget(session, account.id)
        await credentials.forget(session, account.id)
        await provisioning.furnish(session, account, self._deps.platforms.of(account.platform), change.id)

    # back to the old platform

    async def _give_back(self, change: PlatformChange, account: Account) -> None:
        """Empties what was opened, and lets the account trade where it was."""
        await self._empty(change, account)
        key = keys.trading(change.id, "thaw")
        await provisioning.restore(self._deps, account.id, change.from_login, key, ends_change=change.id)
        await self._end(change, "account_given_back")
        await provisioning.restore(self._deps, account.id, change.from_login, key)

    async def _empty(self, change: PlatformChange, account: Account) -> None:
        key = change_keys.account(change.id)
        async with self._db.transaction() as session:
            asked = await session.get(Intent, key) is not None
        if not asked:
            return
        platform = self._deps.platforms.of(change.to_platform)
        login = change.to_login or await platform.find_account(key)
        if login is None:
            return
        new = AccountEffects(self._db, platform, account.challenge_id, account.id, login)
        deposit = change_keys.deposit(change.id)
        paid = await platform.find_balance_operation(login, key=deposit, operation="deposit")
        if paid:
            back = change_keys.returned(change.id)
            await new.move(back, "adjustment", -paid, asked_before=True)

    async def _end(self, change: PlatformChange, trigger: str, then: Then | None = None) -> None:
        async with self._db.transaction() as session:
            locked = await platform_changes.locked(session, change.id)
            if locked.state == change.state:
                await platform_changes.step(session, locked, trigger, await market_now(session))
                if then is not None:
                    await then(session, locked)

    def _old(self, change: PlatformChange, account: Account) -> AccountEffects:
        return on_account(self._db, self._deps.platforms, account, change.from_login)


def _check_opened(found: AccountSnapshot, currency: str, balance_minor: int) -> None:
    """Checks what the new platform has opened. Raises Conflict."""
    if found.currency != currency:
        raise Conflict(f"The new account is in {found.currency}, and the old one in {currency}.")
    if found.positions or found.trading_enabled:
        raise Conflict("The new account trades before it was enabled.")
    if found.balance_minor != balance_minor:
        raise Conflict(
            f"The new account has a balance of {found.balance_minor} and not of {balance_minor} (minor units)."
        )
