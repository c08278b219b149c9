"""Refunds of charges, in full or in part. A refund may fail days later; the money is then back with the firm."""

from typing import Final

from sandbox.instants import DAY
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError
from sandbox.stripe.faults import REFUND_FAILS
from sandbox.stripe.lists import page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.objects.money import book
from sandbox.stripe.objects.payments import charge_to_reverse, is_marked
from sandbox.stripe.state import Object, State

_FAILS_AFTER: Final = 3 * DAY
_DEBIT_TAKES: Final = DAY


def create(call: Call) -> Object:
    params, state = call.params, call.state
    charge = charge_to_reverse(state, call.account, intent=params.text("payment_intent"), charge=params.text("charge"))
    amount = params.amount("amount", charge["currency"])
    reason = params.choice("reason", ("duplicate", "fraudulent", "requested_by_customer"))
    metadata = params.metadata()
    params.ignore("instructions_email", "refund_application_fee", "reverse_transfer")
    params.finish()
    return refund(state, charge, amount, reason, metadata)


def refund(state: State, charge: Object, amount: int | None, reason: str | None, metadata: dict[str, str]) -> Object:
    """Refund `amount` of a charge, or what is left for None. Raises ApiError."""
    left = charge["amount"] - charge["amount_refunded"]
    if charge["disputed"] and _is_taken_back(state, charge):
        message = f"Charge {charge['id']} has been charged back; cannot issue a refund."
        raise ApiError(message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge['id']} has already been refunded."
        raise ApiError(message, code="charge_already_refunded")
    if amount is not None and amount > left:
        message = f"Refund amount ({amount}) is greater than unrefunded amount on charge ({left})."
        raise ApiError(message, param="amount")
    card = charge["payment_method_details"]["type"] == "card"
    made = {
        "id": state.new_id("re"),
        "object": "refund",
        "amount": left if amount is None else amount,
        "balance_transaction": None,
        "charge": charge["id"],
        "created": state.now,
        "currency": charge["currency"],
        "customer": None,
        "customer_account": None,
        "destination_details": {"card": {"type": "refund"}, "type": "card"} if card else {"type": "us_bank_transfer"},
        "metadata": metadata,
        "payment_intent": charge["payment_intent"],
        "payment_method": charge["payment_method"],
        "reason": reason,
        "receipt_number": None,
        "source_transfer_reversal": None,
        "status": "succeeded" if card else "pending",
        "transfer_reversal": None,
        "_fails": is_marked(REFUND_FAILS, charge, metadata) or state.faults.use("refunds_fail"),
    }
    state.add(made, charge["_account"])
    booked = book(state, made, "refund" if card else "payment_refund", -made["amount"])
    made["balance_transaction"] = booked["id"]
    state.save(made)
    _count(state, charge, made["amount"])
    announce(state, "refund.created", made)
    announce(state, "charge.refunded", charge)
    if made["_fails"] or not card:
        state.later(_FAILS_AFTER if made["_fails"] else _DEBIT_TAKES, "refund.end", made["id"])
    return made


def _is_taken_back(state: State, charge: Object) -> bool:
    disputes = state.all("dispute", charge["_account"], charge=charge["id"])
    return any(not dispute["is_charge_refundable"] and dispute["status"] != "won" for dispute in disputes)


def _count(state: State, charge: Object, amount: int) -> None:
    charge["amount_refunded"] += amount
    charge["refunded"] = charge["amount_refunded"] == charge["amount"]
    state.save(charge)


def end(state: State, id: str) -> None:
    """A pending refund succeeds, or a refund fails and its money comes back."""
    made = state.get("refund", id, state.owner(id))
    if not made["_fails"]:
        made["status"] = "succeeded"
        state.save(made)
        announce(state, "refund.updated", made)
        return
    charge = state.get("charge", made["charge"], made["_account"])
    card = charge["payment_method_details"]["type"] == "card"
    booked = book(state, made, "refund_failure" if card else "payment_failure_refund", made["amount"])
    made |= {
        "status": "failed",
        "failure_reason": "lost_or_stolen_card" if card else "expired_or_canceled_card",
        "failure_balance_transaction": booked["id"],
    }
    state.save(made)
    _count(state, charge, -made["amount"])
    announce(state, "refund.updated", made)
    announce(state, "refund.failed", made)


def list_refunds(call: Call) -> Object:
    return page(call, "refund", "charge", "payment_intent")


def cancel(call: Call) -> Object:
    made = call.named("refund")
    call.params.finish()
    raise ApiError(f"You can only cancel a refund with status requires_action; this one is {made['status']}.")
