"""Buying: the price of a purchase, the order, and its checkout at the acquirer. The API and the console share it."""

from typing import Annotated, Any

from pydantic import BeforeValidator, Field
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.approvals import Actor
from domain.fees import OrderKind
from domain.money import Money
from domain.selling.coupons import CODE, MOST_TOGETHER
from firm import challenges, confirmations, orders
from firm.selling import pricing
from firm.selling.pricing import Taxed, Wanted
from firm.selling.sales import Sold
from front.deps import ApiDeps
from front.fields import Input, Slug
from ports.acquirer import CheckoutOrder
from store.models import Challenge, Trader


def _capitals(text: Any) -> Any:
    return text.strip().upper() if isinstance(text, str) else text


AddOnId = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{1,40}$")]
Code = Annotated[str, BeforeValidator(_capitals), Field(pattern=CODE)]
Hash = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]


class Purchase(Input):
    """`coupons`: codes."""

    product: Slug
    add_ons: Annotated[tuple[AddOnId, ...], Field(max_length=20)] = ()
    coupons: Annotated[tuple[Code, ...], Field(max_length=MOST_TOGETHER)] = ()

    @property
    def wanted(self) -> Wanted:
        return Wanted(self.product, self.add_ons, self.coupons)


class PurchaseOrder(Purchase):
    """`quote`: the digest of the price that the buyer saw. `accepted_terms`: the hash of the terms that the buyer has
    read and accepts. An order with a price or terms of another time is refused."""

    quote: Hash | None = None
    accepted_terms: Hash | None = None


class OrderForTrader(PurchaseOrder):
    """As `PurchaseOrder`. `accepted_terms` is needed: whoever orders for a trader has shown them the terms."""

    accepted_terms: Hash


async def offer(deps: ApiDeps, trader_id: str, purchase: Purchase) -> Sold:
    """Returns the purchase with its price for this trader. Changes nothing. Raises BadInput, OrderRefused,
    CouponRefused, Unavailable."""
    async with deps.db.transaction() as session:
        sold = await pricing.net_price(session, purchase.wanted)
        await pricing.check_coupons(session, sold, trader_id)
    net = Money(minor=sold.quote.net_minor, currency=sold.quote.currency)
    return pricing.with_taxes(sold, await _taxed(deps, trader_id, sold.of.product, net))


async def taxes_of(deps: ApiDeps, trader_id: str, purchase: Purchase) -> Taxed:
    """Returns the taxes on a purchase, to be given to `order`. Whether its coupons can be used is not checked."""
    async with deps.db.transaction() as session:
        sold = await pricing.net_price(session, purchase.wanted)
    net = Money(minor=sold.quote.net_minor, currency=sold.quote.currency)
    return await _taxed(deps, trader_id, sold.of.product, net)


async def taxes_of_order(deps: ApiDeps, actor: Actor, challenge_id: str, kind: OrderKind) -> Taxed | None:
    """Returns the taxes on an order from a challenge; None when it is not sold. Raises NotFound."""
    async with deps.db.transaction() as session:
        found = await orders.price(session, challenge_id, kind)
    return None if found is None else await _taxed(deps, actor.trader_id or "", found[0], found[1])


async def _taxed(deps: ApiDeps, trader_id: str, product: str, net: Money) -> Taxed:
    async with deps.db.transaction() as session:
        country = (await session.get_one(Trader, trader_id)).country
    taxes = await deps.taxes.quote(country, product, net)
    return Taxed(net, taxes, deps.taxes.seller.model_dump(mode="json"))


async def order(session: AsyncSession, deps: ApiDeps, actor: Actor, body: PurchaseOrder, taxed: Taxed) -> Challenge:
    """The challenge, its checkout's intent and its workflow's start, in one transaction. Raises EmailUnconfirmed, and
    what `firm.selling.pricing.order` refuses with."""
    await confirmations.check_confirmed(session, actor.trader_id or "", deps.sign_ins)
    return await _order(session, deps, actor, body, taxed, "")


async def order_for(
    session: AsyncSession, deps: ApiDeps, actor: Actor, trader_id: str, body: OrderForTrader, taxed: Taxed
) -> Challenge:
    """The same, by a member of staff for a trader, whose address need not be confirmed: payouts still wait for it."""
    return await _order(session, deps, actor, body, taxed, trader_id)


async def _order(
    session: AsyncSession, deps: ApiDeps, actor: Actor, body: PurchaseOrder, taxed: Taxed, buyer: str
) -> Challenge:
    return await pricing.order(
        session,
        body.wanted,
        taxed,
        seen=body.quote,
        accepted_terms=body.accepted_terms,
        return_url=return_url(deps),
        provider=deps.payments.acquirers.default,
        actor=actor,
        buyer=buyer,
    )


def return_url(deps: ApiDeps) -> str:
    """Returns where the acquirer sends the buyer after the checkout, paid or not."""
    return f"{deps.public_url}/checkout/{{id}}"


async def ensure_checkout(deps: ApiDeps, challenge_id: str) -> None:
    """Create the checkout outside of any transaction; the intent's key makes doing it twice harmless. A checkout of an
    order that was cancelled meanwhile is closed."""
    async with deps.db.transaction() as session:
        row = await session.get_one(Challenge, challenge_id)
        if row.checkout_id is not None:
            return
        key, terms = await challenges.checkout_terms(session, challenge_id)
        acquirer = deps.payments.acquirers.of(row.provider)
    checkout = await acquirer.create_checkout(CheckoutOrder(**terms), key=key)
    async with deps.db.transaction() as session:
        payable = await challenges.record_checkout(
            session, challenge_id, checkout_id=checkout.checkout_id, url=checkout.url
        )
    if not payable:
        await acquirer.expire_checkout(checkout.checkout_id, key=keys.checkout_expiry(challenge_id))
