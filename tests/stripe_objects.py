"""Objects of Stripe as its API sends them, with the fields that matter here."""

from typing import Any

Json = dict[str, Any]
MARKS = {"propos_key": "pay-ch1", "propos_reference": "ch1"}
TRANSFER_MARKS = {"propos_key": "trf-1", "propos_reference": "po1"}


def charge(**fields: Any) -> Json:
    return {
        "id": "ch_1",
        "object": "charge",
        "amount": 9900,
        "amount_refunded": 0,
        "currency": "usd",
        "disputed": False,
        "payment_intent": "pi_1",
        "metadata": MARKS,
        **fields,
    }


def intent(**fields: Any) -> Json:
    return {
        "id": "pi_1",
        "object": "payment_intent",
        "status": "succeeded",
        "currency": "usd",
        "amount_received": 9900,
        "latest_charge": charge(),
        "metadata": MARKS,
        **fields,
    }


def session(**fields: Any) -> Json:
    return {
        "id": "cs_test_1",
        "object": "checkout.session",
        "created": 1_790_000_000,
        "status": "complete",
        "payment_status": "paid",
        "url": None,
        "amount_total": 9900,
        "currency": "usd",
        "client_reference_id": "ch1",
        "payment_intent": intent(),
        "metadata": MARKS,
        **fields,
    }


def open_session(**fields: Any) -> Json:
    url = "https://checkout.stripe.com/c/pay/cs_test_1"
    return session(**{"status": "open", "payment_status": "unpaid", "payment_intent": None, "url": url, **fields})


def refund(**fields: Any) -> Json:
    return {
        "id": "re_1",
        "object": "refund",
        "status": "succeeded",
        "amount": 4000,
        "currency": "usd",
        "charge": "ch_1",
        "payment_intent": "pi_1",
        "failure_reason": None,
        "metadata": {**MARKS, "propos_key": "refund-ch1"},
        **fields,
    }


def movement(amount: int, fee: int, currency: str = "usd") -> Json:
    return {"id": "txn_1", "object": "balance_transaction", "amount": amount, "fee": fee, "currency": currency}


def dispute(**fields: Any) -> Json:
    return {
        "id": "dp_1",
        "object": "dispute",
        "status": "needs_response",
        "amount": 9900,
        "currency": "usd",
        "reason": "fraudulent",
        "charge": "ch_1",
        "payment_intent": intent(),
        "balance_transactions": [movement(-9900, 1500)],
        "evidence_details": {"due_by": 1_791_000_000, "past_due": False, "submission_count": 0, "has_evidence": False},
        "metadata": {},
        **fields,
    }


def transfer(**fields: Any) -> Json:
    return {
        "id": "tr_1",
        "object": "transfer",
        "created": 1_790_000_000,
        "amount": 26025,
        "amount_reversed": 0,
        "reversed": False,
        "currency": "usd",
        "destination": "acct_trader",
        "destination_payment": {
            "id": "py_1",
            "object": "charge",
            "balance_transaction": {
                "id": "txn_9",
                "object": "balance_transaction",
                "net": 26025,
                "currency": "usd",
            },
        },
        "transfer_group": "trf-1",
        "metadata": TRANSFER_MARKS,
        **fields,
    }


def payout(**fields: Any) -> Json:
    return {
        "id": "po_1",
        "object": "payout",
        "status": "pending",
        "amount": 26025,
        "currency": "usd",
        "failure_code": None,
        "metadata": {**TRANSFER_MARKS, "propos_transfer": "tr_1"},
        **fields,
    }


def account(**fields: Any) -> Json:
    return {
        "id": "acct_trader",
        "object": "account",
        "payouts_enabled": True,
        "capabilities": {"transfers": "active"},
        "requirements": {"currently_due": [], "past_due": [], "disabled_reason": None},
        "metadata": {"propos_key": "payee-t1", "propos_reference": "t1"},
        **fields,
    }


def verification(**fields: Any) -> Json:
    return {
        "id": "vs_1",
        "object": "identity.verification_session",
        "status": "requires_input",
        "url": "https://verify.stripe.com/start/1",
        "last_error": None,
        "verified_outputs": None,
        "metadata": {"propos_key": "kyc-t1", "propos_reference": "t1"},
        **fields,
    }


def moved(id: str, category: str, amount: int, *, fee: int = 0, source: Any = None, **fields: Any) -> Json:
    """A balance transaction."""
    return {
        "id": id,
        "object": "balance_transaction",
        "created": 1_790_000_000,
        "amount": amount,
        "fee": fee,
        "net": amount - fee,
        "currency": "usd",
        "type": category,
        "reporting_category": category,
        "source": source,
        **fields,
    }


def event(type: str, found: Json, **fields: Any) -> Json:
    """A snapshot event."""
    return {
        "id": "evt_1",
        "object": "event",
        "type": type,
        "created": 1_790_000_000,
        "livemode": False,
        "api_version": "2026-10-28.endive",
        "data": {"object": found},
        **fields,
    }


def thin_event(type: str, related: str, **fields: Any) -> Json:
    return {
        "id": "evt_2",
        "object": "v2.core.event",
        "type": type,
        "created": "2026-11-02T10:00:00.000Z",
        "livemode": False,
        "related_object": {"id": related, "type": "v2.core.account", "url": f"/v2/core/accounts/{related}"},
        **fields,
    }
