"""Payouts from an account at Stripe to its bank account.

A payout leaves 15 minutes after it was made and arrives 1 to 3 hours after it. The id of the account decides how long
it takes and whether it arrives: for one account in eight it fails on arrival, or is returned two days later. So does a
payout of an account with such a word in its email or metadata. A failed payout's money is back in the account.
"""

from hashlib import sha256
from typing import Final

from sandbox.instants import DAY, MINUTE, SECOND
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.faults import PAYOUT_FAILS, PAYOUT_RETURNS
from sandbox.stripe.lists import page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.objects.money import available, book, currencies
from sandbox.stripe.objects.payments import is_marked
from sandbox.stripe.state import Object, State

_LEAVES_AFTER: Final = 15 * MINUTE
_RETURNED_AFTER: Final = 2 * DAY
_AUTOMATIC_AFTER: Final = DAY
_FAILURE: Final = "The bank account has been closed."


def create(call: Call) -> Object:
    params, state = call.params, call.state
    currency = params.currency()
    amount = params.amount("amount", currency)
    if amount is None:
        raise invalid("Missing required param: amount.", "amount", "parameter_missing")
    metadata, description = params.metadata(), params.text("description")
    descriptor = params.text("statement_descriptor", longest=22)
    params.choice("method", ("standard", "instant"))
    params.ignore("destination", "source_type")
    params.finish()
    if call.account and not state.get("account", call.account)["payouts_enabled"]:
        raise ApiError("Cannot create payouts: this account has requirements that need to be collected.")
    if call.account and available(state, call.account, currency) < amount:
        message = "You have insufficient funds in your Stripe account for this transfer."
        raise ApiError(message, code="balance_insufficient", param="amount")
    return _make(state, call.account, amount, currency, metadata, description, descriptor)


def _make(
    state: State,
    account: str,
    amount: int,
    currency: str,
    metadata: dict[str, str],
    description: str | None = None,
    descriptor: str | None = None,
    *,
    automatic: bool = False,
) -> Object:
    owner = state.find(account)
    arrives_us, end = _fate(state, owner, metadata)
    made: Object = {
        "id": state.new_id("po"),
        "object": "payout",
        "amount": amount,
        "application_fee": None,
        "application_fee_amount": None,
        "arrival_date": (state.now_us + arrives_us) // SECOND,
        "automatic": automatic,
        "balance_transaction": None,
        "created": state.now,
        "currency": currency,
        "description": description,
        "destination": owner["external_accounts"]["data"][0]["id"] if owner else "ba_firm",
        "failure_balance_transaction": None,
        "failure_code": None,
        "failure_message": None,
        "livemode": False,
        "metadata": metadata,
        "method": "standard",
        "original_payout": None,
        "payout_method": None,
        "reconciliation_status": "in_progress" if automatic else "not_applicable",
        "reversed_by": None,
        "source_type": "card",
        "statement_descriptor": descriptor,
        "status": "pending",
        "trace_id": None,
        "type": "bank_account",
        "_end": end,
    }
    state.add(made, account)
    made["balance_transaction"] = book(state, made, "payout", -amount, description="STRIPE PAYOUT")["id"]
    state.save(made)
    announce(state, "payout.created", made)
    state.later(_LEAVES_AFTER, "payout.leave", made["id"])
    state.later(arrives_us, "payout.arrive", made["id"])
    return made


def _fate(state: State, owner: Object | None, metadata: dict[str, str]) -> tuple[int, str]:
    """Returns how long a payout takes, and how it ends: paid, failed, or returned."""
    if owner is None:
        return DAY, "paid"
    digest = sha256(owner["id"].encode()).digest()
    wait = (60 + int.from_bytes(digest[:4]) % 121) * MINUTE
    if is_marked(PAYOUT_FAILS, owner, metadata) or state.faults.use("payouts_fail"):
        return wait, "failed"
    if is_marked(PAYOUT_RETURNS, owner, metadata) or state.faults.use("payouts_return"):
        return wait, "returned"
    if digest[4] % 8 == 0:
        return wait, "failed" if digest[5] % 2 else "returned"
    return wait, "paid"


def plan_automatic(state: State, account: Object) -> None:
    """Pay the account's money out tomorrow, unless its payouts are made by hand."""
    if account["settings"]["payouts"]["schedule"]["interval"] != "manual":
        state.later(_AUTOMATIC_AFTER, "account.payout", account["id"])


def pay_out_all(state: State, id: str) -> None:
    owner = state.find(id)
    if owner is None or not owner["payouts_enabled"]:
        return
    for currency in currencies(state, id):
        amount = available(state, id, currency)
        if amount > 0:
            unpaid = [
                booked
                for booked in state.all("balance_transaction", id)
                if booked["currency"] == currency and booked["_payout"] is None
            ]
            made = _make(state, id, amount, currency, {}, automatic=True)
            for booked in unpaid:
                booked["_payout"] = made["id"]
                state.save(booked)


def leave(state: State, id: str) -> None:
    made = state.get("payout", id, state.owner(id))
    if made["status"] == "pending":
        made["status"] = "in_transit"
        state.save(made)
        announce(state, "payout.updated", made)


def arrive(state: State, id: str) -> None:
    made = state.get("payout", id, state.owner(id))
    if made["status"] != "in_transit":
        return
    if made["_end"] == "failed":
        fail(state, made)
        return
    made["status"] = "paid"
    if made["automatic"]:
        made["reconciliation_status"] = "completed"
    state.save(made)
    if not made["_account"]:
        state.to_bank(made["currency"].upper(), made["amount"], made["id"])
    announce(state, "payout.paid", made)
    if made["automatic"]:
        announce(state, "payout.reconciliation_completed", made)
    if made["_end"] == "returned":
        state.later(_RETURNED_AFTER, "payout.return", made["id"])


def return_later(state: State, id: str) -> None:
    fail(state, state.get("payout", id, state.owner(id)))


def fail(state: State, made: Object) -> None:
    """The bank sends the money back, also after it arrived. A payout that has failed does not change."""
    if made["status"] in ("failed", "canceled"):
        return
    booked = book(state, made, "payout_failure", made["amount"], description="Payout failure")
    made |= {
        "status": "failed",
        "failure_balance_transaction": booked["id"],
        "failure_code": "account_closed",
        "failure_message": _FAILURE,
    }
    state.save(made)
    announce(state, "payout.failed", made)


# calls


def list_payouts(call: Call) -> Object:
    return page(call, "payout", "status", "destination")


def cancel(call: Call) -> Object:
    made = call.named("payout")
    call.params.finish()
    if made["status"] != "pending":
        message = f"Payouts can only be canceled while they are pending; this one is {made['status']}."
        raise ApiError(message, code="payout_not_cancelable" if made["status"] == "in_transit" else None)
    booked = book(call.state, made, "payout_cancel", made["amount"])
    made |= {"status": "canceled", "failure_balance_transaction": booked["id"]}
    call.state.save(made)
    announce(call.state, "payout.canceled", made)
    return made
