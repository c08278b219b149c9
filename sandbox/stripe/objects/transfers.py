"""Transfers from the platform to connected accounts, and their reversals."""

from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid, missing
from sandbox.stripe.lists import listing, page
from sandbox.stripe.objects import payouts
from sandbox.stripe.objects.events import announce
from sandbox.stripe.objects.money import available, book
from sandbox.stripe.objects.payments import new_charge
from sandbox.stripe.state import Object, shown


def create(call: Call) -> Object:
    params, state = call.params, call.state
    currency = params.currency()
    amount = params.amount("amount", currency)
    if amount is None:
        raise invalid("Missing required param: amount.", "amount", "parameter_missing")
    to = params.required("destination")
    account = state.find(to)
    if account is None or account["object"] != "account":
        raise missing("destination", to, param="destination", status=400)
    source = params.text("source_transaction")
    made: Object = {
        "id": state.new_id("tr"),
        "object": "transfer",
        "amount": amount,
        "amount_reversed": 0,
        "balance_transaction": None,
        "created": state.now,
        "currency": currency,
        "description": params.text("description"),
        "destination": to,
        "destination_payment": None,
        "livemode": False,
        "metadata": params.metadata(),
        "reversed": False,
        "source_transaction": source,
        "source_type": params.choice("source_type", ("card", "bank_account")) or "card",
        "transfer_group": params.text("transfer_group", longest=500),
    }
    made["reversals"] = listing(f"/v1/transfers/{made['id']}/reversals", [])
    params.finish()
    if account["capabilities"].get("transfers") != "active":
        raise ApiError(
            "Your destination account needs to have at least one of the following capabilities enabled: transfers",
            code="insufficient_capabilities_for_transfer",
        )
    if state.faults.use("short_of_money"):
        raise ApiError("You have insufficient available funds in your Stripe account.", code="balance_insufficient")
    state.add(made, call.account)
    made["balance_transaction"] = book(state, made, "transfer", -amount, description=made["description"])["id"]
    incoming = new_charge(state, to, amount, currency, "stripe_account", source_transfer=made["id"])
    incoming["balance_transaction"] = book(state, incoming, "payment", amount)["id"]
    state.save(incoming)
    made["destination_payment"] = incoming["id"]
    state.save(made)
    announce(state, "transfer.created", made)
    announce(state, "payment.created", incoming)
    payouts.plan_automatic(state, account)
    return made


def list_transfers(call: Call) -> Object:
    return page(call, "transfer", "destination", "transfer_group")


def reverse(call: Call) -> Object:
    """Take (a part of) a transfer back from the connected account, which must still have the money."""
    made, params, state = call.named("transfer"), call.params, call.state
    amount = params.amount("amount", made["currency"])
    metadata, description = params.metadata(), params.text("description")
    params.ignore("refund_application_fee")
    params.finish()
    left, to = made["amount"] - made["amount_reversed"], made["destination"]
    amount = left if amount is None else amount
    if left == 0:
        raise ApiError(f"Transfer {made['id']} has already been reversed.", code="transfer_already_reversed")
    if amount > left:
        message = f"Transfer reversal amount ({amount}) is greater than unreversed amount ({left})."
        raise ApiError(message, param="amount")
    if available(state, to, made["currency"]) < amount:
        message = "The connected account does not have enough money to reverse this transfer."
        raise ApiError(message, code="balance_insufficient")
    reversal = {
        "id": state.new_id("trr"),
        "object": "transfer_reversal",
        "amount": amount,
        "balance_transaction": None,
        "created": state.now,
        "currency": made["currency"],
        "destination_payment_refund": None,
        "metadata": metadata,
        "source_refund": None,
        "transfer": made["id"],
    }
    state.add(reversal, call.account)
    reversal["balance_transaction"] = book(state, reversal, "transfer_refund", amount, description=description)["id"]
    state.save(reversal)
    incoming = state.get("charge", made["destination_payment"], to)
    book(state, incoming, "payment_refund", -amount)
    incoming["amount_refunded"] += amount
    incoming["refunded"] = incoming["amount_refunded"] == incoming["amount"]
    state.save(incoming)
    made["amount_reversed"] += amount
    made["reversed"] = made["amount_reversed"] == made["amount"]
    made["reversals"]["data"].insert(0, shown(reversal))
    state.save(made)
    announce(state, "transfer.reversed", made)
    return reversal


def list_reversals(call: Call) -> Object:
    made = call.named("transfer")
    return page(call, "transfer_reversal", tests=(lambda one: one["transfer"] == made["id"],))


def reversal(call: Call) -> Object:
    call.params.finish()
    found = call.state.get("transfer_reversal", call.ids[1], call.account)
    if found["transfer"] != call.id:
        raise missing("transfer_reversal", call.ids[1])
    return found
