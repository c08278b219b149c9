"""The dates of a payout that waits for people: when it is raised to the role above, and when it ends undecided."""

from datetime import datetime, timedelta

from sqlalchemy.ext.asyncio import AsyncSession

from domain.payouts.policy import PayoutPolicy
from domain.products.product import Product
from firm.payouts import conversions, policies
from store import audit
from store.clock import market_now
from store.models import Beneficiary, Payout

ROLE_ABOVE = "admin"
_A_MOMENT = timedelta(seconds=1)  # a rate may be used until the instant at which it expires


def decide_by(policy: PayoutPolicy, product: Product, requested_at: datetime) -> datetime:
    """Returns the end of a request: what the product promises the trader, or the firm's policy when that is earlier."""
    promised = timedelta(days=product.payout.decision_days)
    return requested_at + min(promised, timedelta(hours=policy.decide_within_hours))


async def next_date(session: AsyncSession, payout: Payout) -> datetime | None:
    """Returns the next date in market time at which a payout that waits for people must be judged again."""
    now, policy = await market_now(session), await policies.in_force(session)
    dates = [payout.decide_by]
    if payout.escalated_at is None:
        dates.append(payout.requested_at + policy.escalate_after)
    beneficiary = await session.get(Beneficiary, payout.beneficiary_id or "")
    if beneficiary is not None and (usable := beneficiary.added_at + policy.beneficiary_cooling) > now:
        dates.append(usable)
    conversion = conversions.of(payout)
    if conversion is not None and (expires := conversions.expires_at(conversion, policy)) >= now:
        dates.append(expires + _A_MOMENT)
    return min((date for date in dates if date is not None), default=None)


async def escalate(session: AsyncSession, payout: Payout) -> None:
    """Raise a payout that waits for people to the role above, once it is older than the policy allows: the queue, its
    page and the audit log say so. It can still be decided by everybody who could before."""
    now, policy = await market_now(session), await policies.in_force(session)
    if payout.escalated_at is not None or now < payout.requested_at + policy.escalate_after:
        return
    payout.escalated_at = now
    await audit.record(
        session,
        action="payout.escalated",
        subject_kind="payout",
        subject_id=payout.id,
        occurred_at=now,
        reason=f"nobody has decided it within {policy.escalate_after_hours} hours",
        evidence={"to": ROLE_ABOVE, "policy": policy.content_hash},
    )
