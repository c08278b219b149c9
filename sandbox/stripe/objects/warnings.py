"""Early fraud warnings: the card network suspects a payment, before anybody disputes it."""

from sandbox.stripe.calls import Call
from sandbox.stripe.lists import page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.state import Object, State

_KIND = "radar.early_fraud_warning"


def warn(state: State, charge: Object) -> Object:
    made = {
        "id": state.new_id("issfr"),
        "object": _KIND,
        "actionable": not charge["refunded"] and not charge["disputed"],
        "charge": charge["id"],
        "created": state.now,
        "fraud_type": "unauthorized_use_of_card",
        "livemode": False,
        "payment_intent": charge["payment_intent"],
    }
    state.add(made, charge["_account"])
    announce(state, f"{_KIND}.created", made)
    return made


def list_warnings(call: Call) -> Object:
    return page(call, _KIND, "charge", "payment_intent")
