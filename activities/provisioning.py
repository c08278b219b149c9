"""Opens, reinstates, locks and freezes accounts on the platform. Stores each step first, then calls with a key."""

from sqlalchemy.ext.asyncio import AsyncSession

from activities.deps import Deps, VenueDeps
from activities.effects import create, limit, on_account
from contracts.challenges import ChallengeFact, PhaseStep
from domain import keys
from domain.disputes import goodwill_minor
from domain.errors import Conflict
from firm import challenges, credentials, disputes, messages
from firm.payouts import signals
from ports.credentials import GivesCredentials
from ports.floors import HoldsFloors
from ports.platform import TradingPlatform
from store import changing, deliveries, outbox, products, stops, suspensions, venue_limits
from store.clock import market_now
from store.models import Account, AccountLive, Challenge, Intent


async def open_account(deps: Deps, step: PhaseStep) -> None:
    """Creates and funds the account of the next phase, marks it active in the database, and only then enables trading:
    the monitor must find the account when the platform reports `enabled`. All accounts of a challenge are on one
    platform."""
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, step.challenge_id)
        phase_index = await challenges.next_phase(session, challenge)
        if phase_index is None:
            return
        product = await challenges.terms(session, challenge)
        group = f"{product.product}/{phase_index}"
        previous = await challenges.account(session, challenge)
        platforms = deps.platforms
        chosen = (
            platforms.of(previous.platform)
            if previous
            else platforms.for_new_account(await products.sold_as(session, product))
        )
        account = await challenges.open_account(
            session, challenge, product, phase_index, chosen.name, chosen.marks(group)
        )
        platform = deps.platforms.of(account.platform)
        before = await challenges.last_scaling(session, challenge.id)
        smaller = None if before is None else await session.get_one(Account, before.account_id)
        key = keys.account_creation(challenge.id, phase_index, account.attempt)
        wanted = {
            "group": group,
            "currency": product.currency,
            "leverage": product.leverage,
        }
        asked_before = await session.get(Intent, key) is not None
        await outbox.declare_intent(session, key=key, kind="platform.account", payload=wanted)
    if smaller is not None and smaller.login is not None:
        outgrown = on_account(deps.db, deps.platforms, smaller, smaller.login)
        await outgrown.lock(keys.account_lock(smaller.id, "grown"))
    login = account.login
    if login is None:
        login = await create(
            deps.db,
            platform,
            challenge.id,
            key,
            group=group,
            currency=product.currency,
            leverage=product.leverage,
            asked_before=asked_before,
        )
        async with deps.db.transaction() as session:
            (await session.get_one(Account, account.id)).login = login
            await outbox.fulfil_intent(session, key=key, result={"login": login})
    if account.initial_minor:  # an account may start at zero
        await on_account(deps.db, deps.platforms, account, login).move(
            keys.initial_deposit(account.id), "deposit", account.initial_minor, asked_before=asked_before
        )
    async with deps.db.transaction() as session:
        opened = await session.get_one(Account, account.id, with_for_update={"key_share": True})
        if opened.status == "opening":
            opened.status, opened.opened_at = "active", await market_now(session)
        await furnish(session, opened, platform, "opened")
    await let_trade(deps, account, login, keys.trading(account.id, "enable"))


async def furnish(session: AsyncSession, account: Account, platform: TradingPlatform, cause: str) -> None:
    """Has the venue given what an account needs there: loss limits, and what the trader signs in with. The same cause
    again changes nothing."""
    if isinstance(platform, HoldsFloors):
        await venue_limits.begin(session, account.id)
        await messages.send_limits(session, [account.id], cause)
    if isinstance(platform, GivesCredentials):
        await credentials.want_first(session, account)


async def reinstate_account(deps: Deps, fact: ChallengeFact) -> Account | None:
    """Overturns the disputed breach and lets its account trade again with room above its floors; returns the account.

    Only the attempt that overturns the breach changes the account's row: once enabled, the account may break a rule
    again, and that breach counts. Returns None if the challenge has ended in the meantime: the breach is overturned and
    the account stays locked.
    """
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        dispute = await disputes.lock(session, fact.subject_id)
        if dispute.state != "reinstating" or dispute.breach_id is None:
            return None
        first = await challenges.overturn(session, dispute.breach_id)
        if first:
            cause = keys.overturned_breach(dispute.breach_id)
            await signals.send_risk_changed(session, cause=cause, trader_ids=[challenge.trader_id])
        account = await challenges.account(session, challenge, locked=True)
        if challenge.state != "breached" or account is None or account.id != dispute.account_id:
            return None
        if first:
            account.status, account.ended_at = "active", None
    if account.login is None:
        raise Conflict(f"Account {account.id} has no login.")
    key = keys.goodwill(dispute.id)
    credit, asked_before = await _declare_goodwill(deps, account, account.login, key)
    if credit:
        at_platform = on_account(deps.db, deps.platforms, account, account.login)
        await at_platform.move(key, "adjustment", credit, asked_before=asked_before)
    await on_account(deps.db, deps.platforms, account, account.login).loosen_limits()
    async with deps.db.transaction() as session:
        await outbox.fulfil_intent(session, key=key, result={"amount_minor": credit})
        await messages.send_limits(session, [account.id], key)  # the second wall is tight again
    await let_trade(deps, account, account.login, keys.trading(key, "enable"))
    return account


async def _declare_goodwill(deps: Deps, account: Account, login: int, key: str) -> tuple[int, bool]:
    """Returns the goodwill credit in minor units, and whether an earlier attempt may have paid it in. The credit is
    computed once, while the account is locked, and then stored."""
    async with deps.db.transaction() as session:
        declared = await session.get(Intent, key)
        live = await session.get(AccountLive, account.id)
    if declared is not None:
        return int(declared.payload["amount_minor"]), True
    snapshot = await deps.platforms.of(account.platform).snapshot(login)
    floors = [int(floor["floor_minor"]) for floor in live.floors.values()] if live else []
    wanted = bool(floors) and not snapshot.trading_enabled
    async with deps.db.transaction() as session:
        size = account.initial_minor or (await products.load(session, account.product, account.version)).initial_minor
        credit = goodwill_minor(snapshot.equity_minor, floors, size) if wanted else 0
        payload = {"account_id": account.id, "amount_minor": credit}
        await outbox.declare_intent(session, key=key, kind="platform.adjustment", payload=payload)
    return credit, False


async def lock_account(deps: Deps, challenge_id: str, why: str) -> None:
    """Locks the challenge's current account, if it has one."""
    async with deps.db.transaction() as session:
        account = await challenges.account(session, await challenges.lock(session, challenge_id))
    if account is not None and account.login is not None:
        at_platform = on_account(deps.db, deps.platforms, account, account.login)
        await at_platform.lock(keys.account_lock(account.id, why))


async def freeze_untraded(deps: Deps, challenge_id: str, account: Account, login: int, key: str) -> None:
    """Disables an account that never traded. Raises Conflict if it has traded, and leaves it enabled."""
    platform = deps.platforms.of(account.platform)
    if not await _traded(deps, challenge_id, platform, login):
        await platform.set_trading(login, key=keys.trading(key, "freeze"), enabled=False)
        if not await _traded(deps, challenge_id, platform, login):
            return
    await unfreeze(deps, account.id, login, key)
    raise Conflict("The account has traded. The fee can no longer be refunded.")


async def unfreeze(deps: Deps, account_id: str, login: int, key: str) -> None:
    """Lets a frozen account trade again; see `restore`."""
    await restore(deps, account_id, login, keys.trading(key, "thaw"))


async def restore(deps: VenueDeps, account_id: str, login: int, key: str, *, ends_change: str = "") -> None:
    """Enables trading under `key` again. An account that has ended, has a verdict waiting or is paused until its next
    day stays disabled: whoever ends that enables it. `ends_change`: see `let_trade`."""
    async with deps.db.transaction() as session:
        account = await session.get_one(Account, account_id)
        challenge = await session.get_one(Challenge, account.challenge_id)
        clock = (await challenges.terms(session, challenge)).clock
        shut = (
            account.status != "active"
            or await challenges.verdict_waits(session, account_id)
            or await deliveries.is_paused(session, account_id, clock)
        )
    if not shut:
        await let_trade(deps, account, login, key, ends_change=ends_change)


async def let_trade(deps: VenueDeps, account: Account, login: int, key: str, *, ends_change: str = "") -> None:
    """Enables trading under `key`, unless the account is suspended, on its way to another platform, or its platform is
    stopped: the end of that enables it then. `ends_change`: the change of platform that ends with this."""
    at_platform = on_account(deps.db, deps.platforms, account, login)
    if await _suspended(deps, account, ends_change) or await _stopped(deps, account):
        return
    await at_platform.set_trading(key, enabled=True)
    # either may have begun in between, and have come to the account first
    if await _only_frozen(deps, account):
        await at_platform.freeze(keys.account_lock(key, "frozen"))
    elif await _suspended(deps, account, ends_change):
        await at_platform.lock(keys.account_lock(key, "suspended"))
    if await _stopped(deps, account):
        await limit(deps.platforms.of(account.platform), login, keys.account_lock(key, "stopped"))


async def _suspended(deps: VenueDeps, account: Account, ends_change: str) -> bool:
    async with deps.db.transaction() as session:
        suspended = await suspensions.binds(session, account.challenge_id)
        return suspended or await changing.is_under_way(session, account.id, but=ends_change)


async def _only_frozen(deps: VenueDeps, account: Account) -> bool:
    async with deps.db.transaction() as session:
        return await suspensions.only_frozen(session, account.challenge_id)


async def _stopped(deps: VenueDeps, account: Account) -> bool:
    async with deps.db.transaction() as session:
        return await stops.limits_accounts(session, account.platform, account.product)


async def _traded(deps: Deps, challenge_id: str, platform: TradingPlatform, login: int) -> bool:
    async with deps.db.transaction() as session:
        if await challenges.ever_traded(session, challenge_id):
            return True
    return bool(await platform.deals(login))
