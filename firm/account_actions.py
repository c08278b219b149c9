"""What the record says about the actions that people can take on an account now. Nothing is locked: each action checks
again when it is taken."""

from collections.abc import Collection

from sqlalchemy.ext.asyncio import AsyncSession

from domain.account_actions import AccountFacts, Action, MoreTime, actions
from domain.errors import BadInput, Conflict, ExtensionRefused, NotFound
from domain.interventions import KINDS, why_not
from domain.lifecycle import check_refundable
from domain.money import Money
from domain.products.product import Product
from domain.products.publishing import check_movable
from firm import account_waits, challenges, interventions, refunds, trading_pauses
from store import credentials, products, suspensions
from store.clock import market_now
from store.models import Account, AccountLive, Challenge
from store.read import places, versions


async def possible(
    session: AsyncSession,
    account_id: str,
    *,
    sets_trading: bool,
    cancels_orders: bool,
    moves_balances: bool,
    resettable: bool,
    other_platforms: Collection[str],
) -> tuple[Action, ...]:
    """Returns every action on the account, with what it does now or why it cannot be done. `sets_trading`,
    `cancels_orders`, `moves_balances`, `resettable`: what its platform can do. `other_platforms`: that the account
    could move to. Raises NotFound."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    challenge = await session.get_one(Challenge, account.challenge_id)
    live = await session.get(AccountLive, account_id)
    product = await products.load(session, account.product, account.version)
    current = challenge.account_id == account.id
    more_time, no_more_time = await _more_time(session, challenge, current=current)
    payouts = await account_waits.open_payouts(session, account_id)
    by_hand = await interventions.facts(session, challenge, account, moves_balances=moves_balances)
    later, no_move = await _later_versions(session, account, product, bool(payouts))
    open_result = 0 if live is None else live.equity_minor - live.balance_minor
    facts = AccountFacts(
        number=f"A-{account.number}",
        platform=account.platform,
        status=account.status,
        current=current,
        open_positions=0 if live is None else len(live.positions),
        open_result=Money(minor=open_result, currency=account.currency),
        frozen=await suspensions.frozen_since(session, challenge.id) is not None,
        kept_disabled=await _kept_disabled(session, account),
        sets_trading=sets_trading,
        cancels_orders=cancels_orders,
        payouts=payouts,
        has_time_limit=product.phase(account.phase_index).time_limit_days is not None,
        more_time=more_time,
        no_more_time=no_more_time,
        fee=Money(minor=await refunds.left_minor(session, challenge), currency=challenge.currency),
        provider=challenge.provider,
        no_refund=await _no_refund(session, challenge, current=current),
        reset_price=_reset_price(product),
        phase=product.phase(account.phase_index).name,
        initial=Money(minor=account.initial_minor, currency=account.currency),
        balance=None if live is None else Money(minor=live.balance_minor, currency=account.currency),
        equity=None if live is None else Money(minor=live.equity_minor, currency=account.currency),
        trading_days=0 if live is None else live.trading_days,
        tightest=await _tightest(session, account, live),
        by_hand={kind: why_not(kind, by_hand) for kind in KINDS},
        versions=later,
        no_move=no_move,
        next_reset=product.clock.next_reset(await market_now(session)),
        no_platform=await _no_platform(session, account, other_platforms),
        cases=await account_waits.open_cases(session, account_id),
        disputes=await account_waits.open_disputes(session, account_id),
        no_credentials=await _no_credentials(session, account, resettable=resettable),
    )
    return actions(facts)


async def later_versions(session: AsyncSession, account: Account) -> tuple[int, ...]:
    """Returns the later versions of its product that an account can move to, oldest first."""
    product = await products.load(session, account.product, account.version)
    return (await _later_versions(session, account, product, False))[0]


async def open_case(session: AsyncSession, account_id: str) -> str | None:
    """Returns the newest open case that names the account."""
    return next(iter(await account_waits.open_cases(session, account_id)), None)


async def open_dispute(session: AsyncSession, account_id: str) -> str | None:
    """Returns the newest dispute of the account that is not decided."""
    return next(iter(await account_waits.open_disputes(session, account_id)), None)


async def _more_time(session: AsyncSession, challenge: Challenge, *, current: bool) -> tuple[MoreTime | None, str]:
    if not current:
        return None, "The account has ended. Extend the account of the present phase."
    try:
        found = await challenges.more_time(session, challenge)
    except ExtensionRefused as refused:
        return None, refused.message
    return found, ""


async def _no_refund(session: AsyncSession, challenge: Challenge, *, current: bool) -> str:
    if not current:
        return "The account has ended. A fee is refunded in the first phase, before the first trade."
    try:
        check_refundable(challenge.state, challenge.phase_index)
    except Conflict as refused:
        return refused.message
    if challenge.checkout_id is None or not await refunds.left_minor(session, challenge):
        return "This challenge has no payment to refund."
    if await refunds.under_way(session, challenge.id):
        return "A refund of this fee is under way."
    if await challenges.ever_traded(session, challenge.id):
        return "The account has traded. The fee can no longer be refunded."
    return ""


async def _kept_disabled(session: AsyncSession, account: Account) -> tuple[str, ...]:
    """Returns what else than a freeze keeps it from trading."""
    kept = await trading_pauses.reasons(
        session,
        account_id=account.id,
        challenge_id=account.challenge_id,
        platform=account.platform,
        product=account.product,
    )
    return tuple(each for each in kept if each != trading_pauses.FROZEN)


def _reset_price(product: Product) -> Money | None:
    price = product.order_minor("reset")
    return None if price is None else Money(minor=price, currency=product.currency)


async def _tightest(session: AsyncSession, account: Account, live: AccountLive | None) -> tuple[str, Money] | None:
    """Returns the rule with the least room now and this room; None when nothing limits the account."""
    if live is None:
        return None
    unchanged = await interventions.adjustment(session, account, Money(minor=0, currency=account.currency))
    limited = [each for each in unchanged.before if each.limited]
    if not limited:
        return None
    least = min(limited, key=lambda each: each.room_minor)
    return least.spec.rule_id, Money(minor=least.room_minor, currency=account.currency)


async def _later_versions(
    session: AsyncSession, account: Account, product: Product, has_payout: bool
) -> tuple[tuple[int, ...], str]:
    if account.status != "active":
        return (), "Only an active account can move to another version."
    if has_payout:
        return (), "A payout of the account is open. Decide that first."
    if await versions.pending_move(session, account.id) is not None:
        return (), "A move of the account to another version waits already."
    if await places.unfinished(session, account.id) is not None:
        return (), "The account is on its way to another platform."
    later = [each for each in await products.versions(session, account.product) if each > account.version]
    fits = [each for each in later if await _fits(session, account, product, each)]
    return tuple(fits), "" if fits else "Its product has no later version that the account fits."


async def _fits(session: AsyncSession, account: Account, old: Product, version: int) -> bool:
    new = await products.load(session, account.product, version)
    try:
        check_movable(old, new)
    except BadInput:
        return False
    return new.has_size(account.phase_index, account.initial_minor)


async def _no_platform(session: AsyncSession, account: Account, others: Collection[str]) -> str:
    if account.status != "active":
        return "Only an active account can change its platform."
    if await places.unfinished(session, account.id) is not None:
        return "The account is on its way to another platform."
    if not others:
        return "No other platform can take the account."
    return ""


async def _no_credentials(session: AsyncSession, account: Account, *, resettable: bool) -> str:
    if account.login is None:
        return "The account is not open at the platform yet."
    if not resettable:
        return f"The password is set on the page of the platform {account.platform}, and not here."
    found = await credentials.standing(session, account.id)
    return "The platform is still making the login." if found is not None and found.state == "making" else ""
