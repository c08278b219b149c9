"""Payouts that one person approves with others at once."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.bulk import payout_alone
from domain.money import Money
from firm.payouts import approving, row
from store.models import Payout, User
from store.read.pages import mask_iban


async def alone(session: AsyncSession, payout: Payout, actor: Actor) -> str:
    """Returns why a locked payout must be approved alone, as a sentence; empty when `actor` may approve it with others.
    What the approval itself checks is checked when it is made."""
    requester = await session.get_one(User, payout.requested_by)
    if requester.person_id == actor.person_id:
        return "You asked for this payout; somebody else must decide it."
    return payout_alone(
        state=payout.state,
        halted=payout.halted is not None,
        approvals_round=payout.round,
        checks=payout.checks,
        needed=await approving.needed(session, payout),
    )


async def read(session: AsyncSession, payout_id: str, actor: Actor) -> tuple[str, str, str, Money]:
    """Returns why it must be approved alone, what approving it does, the `seen` that the approval carries, and what it
    sends. Raises NotFound."""
    payout = await row.locked(session, payout_id)
    sent = approving.sent_of(payout)
    seen = await approving.seen(session, payout, await row.product_of(session, payout))
    account = mask_iban(payout.beneficiary)
    return await alone(session, payout, actor), f"Sends {sent} to {account}.", seen, sent
