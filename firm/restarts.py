"""Resets and buybacks: the phase of a challenge is bought again, and begins in a challenge of its own.

So its payment, refunds and chargebacks are those of every challenge. Once it is paid, the challenge that it replaces
is closed.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ClosedByFirm
from domain import keys
from domain.approvals import Actor
from domain.disputes import DISPUTE
from domain.errors import NotFound, RestartRefused
from domain.fees import RestartKind
from domain.lifecycle import UNPAID, check_restartable, restart_of
from firm import challenges, disputes, messages
from store.models import Challenge

_ENDED_UNPAID = UNPAID - {"awaiting_payment", "payment_review"}


async def order(
    session: AsyncSession, challenge_id: str, kind: RestartKind, *, return_url: str, provider: str, actor: Actor
) -> Challenge:
    """A trader orders a restart of the phase of a challenge. Nothing changes there before it is paid.

    Raises NotFound (also for the challenge of another trader), RestartRefused.
    """
    old = await challenges.lock(session, challenge_id)
    if old.trader_id != actor.trader_id:
        raise NotFound
    product, account = await challenges.terms(session, old), await challenges.account(session, old)
    price = check_restartable(kind, old.state, product.restart_minor(kind))
    if account is None:
        raise RestartRefused("No phase has begun yet.")
    if await _disputed(session, old):
        raise RestartRefused("The breach of this challenge is disputed.", remedy="Wait for the decision.")
    if await _ordered(session, old.id):
        raise RestartRefused("The phase was ordered again already.", remedy="Pay that order, or let it expire.")
    restart = challenges.Restart(kind, old.id, account.phase_index, price)
    return await challenges.buy(
        session,
        trader_id=old.trader_id,
        product=product,
        return_url=return_url,
        provider=provider,
        actor=actor,
        restart=restart,
    )


async def problem(session: AsyncSession, challenge: Challenge) -> str:
    """Returns why a restart that is being paid is not possible any more, as a sentence; empty when it is. Locks the
    challenge that it replaces."""
    if challenge.replaces is None:
        return ""
    old = await challenges.lock(session, challenge.replaces)
    account = await challenges.account(session, old)
    same_phase = account is not None and account.phase_index == challenge.phase_index + 1
    if restart_of(old.state) is None or not same_phase or await _disputed(session, old):
        return f"The phase of challenge {old.id} cannot begin again any more: it is {old.state.replace('_', ' ')}."
    return ""


async def close_replaced(session: AsyncSession, challenge: Challenge) -> None:
    """Has the challenge that this paid one replaces closed."""
    if challenge.replaces is not None:
        fact = ClosedByFirm(key=keys.challenge_replaced(challenge.id), case_id="")
        await messages.signal(session, challenge_workflow(challenge.replaces), fact)


async def replaced_by(session: AsyncSession, challenge_id: str) -> str | None:
    """Returns the id of the paid challenge that replaces this one; None when there is none."""
    found: str | None = await session.scalar(
        select(Challenge.id).where(Challenge.replaces == challenge_id, Challenge.state.not_in(UNPAID)).limit(1)
    )
    return found


async def _ordered(session: AsyncSession, challenge_id: str) -> bool:
    order = select(Challenge.id).where(Challenge.replaces == challenge_id, Challenge.state.not_in(_ENDED_UNPAID))
    return await session.scalar(order.limit(1)) is not None


async def _disputed(session: AsyncSession, challenge: Challenge) -> bool:
    dispute = await disputes.of_confirmed_breach(session, challenge.account_id or "")
    return dispute is not None and dispute.state not in DISPUTE.terminal
