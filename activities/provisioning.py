"""Opens, reinstates, locks and freezes accounts on the platform. Stores each step first, then calls with a key."""

from activities.deps import Deps
from contracts.challenges import ChallengeFact, PhaseStep
from domain import keys
from domain.disputes import goodwill_minor
from domain.errors import Conflict
from firm import challenges, disputes
from firm.payouts import signals
from ports.platform import TradingPlatform
from store import outbox, products
from store.clock import market_now
from store.models import Account, AccountLive, Intent


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
        chosen = deps.platforms.of(previous.platform if previous else deps.platforms.default)
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
        await outbox.declare_intent(session, key=key, kind="platform.account", payload=wanted)
    if smaller is not None and smaller.login is not None:
        outgrown = deps.platforms.of(smaller.platform)
        await outgrown.lock(smaller.login, key=keys.account_lock(smaller.id, "grown"))
    login = account.login
    if login is None:
        login = await platform.create_account(
            key=key,
            group=group,
            currency=product.currency,
            leverage=product.leverage,
        )
        async with deps.db.transaction() as session:
            (await session.get_one(Account, account.id)).login = login
            await outbox.fulfil_intent(session, key=key, result={"login": login})
    if account.initial_minor:  # an account may start at zero
        await platform.balance_operation(
            login, key=keys.initial_deposit(account.id), operation="deposit", amount_minor=account.initial_minor
        )
    async with deps.db.transaction() as session:
        opened = await session.get_one(Account, account.id, with_for_update={"key_share": True})
        if opened.status == "opening":
            opened.status, opened.opened_at = "active", await market_now(session)
    await platform.set_trading(login, key=keys.trading(account.id, "enable"), enabled=True)


async def reinstate_account(deps: Deps, fact: ChallengeFact) -> Account | None:
    """Overturns the disputed breach and lets its account trade again with room above its floors; returns the account.

    Only the attempt that overturns the breach changes the account's row: once enabled, the account may break a rule
    again, and that breach counts. Returns None if the challenge has ended in the meantime: the breach is overturned and
    the account stays locked.
    """
    async with deps.db.transaction() as session:
        challenge = await challenges.lock(session, fact.challenge_id)
        dispute = await disputes.lock(session, fact.subject_id)
        if dispute.state != "reinstating":
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
    credit = await _declare_goodwill(deps, account, account.login, key)
    if credit:
        await deps.platforms.of(account.platform).balance_operation(
            account.login, key=key, operation="adjustment", amount_minor=credit
        )
    async with deps.db.transaction() as session:
        await outbox.fulfil_intent(session, key=key, result={"amount_minor": credit})
    platform = deps.platforms.of(account.platform)
    await platform.set_trading(account.login, key=keys.trading(key, "enable"), enabled=True)
    return account


async def _declare_goodwill(deps: Deps, account: Account, login: int, key: str) -> int:
    """Returns the goodwill credit in minor units. It is computed once, while the account is locked, and then stored."""
    async with deps.db.transaction() as session:
        declared = await session.get(Intent, key)
        live = await session.get(AccountLive, account.id)
    if declared is not None:
        return int(declared.payload["amount_minor"])
    snapshot = await deps.platforms.of(account.platform).snapshot(login)
    floors = [int(floor["floor_minor"]) for floor in live.floors.values()] if live else []
    wanted = bool(floors) and not snapshot.trading_enabled
    async with deps.db.transaction() as session:
        size = account.initial_minor or (await products.load(session, account.product, account.version)).initial_minor
        credit = goodwill_minor(snapshot.equity_minor, floors, size) if wanted else 0
        payload = {"account_id": account.id, "amount_minor": credit}
        await outbox.declare_intent(session, key=key, kind="platform.adjustment", payload=payload)
    return credit


async def lock_account(deps: Deps, challenge_id: str, why: str) -> None:
    """Locks the challenge's current account, if it has one."""
    async with deps.db.transaction() as session:
        account = await challenges.account(session, await challenges.lock(session, challenge_id))
    if account is not None and account.login is not None:
        await deps.platforms.of(account.platform).lock(account.login, key=keys.account_lock(account.id, why))


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
    """Lets a frozen account trade again. An account that has ended, or has a verdict waiting, stays disabled."""
    async with deps.db.transaction() as session:
        account = await session.get_one(Account, account_id)
        shut = account.status != "active" or await challenges.verdict_waits(session, account_id)
    if not shut:
        await deps.platforms.of(account.platform).set_trading(login, key=keys.trading(key, "thaw"), enabled=True)


async def _traded(deps: Deps, challenge_id: str, platform: TradingPlatform, login: int) -> bool:
    async with deps.db.transaction() as session:
        if await challenges.ever_traded(session, challenge_id):
            return True
    return bool(await platform.deals(login))
