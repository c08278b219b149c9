"""Balance transactions and balances of the platform and of connected accounts."""

from typing import Any, Final

from sandbox.instants import DAY, SECOND
from sandbox.stripe.calls import Call
from sandbox.stripe.lists import page
from sandbox.stripe.state import Object, State

_CATEGORIES: Final = {
    "charge": "charge",
    "payment": "charge",
    "refund": "refund",
    "payment_refund": "refund",
    "refund_failure": "refund_failure",
    "payment_failure_refund": "refund_failure",
    "transfer": "transfer",
    "transfer_refund": "transfer_reversal",
    "payout": "payout",
    "payout_cancel": "payout_reversal",
    "payout_failure": "payout_reversal",
    "topup": "topup",
}


def book(
    state: State,
    source: Object,
    type: str,
    amount: int,
    *,
    fee: int = 0,
    fee_text: str = "Stripe processing fees",
    category: str | None = None,
    waits_days: int = 0,
    description: str | None = None,
) -> Object:
    """Book one movement of the account of `source`. Negative amounts go out; `net` is amount less fee."""
    account, currency = source["_account"], source["currency"]
    fees: list[dict[str, Any]] = []
    if fee:
        fees = [
            {"amount": fee, "application": None, "currency": currency, "description": fee_text, "type": "stripe_fee"}
        ]
    booked = {
        "id": state.new_id("txn"),
        "object": "balance_transaction",
        "amount": amount,
        "available_on": (state.now_us + waits_days * DAY) // SECOND,
        "balance_type": "payments",
        "created": state.now,
        "currency": currency,
        "description": description,
        "exchange_rate": None,
        "fee": fee,
        "fee_details": fees,
        "net": amount - fee,
        "reporting_category": category or _CATEGORIES[type],
        "source": source["id"],
        "status": "pending" if waits_days else "available",
        "type": type,
        "_payout": None,
    }
    state.add(booked, account)
    total = _total(state, account, currency)
    total["pending" if waits_days else "available"] += amount - fee
    state.save(total)
    if waits_days:
        state.later(waits_days * DAY, "money.available", booked["id"])
    return booked


def make_available(state: State, id: str) -> None:
    booked = state.get("balance_transaction", id, state.owner(id))
    booked["status"] = "available"
    state.save(booked)
    total = _total(state, booked["_account"], booked["currency"])
    total["pending"] -= booked["net"]
    total["available"] += booked["net"]
    state.save(total)


def available(state: State, account: str, currency: str) -> int:
    return int(_total(state, account, currency)["available"])


def currencies(state: State, account: str) -> list[str]:
    return [total["currency"] for total in state.all("_total", account)]


def _total(state: State, account: str, currency: str) -> Object:
    id = f"total/{account}/{currency}"
    found = state.find(id)
    if found is None:
        made = {"id": id, "object": "_total", "currency": currency, "available": 0, "pending": 0}
        found = state.add(made, account)
    return found


def balance(call: Call) -> Object:
    call.params.finish()
    totals = call.state.all("_total", call.account) or [{"currency": "usd", "available": 0, "pending": 0}]
    sums = {
        name: [
            {"amount": total[name], "currency": total["currency"], "source_types": {"card": total[name]}}
            for total in totals
        ]
        for name in ("available", "pending")
    }
    answer = {"object": "balance", **sums, "livemode": False}
    if not call.account:
        answer["connect_reserved"] = [{"amount": 0, "currency": total["currency"]} for total in totals]
    return answer


def list_transactions(call: Call) -> Object:
    payout = call.params.text("payout")
    tests = () if payout is None else (lambda one: payout in (one["_payout"], one["source"]),)
    return page(call, "balance_transaction", "currency", "source", "type", tests=tests)
