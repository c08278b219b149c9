"""Proposals of compensations, as the API and the console take them."""

from sqlalchemy.ext.asyncio import AsyncSession

from firm import compensations
from front.fields import positive_money
from front.once import Once
from store.models import Compensation
from store.read import disputes
from store.scope import scope_of


async def propose(
    session: AsyncSession, once: Once, dispute_id: str, *, amount: str, reason: str, message: str
) -> Compensation:
    """Proposes a voucher of this amount in the account's currency, such as "50.00". What is granted at once uses a
    step-up; the policy is asked again under the lock. Raises NotFound, BadInput, StepUpRequired, and what
    `firm.compensations.propose` refuses with."""
    dispute = await disputes.one(session, scope_of(once.actor), dispute_id)
    money = positive_money(amount, dispute.currency)
    alone = await compensations.grants_at_once(session, dispute.account_id, money, once.actor)
    if alone:
        await once.prove(session, "money", do="grant a voucher", dispute=dispute_id, amount=str(money), said=reason)
    return await compensations.propose(
        session,
        dispute_id,
        amount=money,
        actor=once.actor,
        reason=reason,
        message=message,
        key=once.message_key,
        proven=alone,
    )
