"""Disputes: the buyer's bank takes a payment back, the firm answers, the bank decides.

A dispute withdraws its amount and a fee at once; an inquiry asks first and withdraws nothing. Evidence wins it three
days after it was submitted, unless the fault `disputes_lost` or the evidence itself says otherwise. Without evidence in
time it is lost, and an inquiry becomes a dispute. The fee is not given back.
"""

from typing import Any, Final

from sandbox.instants import DAY, SECOND
from sandbox.stripe.calls import Call
from sandbox.stripe.errors import ApiError, invalid
from sandbox.stripe.faults import DISPUTE_LOST
from sandbox.stripe.lists import page
from sandbox.stripe.objects.events import announce
from sandbox.stripe.objects.money import book
from sandbox.stripe.objects.payments import is_marked
from sandbox.stripe.state import Object, State, shown

FEE: Final = 1500
_ANSWER_DAYS: Final = 9
_DECIDES_AFTER: Final = 3 * DAY
_OPEN: Final = ("needs_response", "warning_needs_response")
_DECIDED: Final = ("won", "lost", "warning_closed")
_EVIDENCE: Final = (
    *("access_activity_log", "billing_address", "cancellation_policy", "cancellation_policy_disclosure"),
    *("cancellation_rebuttal", "customer_communication", "customer_email_address", "customer_name"),
    *("customer_purchase_ip", "customer_signature", "duplicate_charge_documentation"),
    *("duplicate_charge_explanation", "duplicate_charge_id", "product_description", "receipt", "refund_policy"),
    *("refund_policy_disclosure", "refund_refusal_explanation", "service_date", "service_documentation"),
    *("shipping_address", "shipping_carrier", "shipping_date", "shipping_documentation", "shipping_tracking_number"),
    *("uncategorized_file", "uncategorized_text"),
)


def open_dispute(
    state: State, charge: Object, *, amount: int | None = None, reason: str = "fraudulent", inquiry: bool = False
) -> Object:
    """The buyer's bank disputes a charge, or asks about it. Raises ApiError when one is open or nothing is left."""
    earlier = state.all("dispute", charge["_account"], charge=charge["id"])
    left = charge["amount"] - charge["amount_refunded"]
    if any(one["status"] not in _DECIDED for one in earlier) or left == 0 or (amount or 0) > left:
        raise ApiError(f"Charge {charge['id']} cannot be disputed for this amount now.")
    made = {
        "id": state.new_id("du"),
        "object": "dispute",
        "amount": amount or left,
        "balance_transactions": [],
        "charge": charge["id"],
        "created": state.now,
        "currency": charge["currency"],
        "enhanced_eligibility_types": [],
        "evidence": {**dict.fromkeys(_EVIDENCE), "enhanced_evidence": {}},
        "evidence_details": {
            "due_by": state.now + _ANSWER_DAYS * DAY // SECOND,
            "enhanced_eligibility": {},
            "has_evidence": False,
            "past_due": False,
            "submission_count": 0,
        },
        "is_charge_refundable": inquiry,
        "livemode": False,
        "metadata": {},
        "payment_intent": charge["payment_intent"],
        "payment_method_details": {
            "card": {
                "brand": "visa",
                "case_type": "inquiry" if inquiry else "chargeback",
                "network_reason_code": "10.4",
            },
            "type": "card",
        },
        "reason": reason,
        "status": "warning_needs_response" if inquiry else "needs_response",
    }
    state.add(made, charge["_account"])
    charge["disputed"] = True
    state.save(charge)
    announce(state, "charge.dispute.created", made)
    if not inquiry:
        _withdraw(state, made)
    state.later(_ANSWER_DAYS * DAY, "dispute.due", made["id"])
    return made


def dispute_charge(state: State, id: str) -> None:
    """The buyer disputes a payment, unless nothing of it is left."""
    charge = state.get("charge", id, state.owner(id))
    if charge["amount"] > charge["amount_refunded"] and not charge["disputed"]:
        open_dispute(state, charge)


def _withdraw(state: State, made: Object) -> None:
    booked = book(
        state,
        made,
        "adjustment",
        -made["amount"],
        fee=FEE,
        fee_text="Dispute fee",
        category="dispute",
        description=f"Chargeback withdrawal for {made['charge']}",
    )
    made["balance_transactions"].append(shown(booked))
    state.save(made)
    announce(state, "charge.dispute.funds_withdrawn", made)


def fall_due(state: State, id: str) -> None:
    """The time for evidence is over."""
    made = state.get("dispute", id, state.owner(id))
    if state.now < made["evidence_details"]["due_by"]:
        return
    if made["status"] == "needs_response":
        made["evidence_details"]["past_due"] = True
        decide(state, made, won=False)
    elif made["status"] == "warning_needs_response":
        escalate(state, made)


def escalate(state: State, made: Object) -> None:
    """An inquiry becomes a dispute."""
    made |= {"status": "needs_response", "is_charge_refundable": False}
    made["payment_method_details"]["card"]["case_type"] = "chargeback"
    made["evidence_details"] |= {
        "due_by": state.now + _ANSWER_DAYS * DAY // SECOND,
        "has_evidence": False,
        "submission_count": 0,
    }
    state.save(made)
    announce(state, "charge.dispute.updated", made)
    _withdraw(state, made)
    state.later(_ANSWER_DAYS * DAY, "dispute.due", made["id"])


def judge(state: State, id: str) -> None:
    """The bank decides on submitted evidence."""
    made = state.get("dispute", id, state.owner(id))
    if made["status"] in ("under_review", "warning_under_review"):
        lost = made["_lost"] or state.faults.disputes_lost
        if made["status"] == "warning_under_review" and lost:
            escalate(state, made)
        else:
            decide(state, made, won=not lost)


def decide(state: State, made: Object, *, won: bool) -> None:
    """Close a dispute. A decided one does not change."""
    if made["status"] in _DECIDED:
        return
    inquiry = made["status"].startswith("warning")
    made["status"] = "warning_closed" if inquiry else "won" if won else "lost"
    if won and not inquiry:
        booked = book(
            state,
            made,
            "adjustment",
            made["amount"],
            category="dispute_reversal",
            description=f"Chargeback reversal for {made['charge']}",
        )
        made["balance_transactions"].append(shown(booked))
    state.save(made)
    announce(state, "charge.dispute.closed", made)
    if won and not inquiry:
        announce(state, "charge.dispute.funds_reinstated", made)


# calls


def list_disputes(call: Call) -> Object:
    return page(call, "dispute", "charge", "payment_intent")


def update(call: Call) -> Object:
    made, params = call.named("dispute"), call.params
    given, submit = _evidence(call), params.flag("submit")
    metadata = params.metadata(made["metadata"])
    params.finish()
    if (given or submit) and made["status"] not in _OPEN:
        message = "This dispute can no longer be changed: its evidence was submitted, or it is closed."
        raise ApiError(message, code="dispute_evidence_not_editable")
    made["metadata"] = metadata
    made["evidence"] |= given
    details = made["evidence_details"]
    details["has_evidence"] = any(made["evidence"][name] for name in _EVIDENCE)
    # Evidence is submitted at once unless the caller says that it only stages it.
    if submit or (given and submit is None):
        details["submission_count"] += 1
        made["_lost"] = is_marked(DISPUTE_LOST, made["evidence"]) or call.state.faults.disputes_lost
        warning = made["status"].startswith("warning")
        made["status"] = "warning_under_review" if warning else "under_review"
        call.state.later(_DECIDES_AFTER, "dispute.judge", made["id"])
    call.state.save(made)
    announce(call.state, "charge.dispute.updated", made)
    return made


def _evidence(call: Call) -> dict[str, Any]:
    params = call.params.inside("evidence")
    given = {name: params.text(name, longest=20_000) for name in _EVIDENCE if params.has(name)}
    if sum(len(text or "") for text in given.values()) > 150_000:
        raise invalid("The combined character count of all evidence fields is over 150,000.", "evidence")
    return given


def close(call: Call) -> Object:
    """The firm accepts the dispute: it is lost."""
    made = call.named("dispute")
    call.params.finish()
    if made["status"] not in _OPEN:
        raise ApiError("This dispute is already closed or under review.", code="dispute_already_closed")
    if made["status"] == "warning_needs_response":
        made["status"] = "warning_closed"
        call.state.save(made)
        announce(call.state, "charge.dispute.closed", made)
    else:
        decide(call.state, made, won=False)
    return made
