"""Buying for a trader: a shop or a CRM with an API key signs traders up and orders for them."""

from fastapi import APIRouter, Depends
from sqlalchemy.ext.asyncio import AsyncSession

from api.routes.challenges import Bought, Ordered, bought
from api.routes.selling import Offer, offer_of
from front import checkout
from front.auth import Deps, SignedInCaller, allowed
from front.checkout import OrderForTrader, Purchase
from front.fields import TraderId
from front.once import Keyed
from front.registering import Registered, RegistrationBody, register
from store.read import people

router = APIRouter(prefix="/v1", tags=["selling"])


@router.post("/trader-registrations", status_code=201, dependencies=[Depends(allowed("traders.register"))])
async def register_trader(body: RegistrationBody, once: Keyed) -> Registered:
    """Sign a trader up. A mail asks them to confirm the address and to choose a password; payouts wait for that. An
    address that is registered is refused: `GET /v1/traders?q=ADDRESS` finds its trader."""
    return await register(once, body)


@router.post("/traders/{trader_id}/checkout/preview", dependencies=[Depends(allowed("challenges.buy_for"))])
async def preview_checkout_for_trader(trader_id: TraderId, body: Purchase, caller: SignedInCaller, deps: Deps) -> Offer:
    """What a purchase would cost this trader. It changes nothing, so that it needs no Idempotency-Key. Show the trader
    the terms of this product before you order."""
    async with deps.db.transaction() as session:
        await people.one(session, caller.scope, trader_id)
    return offer_of(await checkout.offer(deps, trader_id, body))


@router.post("/traders/{trader_id}/challenges", status_code=201, dependencies=[Depends(allowed("challenges.buy_for"))])
async def buy_challenge_for_trader(
    trader_id: TraderId, body: OrderForTrader, once: Keyed, caller: SignedInCaller, deps: Deps
) -> Bought:
    """Order a challenge for a trader. Send them to `checkout_url`, where they pay; the challenge starts then."""
    async with deps.db.transaction() as session:
        await people.one(session, caller.scope, trader_id)
    taxed = await checkout.taxes_of(deps, trader_id, body)

    async def work(session: AsyncSession) -> Ordered:
        return Ordered(id=(await checkout.order_for(session, deps, once.actor, trader_id, body, taxed)).id)

    ordered = await once.write(Ordered, body, work)
    return await bought(deps, ordered.id)
