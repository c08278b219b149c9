"""The shelf, buying a challenge, and getting the fee back."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.challenges import ChallengeStatus
from contracts.ids import challenge_workflow
from contracts.messages import RefundRequest
from domain.errors import NotFound
from domain.fees import OrderKind
from domain.lifecycle import CHALLENGE
from domain.money import Money
from domain.products.product import Product
from firm import challenges, orders
from front import checkout
from front.auth import Caller, Deps, SignedInCaller, allowed
from front.checkout import PurchaseOrder
from front.deps import ApiDeps
from front.fields import AmountText, ChallengeId, Input, Reason, positive_money, window
from front.lists import asked_of
from front.once import Keyed
from store import products
from store.models import Challenge
from store.read import challenges as read
from store.read.listing import Asked
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["challenges"])


class ProductView(View):
    """A version as it is sold, with all of its terms; `content_hash` is what accounts and proof sheets name."""

    product: str
    version: int
    name: str
    content_hash: str
    terms: Product


class ProductList(View):
    items: tuple[ProductView, ...]
    next_cursor: None = None


class FollowingOrderBody(Input):
    kind: OrderKind


class Bought(View):
    """Pay at `checkout_url`; the challenge starts when the payment has arrived. `fee_minor`: all that is paid, after
    discounts and with taxes."""

    id: str
    state: str
    product: str
    version: int
    fee_minor: int
    currency: str
    checkout_id: str
    checkout_url: str


class RefundBody(Input):
    """`amount`: a part of the fee, in its currency; without it all of the fee goes back."""

    reason: Reason
    amount: AmountText | None = None


class RefundAnswer(View):
    id: str
    state: str


class ExtensionBody(Input):
    reason: Reason


class ExtensionAnswer(View):
    """`deadline`: market time at which the phase is over now; `extensions_left`: how often it can still be moved."""

    id: str
    deadline: datetime
    extensions_left: int


class Ordered(View):
    """The part of a purchase that is remembered under its key: the checkout follows from it."""

    id: str


def _product_view(product: Product) -> ProductView:
    return ProductView(
        product=product.product,
        version=product.version,
        name=product.name,
        content_hash=product.content_hash,
        terms=product,
    )


@router.get("/products", dependencies=[Depends(allowed("products.read"))])
async def list_products(deps: Deps) -> ProductList:
    """The newest version of everything the firm sells."""
    async with deps.db.transaction() as session:
        return ProductList(items=tuple(_product_view(product) for product in await products.newest_of_each(session)))


@router.get("/products/{product}", dependencies=[Depends(allowed("products.read"))])
async def get_product(product: str, deps: Deps) -> ProductView:
    async with deps.db.transaction() as session:
        found = {p.product: p for p in await products.newest_of_each(session)}.get(product)
    if found is None:
        raise NotFound
    return _product_view(found)


@router.post("/challenges", status_code=201, dependencies=[Depends(allowed("challenges.buy"))])
async def buy_challenge(body: PurchaseOrder, once: Keyed, deps: Deps) -> Bought:
    """Order a challenge: nothing is charged before the buyer pays at the checkout. See /v1/checkout/preview for its
    price."""
    taxed = await checkout.taxes_of(deps, once.actor.trader_id or "", body)

    async def work(session: AsyncSession) -> Ordered:
        return Ordered(id=(await checkout.order(session, deps, once.actor, body, taxed)).id)

    ordered = await once.write(Ordered, body, work)
    return await bought(deps, ordered.id)


@router.post("/challenges/{challenge_id}/orders", status_code=201, dependencies=[Depends(allowed("challenges.order"))])
async def order_from_challenge(challenge_id: ChallengeId, body: FollowingOrderBody, once: Keyed, deps: Deps) -> Bought:
    """Order what goes on from a challenge: a reset of its phase, a buyback of its broken account, or the activation of
    its funded account. It begins in a challenge of its own once that is paid; this one is closed then."""
    taxed = await checkout.taxes_of_order(deps, once.actor, challenge_id, body.kind)

    async def work(session: AsyncSession) -> Ordered:
        row = await orders.order(
            session,
            challenge_id,
            body.kind,
            return_url=checkout.return_url(deps),
            provider=deps.payments.acquirers.default,
            actor=once.actor,
            taxed=taxed,
        )
        return Ordered(id=row.id)

    ordered = await once.write(Ordered, body, work)
    return await bought(deps, ordered.id)


async def bought(deps: ApiDeps, challenge_id: str) -> Bought:
    """Returns the order with its checkout."""
    await checkout.ensure_checkout(deps, challenge_id)
    async with deps.db.transaction() as session:
        row = await session.get_one(Challenge, challenge_id)
        return Bought(
            id=row.id,
            state=CHALLENGE.initial,  # as it was bought: a repetition gets the first answer
            product=row.product,
            version=row.version,
            fee_minor=row.fee_minor,
            currency=row.currency,
            checkout_id=row.checkout_id or "",
            checkout_url=row.checkout_url or "",
        )


@router.get("/challenges")
async def list_challenges(
    caller: Annotated[Caller, Depends(allowed("challenges.read"))],
    deps: Deps,
    page: Annotated[Window, Depends(window)],
    asked: Annotated[Asked, Depends(asked_of(read.CHALLENGES))],
) -> Page[read.ChallengeRow]:
    async with deps.db.transaction() as session:
        return await read.page(session, caller.scope, page, asked)


@router.get("/challenges/{challenge_id}")
async def get_challenge(
    challenge_id: ChallengeId, caller: Annotated[Caller, Depends(allowed("challenges.read"))], deps: Deps
) -> read.ChallengeView:
    async with deps.db.transaction() as session:
        return await read.one(session, caller.scope, challenge_id)


@router.post("/challenges/{challenge_id}/refund", dependencies=[Depends(allowed("challenges.refund"))])
async def refund_challenge(
    challenge_id: ChallengeId, body: RefundBody, once: Keyed, caller: SignedInCaller, deps: Deps
) -> RefundAnswer:
    """Give the fee back, before the first trade; or a part of it, which finance can do at any time."""
    part: Money | None = None
    if body.amount is not None:
        async with deps.db.transaction() as session:
            currency = (await read.one(session, caller.scope, challenge_id)).currency
        part = positive_money(body.amount, currency)

    async def state_of(session: AsyncSession) -> str:
        return (await read.one(session, caller.scope, challenge_id)).state

    status = await once.decide(
        "challenge",
        challenge_id,
        challenge_workflow(challenge_id),
        "refund",
        body.reason,
        body=body,
        machine=CHALLENGE,
        state_of=state_of,
        refund_minor=None if part is None else part.minor,
        message=RefundRequest,
        result=ChallengeStatus,
        proof="money",
    )
    return RefundAnswer(id=challenge_id, state=status.state)


@router.post("/challenges/{challenge_id}/extension", dependencies=[Depends(allowed("challenges.extend"))])
async def extend_challenge(
    challenge_id: ChallengeId, body: ExtensionBody, once: Keyed, caller: SignedInCaller
) -> ExtensionAnswer:
    """More time for the phase under way, as often as the product allows; before its time is over."""

    async def work(session: AsyncSession) -> ExtensionAnswer:
        await read.one(session, caller.scope, challenge_id)  # another trader's challenge does not exist
        given = await challenges.extend(
            session, challenge_id, actor=once.actor, key=once.message_key, reason=body.reason
        )
        return ExtensionAnswer(id=challenge_id, deadline=given.deadline, extensions_left=given.left)

    return await once.write(ExtensionAnswer, body, work)
