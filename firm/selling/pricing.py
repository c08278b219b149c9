"""What a purchase costs, and the order of it.

Taxes may come from a service outside, so that they are asked for between two transactions: first the net price, then
the taxes on it, then the order, which is refused when the net price has changed meanwhile.
"""

import dataclasses
from collections.abc import Sequence
from typing import NamedTuple

from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, ChangedMeanwhile, NotFound, OrderRefused
from domain.money import Money
from domain.products.add_ons import AddOn, chosen
from domain.products.product import Product
from domain.selling.coupons import check_together, discounts
from domain.selling.price import PriceLine, Quote, TaxLine
from firm import challenges
from firm.selling import coupons
from firm.selling.sales import Sold
from store import products
from store.models import Challenge


class Wanted(NamedTuple):
    """A purchase that a buyer puts together. `coupons`: codes."""

    product: str
    add_ons: Sequence[str] = ()
    coupons: Sequence[str] = ()


class Taxed(NamedTuple):
    """The taxes on a net price, and the firm on the receipt."""

    net: Money
    taxes: Sequence[TaxLine]
    seller: dict[str, object]


async def net_price(session: AsyncSession, wanted: Wanted) -> Sold:
    """Returns the purchase with its price before taxes. Whether its coupons can be used is not checked. Raises
    BadInput, OrderRefused, CouponRefused."""
    try:
        product = await products.newest(session, wanted.product)
    except NotFound as error:
        raise BadInput(error.message, field="product", remedy="See GET /v1/products.") from error
    add_ons = chosen(product.add_ons, wanted.add_ons)
    used = await coupons.named(session, wanted.coupons)
    check_together(used)
    lines = [PriceLine(kind="fee", code="purchase", label=product.name, amount_minor=product.fee_minor)]
    lines += [add_on.line(product.fee_minor, product.currency) for add_on in add_ons]
    gross = sum(line.amount_minor for line in lines)
    lines += discounts(used, gross, product.currency)
    return Sold(
        of=product,
        terms=_terms(product, add_ons),
        quote=Quote(currency=product.currency, lines=tuple(lines)),
        add_ons=tuple(add_on.id for add_on in add_ons),
        coupons=tuple(coupon.code for coupon in used),
    )


def _terms(product: Product, add_ons: Sequence[AddOn]) -> Product:
    try:
        return product.with_add_ons(add_ons)
    except ValidationError as error:
        raise OrderRefused(
            "These add-ons cannot be combined.", field="add_ons", remedy="Choose one of them, or contact support."
        ) from error


async def check_coupons(session: AsyncSession, sold: Sold, trader_id: str) -> None:
    """Checks that this trader can use the coupons now, and locks them. Raises CouponRefused."""
    for coupon in await coupons.named(session, sorted(sold.coupons)):
        await coupons.check(
            session,
            coupon,
            trader_id=trader_id,
            product=sold.of.product,
            currency=sold.quote.currency,
            gross_minor=sold.quote.gross_minor,
        )


def with_taxes(sold: Sold, taxed: Taxed) -> Sold:
    """Returns the order with these taxes. Raises ChangedMeanwhile when they are taxes on another price."""
    if taxed.net != Money(minor=sold.quote.net_minor, currency=sold.quote.currency):
        raise ChangedMeanwhile("The price has changed.", remedy="Look at the new price and order again.")
    return dataclasses.replace(sold, quote=sold.quote.with_taxes(taxed.taxes), seller=taxed.seller)


async def order(
    session: AsyncSession,
    wanted: Wanted,
    taxed: Taxed,
    *,
    seen: str | None,
    accepted_terms: str | None,
    return_url: str,
    provider: str,
    actor: Actor,
    buyer: str = "",
) -> Challenge:
    """A trader orders a purchase, or the firm for them: then `buyer` is the trader. `seen`: the digest of the price
    that they saw. `accepted_terms`: the content hash of the terms that they accepted. Raises BadInput, OrderRefused,
    CouponRefused, ChangedMeanwhile."""
    sold = with_taxes(await net_price(session, wanted), taxed)
    if seen is not None and seen != sold.quote.digest:
        raise ChangedMeanwhile("The price has changed.", remedy="Look at the new price and order again.")
    if accepted_terms is not None and accepted_terms != sold.terms.content_hash:
        raise ChangedMeanwhile(
            "The terms have changed.", field="accepted_terms", remedy="Read the new terms and accept them."
        )
    trader_id = buyer or actor.trader_id or ""
    await check_coupons(session, sold, trader_id)
    if sold.add_ons:
        await products.publish(session, sold.terms, by=actor.user_id, role=actor.role, variant_of=sold.of.product)
    return await challenges.buy(
        session,
        trader_id=trader_id,
        product=sold.terms,
        return_url=return_url,
        provider=provider,
        actor=actor,
        sold=dataclasses.replace(sold, accepted=accepted_terms is not None),
    )
