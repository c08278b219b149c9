"""The provider's own desk: what its staff, banks and buyers do without the firm's API, and the fault switches.

These routes need the sandbox's token.
"""

from typing import Annotated, Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from domain.errors import Conflict, NotFound
from sandbox.stripe.errors import ApiError
from sandbox.stripe.fake import FakeStripe
from sandbox.stripe.faults import Faults
from sandbox.stripe.objects import accounts, disputes, money, payouts, refunds, warnings
from sandbox.stripe.objects.payments import charge_to_reverse
from sandbox.stripe.state import Object, shown

Amount = Annotated[int, Field(strict=True, gt=0)]


class _Body(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Payment(_Body):
    """`payment`: the id of a checkout session, a payment intent or a charge. Without an amount: all that is left."""

    payment: str
    amount: Amount | None = None


class DeskDispute(Payment):
    reason: str = "fraudulent"
    inquiry: bool = False


class Decision(_Body):
    outcome: Literal["won", "lost", "escalated"]


class Stage(_Body):
    stage: Literal["asked", "ready", "restricted"]


class Topup(_Body):
    """Money that the firm sends to its account at the provider."""

    amount: Amount
    currency: Annotated[str, Field(pattern=r"^[a-z]{3}$")]


def add_desk(router: APIRouter, fake: FakeStripe) -> None:
    _add_faults(router, fake)
    _add_payments(router, fake)
    _add_disputes(router, fake)
    _add_accounts(router, fake)


def _charge(fake: FakeStripe, payment: str) -> Object:
    """Returns the charge of a payment. Raises NotFound."""
    found = fake.state.find(payment)
    if found is not None and found["object"] == "checkout.session":
        payment = found["payment_intent"] or payment
    names = {"intent": payment, "charge": None} if payment.startswith("pi_") else {"intent": None, "charge": payment}
    try:
        return charge_to_reverse(fake.state, fake.state.owner(payment), **names)
    except ApiError as error:
        raise NotFound(str(error)) from error


def _object(fake: FakeStripe, kind: str, id: str) -> Object:
    found = fake.state.find(id)
    if found is None or found["object"] != kind:
        raise NotFound(f"The provider knows no {kind} {id}.")
    return found


def _add_faults(router: APIRouter, fake: FakeStripe) -> None:
    @router.put("/desk/faults")
    async def set_faults(body: Faults) -> Faults:
        fake.set_faults(body)
        return body

    @router.get("/desk/faults")
    async def faults() -> Faults:
        return fake.state.faults

    @router.get("/desk/faults/uses")
    async def uses() -> dict[str, int]:
        """Returns how often each fault really happened."""
        return fake.state.faults.uses


def _add_payments(router: APIRouter, fake: FakeStripe) -> None:
    state = fake.state

    @router.post("/desk/refunds")
    async def refund(body: Payment) -> Object:
        charge = _charge(fake, body.payment)
        try:
            made = refunds.refund(state, charge, body.amount, "requested_by_customer", {})
        except ApiError as error:
            raise Conflict(str(error)) from error
        fake.commit()
        return shown(made)

    @router.post("/desk/warnings")
    async def warn(body: Payment) -> Object:
        made = warnings.warn(state, _charge(fake, body.payment))
        fake.commit()
        return shown(made)


def _add_disputes(router: APIRouter, fake: FakeStripe) -> None:
    state = fake.state

    @router.post("/desk/disputes")
    async def dispute(body: DeskDispute) -> Object:
        charge = _charge(fake, body.payment)
        try:
            made = disputes.open_dispute(state, charge, amount=body.amount, reason=body.reason, inquiry=body.inquiry)
        except ApiError as error:
            raise Conflict(str(error)) from error
        fake.commit()
        return shown(made)

    @router.post("/desk/disputes/{dispute_id}/decide")
    async def decide(dispute_id: str, body: Decision) -> Object:
        made = _object(fake, "dispute", dispute_id)
        if body.outcome == "escalated":
            if not made["status"].startswith("warning") or made["status"] == "warning_closed":
                raise Conflict("Only an open inquiry can become a dispute.")
            disputes.escalate(state, made)
        else:
            disputes.decide(state, made, won=body.outcome == "won")
        fake.commit()
        return shown(made)


def _add_accounts(router: APIRouter, fake: FakeStripe) -> None:
    state = fake.state

    @router.post("/desk/accounts/{account_id}")
    async def set_stage(account_id: str, body: Stage) -> Object:
        found = _object(fake, "account", account_id)
        accounts.set_stage(state, found, body.stage)
        fake.commit()
        return shown(found)

    @router.post("/desk/payouts/{payout_id}/fail")
    async def fail(payout_id: str) -> Object:
        """The bank sends a payout back, also after it arrived."""
        made = _object(fake, "payout", payout_id)
        payouts.fail(state, made)
        fake.commit()
        return shown(made)

    @router.post("/desk/topups")
    async def top_up(body: Topup) -> Object:
        made = {
            "id": state.new_id("tu"),
            "object": "topup",
            "amount": body.amount,
            "created": state.now,
            "currency": body.currency,
            "livemode": False,
            "metadata": {},
            "status": "succeeded",
        }
        state.add(made)
        money.book(state, made, "topup", body.amount, description="Top-up")
        fake.commit()
        return shown(made)
