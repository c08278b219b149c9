"""Routes of the fake payment provider and its hosted checkout page."""

import asyncio
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Form, Header, Response
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import AnswerLost, RefusedForGood, Unavailable
from domain.money import Currency
from ports.acquirer import Chargeback, Checkout, Evidence, Refund
from ports.money import WebhookEvent
from ports.rail import Transfer
from ports.statements import StatementEntry
from sandbox.chargebacks import Stage
from sandbox.checkout_page import checkout_page
from sandbox.market import SimulatedMarket
from sandbox.provider import Faults

Key = Annotated[str, Header(alias="Idempotency-Key", min_length=1, max_length=255)]
Amount = Annotated[int, Field(strict=True, gt=0, le=10**13)]
Text = Annotated[str, Field(min_length=1, max_length=500)]
_HELD_STEP: Final = 0.02  # seconds between checks of a held transfer


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NewCheckout(_Body):
    reference: Text
    amount_minor: Amount
    currency: Currency
    description: Text
    return_url: Annotated[str, Field(max_length=2000)]


class NewRefund(_Body):
    """Without an amount, the rest of the payment is refunded."""

    amount_minor: Amount | None = None


class NewDispute(_Body):
    """`lost`: decided at once."""

    stage: Stage = "lost"


class Decided(_Body):
    status: Literal["won", "lost"]


class NewTransfer(_Body):
    reference: Text
    amount_minor: Amount
    currency: Currency
    beneficiary: Text


def provider_router(market: SimulatedMarket) -> APIRouter:
    """Returns the routes of one provider. An effect is in the journal before the answer is sent."""
    router = APIRouter()
    _add_checkouts(router, market)
    _add_money_back(router, market)
    _add_desk(router, market)
    _add_transfers(router, market)
    _add_page(router, market)
    return router


def _refuse_by_fault(market: SimulatedMarket) -> None:
    if market.provider.faults.use("unavailable"):
        market.provider.save_faults()
        market.commit()
        raise Unavailable("The payment provider is down for a moment.", remedy="Try again later with the same key.")


async def _settle_call(market: SimulatedMarket) -> None:
    """Write the effect to the journal. Under the fault `timeout_after_effect`, answer with 504."""
    lost = market.provider.faults.use("timeout_after_effect")
    if lost:
        market.provider.save_faults()
    market.commit()
    if lost:
        await asyncio.sleep(market.provider.faults.hold_seconds)
        raise AnswerLost("The payment provider did not answer in time.")


def _add_checkouts(router: APIRouter, market: SimulatedMarket) -> None:
    provider = market.provider

    @router.post("/provider/checkouts")
    async def create_checkout(body: NewCheckout, key: Key) -> Checkout:
        _refuse_by_fault(market)
        checkout = provider.create_checkout(key, **body.model_dump())
        await _settle_call(market)
        return checkout

    @router.get("/provider/checkouts/{checkout_id}")
    async def fetch_checkout(checkout_id: str) -> Checkout:
        return provider.checkout(checkout_id)

    @router.post("/provider/checkouts/{checkout_id}/expire")
    async def expire(checkout_id: str, key: Key) -> Checkout:
        _refuse_by_fault(market)
        checkout = provider.expire(checkout_id)
        await _settle_call(market)
        return checkout

    @router.get("/provider/checkouts")
    async def find_checkout(key: str) -> list[Checkout]:
        checkout = provider.find_checkout(key)
        return [] if checkout is None else [checkout]


def _add_money_back(router: APIRouter, market: SimulatedMarket) -> None:
    provider = market.provider

    @router.post("/provider/checkouts/{checkout_id}/refund")
    async def refund(checkout_id: str, body: NewRefund, key: Key) -> Refund:
        _refuse_by_fault(market)
        refund = provider.refund(checkout_id, key, body.amount_minor)
        await _settle_call(market)
        return refund

    @router.get("/provider/checkouts/{checkout_id}/refunds")
    async def refunds(checkout_id: str) -> list[Refund]:
        return provider.refunds(checkout_id)

    @router.get("/provider/chargebacks/{chargeback_id}")
    async def fetch_chargeback(chargeback_id: str) -> Chargeback:
        return provider.disputes.get(chargeback_id)

    @router.post("/provider/chargebacks/{chargeback_id}/evidence")
    async def submit_evidence(chargeback_id: str, body: Evidence, key: Key) -> Chargeback:
        _refuse_by_fault(market)
        chargeback = provider.disputes.submit(chargeback_id, body)
        await _settle_call(market)
        return chargeback

    @router.post("/provider/chargebacks/{chargeback_id}/accept")
    async def accept_chargeback(chargeback_id: str, key: Key) -> Chargeback:
        _refuse_by_fault(market)
        chargeback = provider.disputes.accept(chargeback_id)
        await _settle_call(market)
        return chargeback


def _add_desk(router: APIRouter, market: SimulatedMarket) -> None:
    """What others do: the buyer, the buyer's bank, and people at the provider's own desk."""
    provider = market.provider

    @router.post("/provider/checkouts/{checkout_id}/dispute")
    async def dispute(checkout_id: str, body: NewDispute | None = None) -> Checkout:
        checkout = provider.disputes.open(checkout_id, (body or NewDispute()).stage)
        market.commit()
        return checkout

    @router.post("/provider/chargebacks/{chargeback_id}/decide")
    async def decide(chargeback_id: str, body: Decided) -> Chargeback:
        chargeback = provider.disputes.decide(chargeback_id, body.status)
        market.commit()
        return chargeback

    @router.post("/provider/checkouts/{checkout_id}/refund-fails")
    async def refund_fails(checkout_id: str) -> Checkout:
        checkout = provider.refund_fails(checkout_id)
        market.commit()
        return checkout

    @router.post("/provider/checkouts/{checkout_id}/desk-refund")
    async def refund_at_desk(checkout_id: str, body: NewRefund) -> Checkout:
        checkout = provider.refund_at_desk(checkout_id, body.amount_minor)
        market.commit()
        return checkout


def _add_transfers(router: APIRouter, market: SimulatedMarket) -> None:
    provider = market.provider

    @router.post("/provider/transfers")
    async def create_transfer(body: NewTransfer, key: Key) -> Transfer:
        _refuse_by_fault(market)
        with provider.transfer_under_way(key):
            while provider.faults.hold_transfers:
                await asyncio.sleep(_HELD_STEP)
            try:
                transfer = provider.create_transfer(key, **body.model_dump())
            except RefusedForGood:  # the refusal is journaled before the answer, like an effect
                await _settle_call(market)
                raise
            await _settle_call(market)
            return transfer

    @router.get("/provider/transfers")
    async def find_transfer(key: str) -> list[Transfer]:
        transfer = provider.find_transfer(key)
        return [] if transfer is None else [transfer]

    @router.get("/provider/transfers/{transfer_id}")
    async def fetch_transfer(transfer_id: str) -> Transfer:
        return provider.transfer(transfer_id)

    @router.get("/provider/entries")
    async def entries(after: str | None = None) -> list[StatementEntry]:
        return provider.entries_after(after)

    @router.get("/provider/events")
    async def events(after: str | None = None) -> list[WebhookEvent]:
        return provider.events_after(after)

    @router.put("/provider/faults")
    async def set_faults(body: Faults) -> Faults:
        provider.faults = body
        provider.save_faults()
        market.commit()
        return body


def _add_page(router: APIRouter, market: SimulatedMarket) -> None:
    provider = market.provider

    @router.get("/pay/{checkout_id}")
    async def page(checkout_id: str) -> HTMLResponse:
        return HTMLResponse(checkout_page(*provider.page(checkout_id)))

    @router.post("/pay/{checkout_id}")
    async def pay(checkout_id: str, outcome: Annotated[Literal["paid", "cancelled"], Form()]) -> Response:
        _, _, return_url = provider.page(checkout_id)
        provider.complete(checkout_id, outcome == "paid")
        market.commit()
        return RedirectResponse(return_url, status_code=303)
