"""What the record says about the actions that people can take on an account now. Nothing is locked: each action checks
again when it is taken."""

from collections.abc import Collection, Sequence

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.account_actions import AccountFacts, Action, MoreTime, actions
from domain.disputes import DISPUTE
from domain.errors import BadInput, Conflict, ExtensionRefused, NotFound, OrderRefused
from domain.lifecycle import check_orderable, check_refundable
from domain.money import Money
from domain.products.product import Product
from domain.products.publishing import check_movable
from domain.surveillance.casework import CASE
from firm import challenges, refunds, trading_pauses
from store import credentials, products, suspensions
from store.clock import market_now
from store.models import Account, AccountLive, Case, CaseAccount, Challenge, Dispute, Payout
from store.read import places, versions


async def possible(
    session: AsyncSession,
    account_id: str,
    *,
    sets_trading: bool,
    cancels_orders: bool,
    resettable: bool,
    other_platforms: Collection[str],
) -> tuple[Action, ...]:
    """Returns every action on the account, with what it does now or why it cannot be done. `sets_trading`,
    `cancels_orders`, `resettable`: what its platform can do. `other_platforms`: that the account could move to.
    Raises NotFound."""
    account = await session.get(Account, account_id)
    if account is None:
        raise NotFound
    challenge = await session.get_one(Challenge, account.challenge_id)
    live = await session.get(AccountLive, account_id)
    product = await products.load(session, account.product, account.version)
    names = {"account_id": account.id, "challenge_id": challenge.id}
    kept = await trading_pauses.reasons(session, **names, platform=account.platform, product=account.product)
    current = challenge.account_id == account.id
    more_time, no_more_time = await _more_time(session, challenge, current=current)
    reset_price = product.order_minor("reset")
    payouts = await _open_payouts(session, account_id)
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
        kept_disabled=tuple(each for each in kept if each != trading_pauses.FROZEN),
        sets_trading=sets_trading,
        cancels_orders=cancels_orders,
        payouts=payouts,
        has_time_limit=product.phase(account.phase_index).time_limit_days is not None,
        more_time=more_time,
        no_more_time=no_more_time,
        fee=Money(minor=await refunds.left_minor(session, challenge), currency=challenge.currency),
        provider=challenge.provider,
        no_refund=await _no_refund(session, challenge, current=current),
        reset_price=None if reset_price is None else Money(minor=reset_price, currency=product.currency),
        no_reset=_no_reset(challenge, reset_price, current=current),
        versions=later,
        no_move=no_move,
        next_reset=product.clock.next_reset(await market_now(session)),
        no_platform=await _no_platform(session, account, other_platforms),
        cases=await _open_cases(session, account_id),
        disputes=await _open_disputes(session, account_id),
        no_credentials=await _no_credentials(session, account, resettable=resettable),
    )
    return actions(facts)


async def later_versions(session: AsyncSession, account: Account) -> tuple[int, ...]:
    """Returns the later versions of its product that an account can move to, oldest first."""
    product = await products.load(session, account.product, account.version)
    return (await _later_versions(session, account, product, False))[0]


async def open_case(session: AsyncSession, account_id: str) -> str | None:
    """Returns the newest open case that names the account."""
    return next(iter(await _open_cases(session, account_id)), None)


async def open_dispute(session: AsyncSession, account_id: str) -> str | None:
    """Returns the newest dispute of the account that is not decided."""
    return next(iter(await _open_disputes(session, account_id)), None)


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


def _no_reset(challenge: Challenge, price_minor: int | None, *, current: bool) -> str:
    if not current:
        return "The account has ended. Only the present account of a challenge can be reset."
    try:
        check_orderable("reset", challenge.state, price_minor)
    except OrderRefused as refused:
        return refused.message
    return ""


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


async def _open_payouts(session: AsyncSession, account_id: str) -> tuple[Money, ...]:
    rows = await session.execute(
        select((Payout.trader_minor + Payout.refund_minor).label("sent_minor"), Payout.currency)
        .where(Payout.account_id == account_id, Payout.closed_at.is_(None))
        .order_by(Payout.id)
    )
    return tuple(Money(minor=row.sent_minor, currency=row.currency) for row in rows)


async def _open_cases(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    found = select(Case.id).join(CaseAccount, CaseAccount.case_id == Case.id)
    of_account = found.where(CaseAccount.account_id == account_id, Case.state == CASE.initial)
    return tuple(await session.scalars(of_account.order_by(Case.opened_at.desc(), Case.id)))


async def _open_disputes(session: AsyncSession, account_id: str) -> tuple[str, ...]:
    undecided: Sequence[str] = sorted(DISPUTE.states - DISPUTE.terminal)
    found = select(Dispute.id).where(Dispute.account_id == account_id, Dispute.state.in_(undecided))
    return tuple(await session.scalars(found.order_by(Dispute.opened_at.desc(), Dispute.id)))


async def _no_credentials(session: AsyncSession, account: Account, *, resettable: bool) -> str:
    if account.login is None:
        return "The account is not open at the platform yet."
    if not resettable:
        return f"The password is set on the page of the platform {account.platform}, and not here."
    found = await credentials.standing(session, account.id)
    return "The platform is still making the login." if found is not None and found.state == "making" else ""
