"""Orders that go on from a challenge: a reset or buyback of its phase, or the activation of its funded account.

Each begins in a challenge of its own, so that its payment, refunds and chargebacks are those of every challenge. Once
it is paid, the challenge that it goes on from is closed.
"""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ClosedByFirm
from domain import record_keys
from domain.approvals import Actor
from domain.disputes import DISPUTE
from domain.errors import NotFound, OrderRefused
from domain.fees import OrderKind
from domain.lifecycle import CHALLENGE, UNPAID, check_orderable, order_of
from domain.money import Money
from firm import challenges, disputes, fees, messages
from firm.selling import pricing, sales
from firm.selling.pricing import Taxed
from store import chains, products
from store.models import Account, Challenge

_ENDED_UNPAID = UNPAID - {"awaiting_payment", "payment_review"}


async def order(
    session: AsyncSession,
    challenge_id: str,
    kind: OrderKind,
    *,
    return_url: str,
    provider: str,
    actor: Actor,
    taxed: Taxed | None = None,
) -> Challenge:
    """A trader orders what goes on from a challenge. Nothing changes there before it is paid. `taxed`: the taxes on its
    price.

    Raises NotFound (also for the challenge of another trader), OrderRefused.
    """
    old = await challenges.lock(session, challenge_id)
    if old.trader_id != actor.trader_id:
        raise NotFound
    product, account = await challenges.terms(session, old), await challenges.account(session, old)
    price = check_orderable(kind, old.state, product.order_minor(kind))
    if account is None:
        raise OrderRefused("No phase has begun yet.")
    if await _disputed(session, old):
        raise OrderRefused("The breach of this challenge is disputed.", remedy="Wait for the decision.")
    if await has_no_successor(session, old):
        raise OrderRefused("Nothing can be ordered for this challenge any more.", remedy="Buy a new challenge.")
    if await is_ordered(session, old.id):
        raise OrderRefused("It was ordered already.", remedy="Pay that order, or let it expire.")
    wanted = challenges.Order(kind, old.id, _phase(account, kind), price)
    return await challenges.buy(
        session,
        trader_id=old.trader_id,
        product=product,
        return_url=return_url,
        provider=provider,
        actor=actor,
        order=wanted,
        sold=None if taxed is None else pricing.with_taxes(sales.plainly(product, kind, price), taxed),
    )


async def problem(session: AsyncSession, challenge: Challenge) -> str:
    """Returns why an order that is being paid is not possible any more, as a sentence; empty when it is. Locks the
    challenge that it replaces."""
    if challenge.replaces is None:
        return ""
    old = await challenges.lock(session, challenge.replaces)
    account = await challenges.account(session, old)
    kind = order_of(old.state)
    same = kind == challenge.fee_of and account is not None and _phase(account, kind) == challenge.phase_index + 1
    if await has_no_successor(session, old):
        why = "a payment for it went back, or a case against it was confirmed"
    elif not same or await _disputed(session, old):
        why = f"it is {old.state.replace('_', ' ')}"
    else:
        return ""
    return f"The {challenge.fee_of} of challenge {old.id} is not possible any more: {why}."


async def price(session: AsyncSession, challenge_id: str, kind: OrderKind) -> tuple[str, Money] | None:
    """Returns the product on sale that an order is about, and the price before taxes; None when it is not sold. Raises
    NotFound."""
    old = await session.get(Challenge, challenge_id)
    if old is None:
        raise NotFound
    product = await challenges.terms(session, old)
    minor = product.order_minor(kind)
    if minor is None:
        return None
    sold_as = await products.sold_as(session, product)
    return sold_as, Money(minor=minor, currency=product.currency)


def _phase(account: Account, kind: OrderKind) -> int:
    """Returns the phase that an order opens, after the last account of the challenge that it goes on from."""
    return account.phase_index + 1 if kind == "activation" else account.phase_index


async def close_replaced(session: AsyncSession, challenge: Challenge) -> None:
    """Has the challenge that this paid one replaces closed, unless it has ended. The caller has asked for `problem`."""
    old = None if challenge.replaces is None else await session.get_one(Challenge, challenge.replaces)
    if old is not None and old.state not in CHALLENGE.terminal:
        fact = ClosedByFirm(key=record_keys.challenge_replaced(challenge.id), case_id="")
        await messages.signal(session, challenge_workflow(old.id), fact)


async def replaced_by(session: AsyncSession, challenge_id: str) -> str | None:
    """Returns the id of the paid challenge that replaces this one; None when there is none."""
    found: str | None = await session.scalar(
        select(Challenge.id).where(Challenge.replaces == challenge_id, Challenge.state.not_in(UNPAID)).limit(1)
    )
    return found


async def is_ordered(session: AsyncSession, challenge_id: str) -> bool:
    """Returns whether an order that goes on from this challenge is paid, or can still be paid."""
    found = select(Challenge.id).where(Challenge.replaces == challenge_id, Challenge.state.not_in(_ENDED_UNPAID))
    return await session.scalar(found.limit(1)) is not None


async def has_no_successor(session: AsyncSession, challenge: Challenge) -> bool:
    """Returns whether nothing goes on from this challenge: a confirmed case blames it, or a payment of it or of one
    that it goes on from went back to the payer."""
    if await challenges.case_against(session, challenge.id) is not None:
        return True
    chain = await chains.back_from(session, challenge.id)
    return any([await fees.went_back(session, await session.get_one(Challenge, each)) for each in chain])


async def _disputed(session: AsyncSession, challenge: Challenge) -> bool:
    dispute = await disputes.of_confirmed_breach(session, challenge.account_id or "")
    return dispute is not None and dispute.state not in DISPUTE.terminal
