"""Checkout sessions: made by the firm, paid, declined or left on the hosted page, expired by time or by the firm."""

import re
from typing import Any, Final, Literal

from sandbox.instants import DAY, SECOND
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.faults import DECLINED
from sandbox.stripe.forms import Params
from sandbox.stripe.lists import listing, page
from sandbox.stripe.objects import payments
from sandbox.stripe.objects.events import announce
from sandbox.stripe.state import Object, State

_LIFE: Final = DAY
_SHORTEST_S: Final = 30 * 60
Method = Literal["card", "bank_debit", "declined"]
_NOTHING: Final[dict[str, Any]] = dict.fromkeys(
    [
        *("adaptive_pricing", "after_expiration", "allow_promotion_codes", "billing_address_collection"),
        *("client_secret", "collected_information", "consent", "consent_collection", "currency_conversion"),
        *("customer", "customer_account", "customer_creation", "customer_details", "discounts", "invoice", "locale"),
        *("integration_identifier", "managed_payments"),
        *("invoice_creation", "origin_context", "payment_link", "payment_method_configuration_details"),
        *("permissions", "recovered_from", "saved_payment_method_options", "setup_intent"),
        *("shipping_address_collection", "shipping_cost", "submit_type", "subscription", "wallet_options"),
    ]
)


def create(call: Call) -> Object:
    params, state = call.params, call.state
    if params.choice("mode", ("payment", "setup", "subscription")) != "payment":
        raise invalid("The sandbox knows only sessions with mode=payment.", "mode")
    items, currency = _items(params)
    total = sum(item["amount_total"] for item in items)
    expires = params.integer("expires_at")
    if expires is not None and not state.now + _SHORTEST_S <= expires <= state.now + _LIFE // SECOND:
        message = "The `expires_at` timestamp must be between 30 minutes and 24 hours from Checkout Session creation."
        raise invalid(message, "expires_at")
    methods = params.texts("payment_method_types") or ["card", "us_bank_account"]
    intent = params.inside("payment_intent_data")
    made = {
        **_NOTHING,
        "id": state.new_id("cs_test"),
        "object": "checkout.session",
        "amount_subtotal": total,
        "amount_total": total,
        "automatic_tax": {"enabled": False, "liability": None, "provider": None, "status": None},
        "cancel_url": params.address("cancel_url"),
        "client_reference_id": params.text("client_reference_id", longest=200),
        "created": state.now,
        "currency": currency,
        "custom_fields": [],
        "custom_text": dict.fromkeys(["after_submit", "shipping_address", "submit", "terms_of_service_acceptance"]),
        "customer_email": params.text("customer_email", longest=800),
        "expires_at": expires or (state.now_us + _LIFE) // SECOND,
        "livemode": False,
        "metadata": params.metadata(),
        "mode": "payment",
        "payment_intent": None,
        "payment_method_collection": "if_required",
        "payment_method_options": {},
        "payment_method_types": methods,
        "payment_status": "unpaid",
        "phone_number_collection": {"enabled": False},
        "shipping_options": [],
        "status": "open",
        "success_url": params.address("success_url"),
        "total_details": {"amount_discount": 0, "amount_shipping": 0, "amount_tax": 0},
        "ui_mode": params.choice("ui_mode", ("hosted", "hosted_page")) or "hosted_page",
        "_intent": {
            "description": intent.text("description", longest=1000),
            "metadata": intent.metadata(),
            "receipt_email": intent.text("receipt_email"),
            "statement_descriptor": intent.text("statement_descriptor", longest=22),
            "statement_descriptor_suffix": intent.text("statement_descriptor_suffix", longest=22),
            "transfer_group": intent.text("transfer_group", longest=500),
        },
    }
    if made["success_url"] is None:
        raise invalid("Missing required param: success_url.", "success_url", "parameter_missing")
    params.ignore("allow_promotion_codes", "billing_address_collection", "customer_creation", "locale", "submit_type")
    params.ignore("phone_number_collection", "invoice_creation", "payment_method_options", "automatic_tax")
    params.finish()
    made["url"] = f"{state.base_url}/stripe/pay/{made['id']}"
    made["_line_items"] = listing(f"/v1/checkout/sessions/{made['id']}/line_items", items)
    state.add(made, call.account)
    state.later(made["expires_at"] * SECOND - state.now_us, "session.expire", made["id"])
    return made


def _items(params: Params) -> tuple[list[Object], str]:
    """Returns the line items and their one currency."""
    found: list[Object] = []
    given = params.items("line_items")
    if not given:
        raise invalid("You must pass `line_items`.", "line_items", "parameter_missing")
    for number, item in enumerate(given):
        price, quantity = item.inside("price_data"), item.integer("quantity", least=1, most=999_999) or 1
        currency, product = price.currency(), price.inside("product_data")
        name = product.required("name", longest=250)
        product.ignore("description", "images", "metadata", "tax_code")
        price.ignore("tax_behavior")
        each = price.amount("unit_amount", currency)
        if each is None:
            raise invalid("You must specify `unit_amount`.", price.name("unit_amount"), "parameter_missing")
        found.append(
            {
                "id": f"li_{number + 1}",
                "object": "item",
                "amount_discount": 0,
                "amount_subtotal": each * quantity,
                "amount_tax": 0,
                "amount_total": each * quantity,
                "currency": currency,
                "adjustable_quantity": None,
                "description": name,
                "metadata": {},
                "price": None,
                "quantity": quantity,
            }
        )
    used = {item["currency"] for item in found}
    if len(used) > 1:
        raise invalid("All line items must have the same currency.", "line_items")
    return found, used.pop()


def list_sessions(call: Call) -> Object:
    return page(call, "checkout.session", "payment_intent", "status")


def line_items(call: Call) -> Object:
    call.params.ignore("limit")
    call.params.finish()
    items: Object = call.named("checkout.session")["_line_items"]
    return items


def expire(call: Call) -> Object:
    found = call.named("checkout.session")
    call.params.finish()
    if found["status"] != "open":
        raise ApiError(
            'Only Checkout Sessions with a status in ["open"] can be expired. '
            f"This Checkout Session has a status of `{found['status']}`."
        )
    _expire(call.state, found)
    return found


def expire_by_time(state: State, id: str) -> None:
    found = state.get("checkout.session", id, state.owner(id))
    if found["status"] == "open":
        _expire(state, found)


def _expire(state: State, found: Object) -> None:
    found["status"], found["url"] = "expired", None
    state.save(found)
    announce(state, "checkout.session.expired", found)


# the buyer


def pay(state: State, found: Object, method: Method) -> None:
    """The buyer pays an open session; a decided one does not change. A declined card leaves it open."""
    if found["status"] != "open":
        return
    debit = method == "bank_debit"
    intent = payments.intent_of(state, found)
    marked = payments.is_marked(DECLINED, found, intent)
    if not debit and (method == "declined" or marked or state.faults.use("decline")):
        payments.decline(state, intent)
        return
    found |= {"status": "complete", "url": None, "payment_status": "unpaid" if debit else "paid"}
    found["customer_details"] = {
        **dict.fromkeys(["address", "business_name", "individual_name", "name", "phone", "tax_ids"]),
        "email": found["customer_email"] or "buyer@example.com",
        "tax_exempt": "none",
    }
    state.save(found)
    if debit:
        payments.start_debit(state, found, intent)
    else:
        payments.charge_card(state, found, intent)
    announce(state, "checkout.session.completed", found)


def return_address(found: Object) -> str:
    """Returns where the buyer goes from the hosted page."""
    if found["status"] == "complete":
        return re.sub(r"\{CHECKOUT_SESSION_ID\}", found["id"], found["success_url"])
    return str(found["cancel_url"] or found["success_url"])
