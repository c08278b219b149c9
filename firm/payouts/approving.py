"""Who must approve a payout, who has, and how much one person may approve."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import APPROVE, Actor, Vote, approvers
from domain.errors import ApprovalLimit
from domain.money import Money
from domain.payouts.payout import CAME_BACK
from domain.payouts.policy import DayTotals, PayoutPolicy, Seen, checkers_needed
from domain.products.product import Product
from firm.payouts import beneficiaries, conversions, policies
from store import crypto, decisions, products
from store.clock import market_now
from store.models import Decision, Payout, User
from store.read import accounts
from store.read import payouts as read
from store.read.payouts import PayoutView
from store.scope import Scope

_NOT_LEAVING: Final = (
    *("requested", "reserved", "in_review", "awaiting_approval", "releasing"),
    *("refused", "rejected", "cancelled", "timed_out"),
)
_SENT: Final = Payout.trader_minor + Payout.refund_minor


def sent_of(payout: Payout) -> Money:
    """Returns the whole amount that leaves, in the account's currency: the share and the refunded part of the fee."""
    return Money(minor=payout.trader_minor + payout.refund_minor, currency=payout.currency)


async def standing(session: AsyncSession, payout: Payout, digest: str) -> frozenset[str]:
    """Returns the persons who approve this payout as it is now: people, roles and terms as they are at this moment."""
    votes: Sequence[Vote] = await decisions.votes(session, "payout", payout.id)
    if not votes:
        return frozenset()
    requester = await session.get_one(User, payout.requested_by)
    return approvers(
        "payout",
        votes,
        requester_person=requester.person_id,
        digest=digest,
        approvals_round=payout.round,
        now=await market_now(session),
    )


async def needed(session: AsyncSession, payout: Payout) -> int:
    """Returns how many people must approve a locked payout. Until it is approved, the limits of the day count too: then
    payouts that use up the same limit wait for each other until the transaction ends."""
    policy, sent = await policies.in_force(session), sent_of(payout)
    if payout.approved_at is not None and payout.state not in _NOT_LEAVING:
        by_amount = checkers_needed(policy, sent, approvals_round=payout.round)
        return max(by_amount, payout.approvers_needed)
    day = await _day_totals(session, payout, policy)
    return checkers_needed(policy, sent, approvals_round=payout.round, day=day)


async def _day_totals(session: AsyncSession, payout: Payout, policy: PayoutPolicy) -> DayTotals:
    own = policy.currencies.get(payout.currency)
    if own is None or (own.automatic_per_day is None and own.trader_per_day is None):
        return DayTotals()
    await _wait_turn(session, f"payout-day/{payout.currency}")
    begin = _day_begin(await market_now(session))
    leaving = (
        Payout.currency == payout.currency,
        Payout.approved_at >= begin,
        Payout.approved_at < begin + timedelta(days=1),
        Payout.state.not_in(_NOT_LEAVING),
        Payout.id != payout.id,
    )
    return DayTotals(
        automatic_minor=await _sum(session, *leaving, Payout.approvers_needed == 0),
        trader_minor=await _sum(session, *leaving, Payout.trader_id == payout.trader_id),
    )


async def check_person_limit(session: AsyncSession, payout: Payout, actor: Actor) -> None:
    """Refuse an approval beyond what one person may approve a day. Two approvals of one person wait for each other
    until the transaction ends. Raises ApprovalLimit."""
    limit = (await policies.in_force(session)).person_per_day(payout.currency)
    if limit is None:
        return
    await _wait_turn(session, f"payout-person/{actor.person_id}")
    begin = _day_begin(await market_now(session))
    approved = (
        select(Decision.subject_id)
        .where(
            Decision.person_id == actor.person_id,
            Decision.subject_kind == "payout",
            Decision.decision == APPROVE,
            Decision.occurred_at >= begin,
            Decision.occurred_at < begin + timedelta(days=1),
            Decision.subject_id != payout.id,
        )
        .distinct()
    )
    before = await _sum(session, Payout.id.in_(approved), Payout.currency == payout.currency)
    sent = sent_of(payout)
    if before + sent.minor > limit.minor:
        used = Money(minor=before, currency=payout.currency)
        raise ApprovalLimit(
            f"You have approved {used} today, and one person may approve {limit} a day; this payout is {sent}.",
            remedy="Ask a colleague to approve it.",
        )


async def seen(session: AsyncSession, payout: Payout, product: Product) -> str:
    """Returns what an approval of the payout as it is now must carry: the digests of what its page shows."""
    policy = await policies.in_force(session)
    amounts = f"{payout.gross_minor}/{payout.trader_minor}/{payout.refund_minor}/{payout.forfeited_minor}"
    conversion = conversions.of(payout)
    exchanged = "" if conversion is None else f"/{conversions.sentence(conversion)}"
    return Seen(
        amount=crypto.keys().digest(f"{payout.id}/{amounts}/{payout.currency}{exchanged}"),
        beneficiary=crypto.keys().digest(payout.beneficiary),
        rules=product.content_hash,
        policy=policy.content_hash,
        approvals_round=payout.round,
    ).text


async def _sum(session: AsyncSession, *which: ColumnElement[bool]) -> int:
    total: Any = await session.scalar(select(func.coalesce(func.sum(_SENT), 0)).where(*which))
    return int(total)


async def _wait_turn(session: AsyncSession, name: str) -> None:
    await session.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(name, 0))))


def _day_begin(now: datetime) -> datetime:
    return now.replace(hour=0, minute=0, second=0, microsecond=0)


async def viewed(session: AsyncSession, scope: Scope, payout_id: str) -> PayoutView:
    """Returns a payout to read; for staff with `seen` and `send_to`. Raises NotFound."""
    view = await read.one(session, scope, payout_id)
    if not scope.staff:
        return view
    payout = await session.get_one(Payout, payout_id)
    account = (await accounts.loaded(session, scope, payout.account_id)).account
    product = await products.load(session, account.product, account.version)
    again = await beneficiaries.targets(session, payout) if payout.halted or payout.state in CAME_BACK else ()
    shown = {"seen": await seen(session, payout, product), "send_to": again}
    return view.model_copy(update=shown | {"beneficiary_digest": beneficiaries.digest(payout.beneficiary)})
