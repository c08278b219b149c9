"""Payment intents and charges: what happens when a buyer pays."""

import json
from typing import Any, Final

from sandbox.instants import DAY
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, missing
from sandbox.stripe.faults import DEBIT_FAILS, DISPUTED
from sandbox.stripe.lists import listing, page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.objects.money import book
from sandbox.stripe.state import Object, State

_DEBIT_TAKES: Final = 2 * DAY
_DISPUTE_AFTER: Final = 2 * DAY
_AVAILABLE_DAYS: Final = 2
_CARD: Final = {"brand": "visa", "country": "US", "exp_month": 12, "exp_year": 2034, "funding": "credit"}
_NO_INTENT: Final[dict[str, Any]] = dict.fromkeys(
    [
        *("allowed_payment_method_types", "application", "application_fee_amount", "canceled_at"),
        *("cancellation_reason", "customer", "customer_account", "excluded_payment_method_types"),
        *("last_payment_error", "latest_charge", "next_action", "on_behalf_of", "payment_method"),
        *("payment_method_configuration_details", "processing", "review", "setup_future_usage", "shipping"),
        *("automatic_payment_methods", "managed_payments", "transfer_data"),
    ]
)
_NO_CHARGE: Final[dict[str, Any]] = dict.fromkeys(
    [
        *("application", "application_fee", "application_fee_amount", "balance_transaction", "customer"),
        *("failure_balance_transaction", "failure_code", "failure_message", "on_behalf_of", "receipt_email"),
        *("receipt_number", "receipt_url", "review", "shipping", "source_transfer", "statement_descriptor"),
        *("statement_descriptor_suffix", "transfer_data", "transfer_group", "payment_intent", "payment_method"),
    ]
)


def is_marked(word: str, *objects: Object) -> bool:
    """Returns whether a text of an object contains the word."""
    return any(word in json.dumps(one) for one in objects)


def intent_of(state: State, session: Object) -> Object:
    """Returns the payment intent of a session; the first attempt to pay makes it."""
    if session["payment_intent"]:
        return state.get("payment_intent", session["payment_intent"], session["_account"])
    id, total = state.new_id("pi"), session["amount_total"]
    made = {
        **_NO_INTENT,
        **session["_intent"],
        "id": id,
        "object": "payment_intent",
        "amount": total,
        "amount_capturable": 0,
        "amount_details": {"tip": {}},
        "amount_received": 0,
        "capture_method": "automatic_async",
        "client_secret": f"{id}_secret",
        "confirmation_method": "automatic",
        "created": state.now,
        "currency": session["currency"],
        "livemode": False,
        "payment_method_options": {},
        "payment_method_types": session["payment_method_types"],
        "status": "requires_payment_method",
        "_session": session["id"],
    }
    state.add(made, session["_account"])
    session["payment_intent"] = id
    state.save(session)
    announce(state, "payment_intent.created", made)
    return made


def new_charge(state: State, account: str, amount: int, currency: str, type: str, **fields: Any) -> Object:
    """Returns a charge of `account`; `type` is card, us_bank_account, or stripe_account for a transfer."""
    details = {"card": {**_CARD, "last4": "4242", "network": "visa"}} if type == "card" else {type: {}}
    made = {
        **_NO_CHARGE,
        "id": state.new_id("ch" if type == "card" else "py"),
        "object": "charge",
        "amount": amount,
        "amount_captured": amount,
        "amount_refunded": 0,
        "billing_details": dict.fromkeys(["address", "email", "name", "phone", "tax_id"]),
        "calculated_statement_descriptor": None,
        "captured": True,
        "created": state.now,
        "currency": currency,
        "description": None,
        "disputed": False,
        "fraud_details": {},
        "livemode": False,
        "metadata": {},
        "outcome": {**dict.fromkeys(["network_status", "reason", "seller_message"]), "type": "authorized"},
        "paid": True,
        "payment_method_details": {**details, "type": type},
        "refunded": False,
        "status": "succeeded",
        **fields,
    }
    return state.add(made, account)


def _charge(state: State, intent: Object, type: str, status: str) -> Object:
    paid = status == "succeeded"
    made = new_charge(
        state,
        intent["_account"],
        intent["amount"],
        intent["currency"],
        type,
        amount_captured=0 if status == "failed" else intent["amount"],
        captured=status != "failed",
        description=intent["description"],
        metadata=dict(intent["metadata"]),
        paid=paid,
        payment_intent=intent["id"],
        payment_method=state.new_id("pm"),
        receipt_email=intent["receipt_email"],
        status=status,
        transfer_group=intent["transfer_group"] or (f"group_{intent['id']}" if paid else None),
    )
    intent |= {"latest_charge": made["id"], "payment_method": made["payment_method"]}
    return made


def decline(state: State, intent: Object) -> None:
    made = _charge(state, intent, "card", "failed")
    made |= {"failure_code": "card_declined", "failure_message": "Your card was declined."}
    made["outcome"] |= {"network_status": "declined_by_network", "reason": "generic_decline", "type": "issuer_declined"}
    _fail(state, intent, made, "card_declined", "Your card was declined.")


def charge_card(state: State, session: Object, intent: Object) -> None:
    made = _charge(state, intent, "card", "succeeded")
    _settle(state, intent, made)
    marked = is_marked(DISPUTED, session, intent)
    if marked or state.faults.use("dispute"):
        state.later(_DISPUTE_AFTER, "charge.dispute", made["id"])


def start_debit(state: State, session: Object, intent: Object) -> None:
    """Begin a bank debit; market time decides it days later."""
    made = _charge(state, intent, "us_bank_account", "pending")
    made["_fails"] = is_marked(DEBIT_FAILS, session, intent) or state.faults.use("debits_fail")
    state.save(made)
    intent["status"], intent["last_payment_error"] = "processing", None
    state.save(intent)
    announce(state, "charge.pending", made)
    announce(state, "payment_intent.processing", intent)
    state.later(_DEBIT_TAKES, "charge.debit", made["id"])


def end_debit(state: State, id: str) -> None:
    made = state.get("charge", id, state.owner(id))
    intent = state.get("payment_intent", made["payment_intent"], made["_account"])
    session = state.get("checkout.session", intent["_session"], made["_account"])
    if made["_fails"]:
        made |= {"status": "failed", "failure_code": "insufficient_funds", "captured": False, "amount_captured": 0}
        made["failure_message"] = "The customer's bank account has insufficient funds."
        _fail(state, intent, made, "insufficient_funds", made["failure_message"])
    else:
        made |= {"status": "succeeded", "paid": True}
        _settle(state, intent, made)
        session["payment_status"] = "paid"
        state.save(session)
    outcome = "failed" if made["_fails"] else "succeeded"
    announce(state, f"checkout.session.async_payment_{outcome}", session)


def _settle(state: State, intent: Object, made: Object) -> None:
    card = made["payment_method_details"]["type"] == "card"
    fee = (made["amount"] * 29 + 500) // 1000 + 30 if card else min((made["amount"] * 8 + 500) // 1000, 500)
    booked = book(
        state,
        made,
        "charge" if card else "payment",
        made["amount"],
        fee=min(fee, made["amount"]),
        waits_days=_AVAILABLE_DAYS,
        description=made["description"],
    )
    made["balance_transaction"] = booked["id"]
    intent |= {"status": "succeeded", "amount_received": made["amount"], "last_payment_error": None}
    state.save(made)
    state.save(intent)
    announce(state, "charge.succeeded", made)
    announce(state, "payment_intent.succeeded", intent)


def _fail(state: State, intent: Object, made: Object, code: str, message: str) -> None:
    intent["status"] = "requires_payment_method"
    intent["last_payment_error"] = {"charge": made["id"], "code": code, "message": message, "type": "card_error"}
    state.save(made)
    state.save(intent)
    announce(state, "charge.failed", made)
    announce(state, "payment_intent.payment_failed", intent)


# calls


def intent(call: Call) -> Object:
    call.params.ignore("client_secret")
    call.params.finish()
    return call.named("payment_intent")


def list_intents(call: Call) -> Object:
    return page(call, "payment_intent", "customer")


def list_charges(call: Call) -> Object:
    return page(call, "charge", "payment_intent", "transfer_group", "customer")


def list_refunds_of_charge(call: Call) -> Object:
    call.params.ignore("limit")
    call.params.finish()
    found = call.named("charge")
    return listing(call.path, call.state.all("refund", call.account, charge=found["id"])[::-1])


def charge_to_reverse(state: State, account: str, *, intent: str | None, charge: str | None) -> Object:
    """Returns the charge that a refund or dispute is about. Raises ApiError when nothing was paid."""
    if intent is not None:
        found = state.get("payment_intent", intent, account, param="payment_intent", status=400)
        if found["status"] != "succeeded":
            raise ApiError(
                f"This PaymentIntent ({intent}) does not have a successful charge to refund.",
                code="payment_intent_unexpected_state",
                param="payment_intent",
                kept=False,
            )
        charge = found["latest_charge"]
    if charge is None:
        raise ApiError("One of the following params should be provided: payment_intent or charge.", kept=False)
    made = state.get("charge", charge, account, param="charge", status=400)
    if made["status"] != "succeeded":
        raise missing("charge", charge, param="charge", status=400)
    return made
