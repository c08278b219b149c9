"""The price of a purchase before it is ordered, and receipts."""

from typing import Annotated

from fastapi import APIRouter, Depends

from domain.selling.price import PriceLine
from firm.selling.sales import Sold
from front import checkout
from front.auth import Caller, Deps, SignedInCaller, allowed
from front.checkout import Purchase
from front.fields import ReceiptId, window
from store.read import receipts
from store.read.pages import Page, View, Window

router = APIRouter(prefix="/v1", tags=["selling"])


class Offer(View):
    """The price of a purchase, line by line; `total_minor` is paid. `quote` and `terms_hash` are for the order: as
    `quote` and `accepted_terms`."""

    product: str
    version: int
    terms_hash: str
    currency: str
    lines: tuple[PriceLine, ...]
    gross_minor: int
    discount_minor: int
    net_minor: int
    tax_minor: int
    total_minor: int
    quote: str


def offer_of(sold: Sold) -> Offer:
    price = sold.quote
    return Offer(
        product=sold.of.product,
        version=sold.of.version,
        terms_hash=sold.terms.content_hash,
        currency=price.currency,
        lines=price.lines,
        gross_minor=price.gross_minor,
        discount_minor=price.discount_minor,
        net_minor=price.net_minor,
        tax_minor=price.tax_minor,
        total_minor=price.total_minor,
        quote=price.digest,
    )


@router.post("/checkout/preview", dependencies=[Depends(allowed("challenges.buy"))])
async def preview_checkout(body: Purchase, caller: SignedInCaller, deps: Deps) -> Offer:
    """What a purchase would cost. It changes nothing, so that it needs no Idempotency-Key."""
    return offer_of(await checkout.offer(deps, caller.actor.trader_id or "", body))


@router.get("/receipts")
async def list_receipts(
    caller: Annotated[Caller, Depends(allowed("receipts.read"))],
    deps: Deps,
    page: Annotated[Window, Depends(window)],
) -> Page[receipts.ReceiptView]:
    """Receipts and credit notes, newest first."""
    async with deps.db.transaction() as session:
        return await receipts.page(session, caller.scope, page)


@router.get("/receipts/{receipt_id}")
async def get_receipt(
    receipt_id: ReceiptId, caller: Annotated[Caller, Depends(allowed("receipts.read"))], deps: Deps
) -> receipts.ReceiptView:
    async with deps.db.transaction() as session:
        return await receipts.one(session, caller.scope, receipt_id)
