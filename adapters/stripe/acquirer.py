"""Acquirer on Stripe: Checkout Sessions, refunds, disputes.

Each object that we make carries our key and reference in its metadata, and so does the payment of a checkout. Looking
an effect up reads lists, which are complete at once. Stripe's Search API is about a minute behind and is not used.
"""

from collections.abc import Awaitable
from datetime import UTC, datetime
from typing import Final, Literal

from stripe.params import RefundCreateParams

from adapters.stripe import shapes
from adapters.stripe.amounts import from_stripe, to_stripe
from adapters.stripe.client import KEY, PAGE, REFERENCE, EventSettings, known_id
from adapters.stripe.events import EventConnection
from adapters.stripe.kinds import ALL_KINDS
from domain.errors import BadInput, Conflict, IdempotencyMismatch, NotFound, PropOSError, Unavailable
from domain.quoting import storable_text
from ports.acquirer import (
    Acquirer,
    AcquirerCapabilities,
    Chargeback,
    Checkout,
    CheckoutOrder,
    Evidence,
    Refund,
)
from ports.plugin import Plugin

_CHARGE: Final = "payment_intent.latest_charge"
# How ids of Stripe begin. Charges of other methods than cards, and newer disputes, have a form of their own.
_CHARGES: Final = ("ch", "py")
_REFUNDS: Final = ("re", "pyr")
_DISPUTES: Final = ("dp", "du")
_WARNING: Final = "issfr"
_OPEN_SECONDS: Final = 25 * 3600  # a session is open for at most 24 hours
_REFUND_STATES: Final[dict[str, Literal["succeeded", "failed"]]] = {
    "succeeded": "succeeded",
    "failed": "failed",
    "canceled": "failed",
}
_DISPUTE_STATES: Final[dict[str, Literal["inquiry", "evidence_due", "under_review", "won", "lost"]]] = {
    "warning_needs_response": "inquiry",
    "warning_under_review": "under_review",
    "warning_closed": "won",  # the inquiry ended, and no money was taken
    "needs_response": "evidence_due",
    "under_review": "under_review",
    "won": "won",
    "lost": "lost",
    "prevented": "won",  # Stripe refunded the buyer before; the refund is an object of its own
}


class StripeAcquirer(EventConnection):
    """An Acquirer. It tells of all events of the account, also of the transfers of the rail of its name."""

    def __init__(self, name: str, settings: EventSettings) -> None:
        super().__init__(name, settings, ALL_KINDS)

    async def create_checkout(self, order: CheckoutOrder, *, key: str) -> Checkout:
        marks = {KEY: key, REFERENCE: order.reference}
        # No `expires_at`: it would differ when the call is repeated. Stripe's own limit is 24 hours.
        call = self._v1.checkout.sessions.create_async(
            {
                "mode": "payment",
                "client_reference_id": order.reference,
                "success_url": order.return_url,
                "cancel_url": order.return_url,
                "line_items": [
                    {
                        "quantity": 1,
                        "price_data": {
                            "currency": order.currency.lower(),
                            "unit_amount": to_stripe(order.amount_minor, order.currency),
                            "product_data": {"name": order.description},
                        },
                    }
                ],
                "metadata": marks,
                # the charge takes over both, and charges can be listed by their group
                "payment_intent_data": {"metadata": marks, "transfer_group": key},
                "expand": [_CHARGE],
            },
            {"idempotency_key": key},
        )
        return await self._checkout(await self._api.write(shapes.Session, key, call))

    async def fetch_checkout(self, object_id: str) -> Checkout:
        if object_id.startswith("cs_"):
            return await self._checkout(await self._session(object_id))
        return await self._checkout(await self._session_of(await self._payment_of(object_id)))

    async def find_checkout(self, key: str) -> Checkout | None:
        """Sessions cannot be listed by anything of ours. But each payment has a charge in the group of our key, and a
        session without a payment is open for a day, so the sessions of the last day are read. Only a checkout that
        expired unpaid longer ago is not found: a new one under its key is harmless."""
        charges = self._v1.charges.list_async({"transfer_group": key, "limit": PAGE})
        async for charge in self._api.rows(shapes.Charge, charges):
            if charge.payment_intent is not None and charge.metadata.get(KEY) == key:
                return await self._checkout(await self._session_of(charge.payment_intent))
        newest: int | None = None
        sessions = self._v1.checkout.sessions.list_async({"limit": PAGE})
        async for session in self._api.rows(shapes.Session, sessions):
            newest = session.created if newest is None else newest  # Stripe's clock, not ours
            if session.created < newest - _OPEN_SECONDS:
                break
            if session.metadata.get(KEY) == key:
                return await self._checkout(await self._session(session.id))
        return None

    async def expire_checkout(self, checkout_id: str, *, key: str) -> Checkout:
        checkout = await self.fetch_checkout(checkout_id)
        if checkout.status != "open":
            return checkout
        call = self._v1.checkout.sessions.expire_async(
            checkout.checkout_id, {"expand": [_CHARGE]}, {"idempotency_key": key}
        )
        try:
            return await self._checkout(await self._api.write(shapes.Session, key, call))
        except Unavailable:
            raise
        except PropOSError:  # the buyer may have been faster
            checkout = await self.fetch_checkout(checkout_id)
            if checkout.status == "open":
                raise
            return checkout

    async def refund(self, checkout_id: str, *, key: str, amount_minor: int | None = None) -> Refund:
        session = _ours(await self._session(checkout_id))
        payment = _payment_id(session)
        if payment is None or _status(session) != "paid":
            raise Conflict("This checkout is not paid, so there is nothing to refund.")
        found = await self.find_refund(checkout_id, key)  # Stripe forgets a key after a day, and would refund again
        if found is not None:
            if amount_minor not in (None, found.amount_minor):
                raise IdempotencyMismatch(key)
            return found
        params: RefundCreateParams = {
            "payment_intent": payment,
            "metadata": {KEY: key, REFERENCE: session.metadata[REFERENCE]},
        }
        if amount_minor is not None:
            params["amount"] = to_stripe(amount_minor, session.currency)
        call = self._v1.refunds.create_async(params, {"idempotency_key": key})
        try:
            return _refund(await self._api.write(shapes.Refund, key, call), session.id)
        except BadInput as exc:
            if exc.field != "amount":
                raise
            raise Conflict("Less than this amount is left of the payment.", field="amount_minor") from exc

    async def refunds(self, checkout_id: str) -> list[Refund]:
        session = _ours(await self._session(checkout_id))
        payment = _payment_id(session)
        if payment is None:
            return []
        call = self._v1.refunds.list_async({"payment_intent": payment, "limit": PAGE})
        newest_first = [_refund(refund, session.id) async for refund in self._api.rows(shapes.Refund, call)]
        return newest_first[::-1]

    async def find_refund(self, checkout_id: str, key: str) -> Refund | None:
        return next((refund for refund in await self.refunds(checkout_id) if refund.key == key), None)

    async def fetch_chargeback(self, chargeback_id: str) -> Chargeback:
        call = self._v1.disputes.retrieve_async(known_id(chargeback_id, *_DISPUTES), {"expand": ["payment_intent"]})
        return await self._chargeback(await self._api.read(shapes.Dispute, call))

    async def submit_evidence(self, chargeback_id: str, evidence: Evidence, *, key: str) -> Chargeback:
        chargeback = await self.fetch_chargeback(chargeback_id)
        if chargeback.status not in ("evidence_due", "inquiry"):
            return chargeback
        call = self._v1.disputes.update_async(
            chargeback_id,
            {
                "evidence": {
                    "product_description": evidence.product_description,
                    "service_date": evidence.service_date,
                    "access_activity_log": evidence.access_activity_log,
                    "uncategorized_text": evidence.uncategorized_text,
                },
                "submit": True,
                "metadata": {KEY: key},
                "expand": ["payment_intent"],
            },
            {"idempotency_key": key},
        )
        return await self._chargeback(await self._api.write(shapes.Dispute, key, call))

    async def accept_chargeback(self, chargeback_id: str, *, key: str) -> Chargeback:
        chargeback = await self.fetch_chargeback(chargeback_id)
        if chargeback.status in ("won", "lost"):
            return chargeback
        call = self._v1.disputes.close_async(chargeback_id, {"expand": ["payment_intent"]}, {"idempotency_key": key})
        return await self._chargeback(await self._api.write(shapes.Dispute, key, call))

    async def _session(self, checkout_id: str) -> shapes.Session:
        call = self._v1.checkout.sessions.retrieve_async(known_id(checkout_id, "cs"), {"expand": [_CHARGE]})
        return await self._api.read(shapes.Session, call)

    async def _session_of(self, payment: str) -> shapes.Session:
        call = self._v1.checkout.sessions.list_async(
            {"payment_intent": payment, "limit": 1, "expand": [f"data.{_CHARGE}"]}
        )
        async for session in self._api.rows(shapes.Session, call):
            return session
        raise NotFound("This payment was not made through a checkout.")

    async def _payment_of(self, object_id: str) -> str:
        """Returns the id of the payment that this charge, refund, dispute or fraud warning belongs to."""
        kind = known_id(object_id, "pi", *_CHARGES, *_REFUNDS, *_DISPUTES, _WARNING).partition("_")[0]
        if kind == "pi":
            return object_id
        if kind in _CHARGES:
            call: Awaitable[object] = self._v1.charges.retrieve_async(object_id)
        elif kind in _REFUNDS:
            call = self._v1.refunds.retrieve_async(object_id)
        elif kind in _DISPUTES:
            call = self._v1.disputes.retrieve_async(object_id)
        else:
            call = self._v1.radar.early_fraud_warnings.retrieve_async(object_id)
        payment = (await self._api.read(shapes.PaymentPart, call)).payment_intent
        if payment is None:
            raise NotFound("This object belongs to no payment of a checkout.")
        return payment

    async def _checkout(self, session: shapes.Session) -> Checkout:
        session = _ours(session)
        charge = _charge(session)
        chargebacks: list[str] = []
        if charge is not None and charge.disputed:
            call = self._v1.disputes.list_async({"charge": charge.id, "limit": PAGE})
            chargebacks = [dispute.id async for dispute in self._api.rows(shapes.PaymentPart, call)]
        return _checkout(session, charge, tuple(reversed(chargebacks)))

    async def _chargeback(self, dispute: shapes.Dispute) -> Chargeback:
        payment = dispute.payment_intent
        if not isinstance(payment, shapes.Intent) or REFERENCE not in payment.metadata:
            raise NotFound("This chargeback is not of a payment of ours.")
        return _chargeback(dispute, await self._session_of(payment.id), payment.metadata[REFERENCE])


def _ours(session: shapes.Session) -> shapes.Session:
    """Returns the session. Raises NotFound for one that this firm's system did not make."""
    if KEY not in session.metadata or REFERENCE not in session.metadata:
        raise NotFound("This checkout was not made here.")
    return session


def _payment_id(session: shapes.Session) -> str | None:
    payment = session.payment_intent
    return payment.id if isinstance(payment, shapes.Intent) else payment


def _charge(session: shapes.Session) -> shapes.Charge | None:
    payment = session.payment_intent
    charge = payment.latest_charge if isinstance(payment, shapes.Intent) else None
    return charge if isinstance(charge, shapes.Charge) else None


def _status(session: shapes.Session) -> Literal["open", "processing", "paid", "expired"]:
    """A complete session without money is an asynchronous payment on its way, or one that failed: nothing more can be
    paid there."""
    if session.status == "complete":
        if session.payment_status in ("paid", "no_payment_required"):
            return "paid"
        payment = session.payment_intent
        failed = isinstance(payment, shapes.Intent) and payment.status in ("requires_payment_method", "canceled")
        return "expired" if failed else "processing"
    if session.status == "expired":
        return "expired"
    if session.status == "open":
        return "open"
    raise Unavailable("Stripe names a status of a checkout that is not known here.")


def _checkout(session: shapes.Session, charge: shapes.Charge | None, chargebacks: tuple[str, ...]) -> Checkout:
    status, amount, currency = _status(session), session.amount_total, session.currency
    payment = session.payment_intent
    if status == "paid" and isinstance(payment, shapes.Intent):
        amount, currency = payment.amount_received, payment.currency
    return Checkout(
        checkout_id=session.id,
        key=session.metadata[KEY],
        url=session.url or "",
        reference=session.metadata[REFERENCE],
        status=status,
        amount_minor=from_stripe(amount, currency),
        currency=currency,
        refunded_minor=from_stripe(charge.amount_refunded, currency) if charge else 0,
        chargebacks=chargebacks,
        card=_card(charge),
    )


def _card(charge: shapes.Charge | None) -> str:
    paid_with = charge.payment_method_details if charge else None
    return (paid_with.card.fingerprint or "") if paid_with and paid_with.card else ""


def _refund(refund: shapes.Refund, checkout_id: str) -> Refund:
    return Refund(
        refund_id=refund.id,
        key=refund.metadata.get(KEY, ""),
        checkout_id=checkout_id,
        status=_REFUND_STATES.get(refund.status, "pending"),
        amount_minor=from_stripe(refund.amount, refund.currency),
        currency=refund.currency,
        failure=storable_text(refund.failure_reason) if refund.failure_reason else None,
        came_back=refund.failure_balance_transaction is not None,
    )


def _chargeback(dispute: shapes.Dispute, session: shapes.Session, reference: str) -> Chargeback:
    """The fee counts where Stripe takes it in the currency of the dispute; in another one, the statement shows it."""
    moved, details = dispute.balance_transactions, dispute.evidence_details
    fee = sum(each.fee for each in moved if each.currency == dispute.currency)
    return Chargeback(
        chargeback_id=dispute.id,
        checkout_id=session.id,
        reference=reference,
        status=_dispute_status(dispute),
        amount_minor=from_stripe(dispute.amount, dispute.currency),
        currency=dispute.currency,
        reason=storable_text(dispute.reason),
        evidence_due_at=None if details.due_by is None else datetime.fromtimestamp(details.due_by, UTC),
        withdrawn=sum(each.amount for each in moved) < 0,
        fee_minor=from_stripe(fee, dispute.currency),
        given_back=sum(each.amount > 0 for each in moved),
    )


def _dispute_status(dispute: shapes.Dispute) -> Literal["inquiry", "evidence_due", "under_review", "won", "lost"]:
    status = _DISPUTE_STATES.get(dispute.status)
    if status is None:
        raise Unavailable("Stripe names a status of a dispute that is not known here.")
    details = dispute.evidence_details
    if status in ("inquiry", "evidence_due") and (details.past_due or details.submission_count > 0):
        return "under_review"
    return status


def _build(name: str, settings: EventSettings) -> Acquirer:
    return StripeAcquirer(name, settings)


PLUGIN: Final = Plugin(EventSettings, AcquirerCapabilities(partial_refunds=True, disputes=True), _build)
