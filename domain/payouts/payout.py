"""A payout: its states, the approvals it needs, and what an approval covers."""

import hashlib
import json
import re
from typing import Final

from domain.money import Money, from_minor
from domain.payouts import PayoutTerms
from domain.states import StateMachine

_OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")

PAYOUT: Final = StateMachine(
    noun="payout",
    initial="requested",
    table={
        ("requested", "request_refused"): "refused",
        ("requested", "hold_placed"): "reserved",
        ("reserved", "risk_found"): "in_review",
        ("reserved", "risk_clear"): "awaiting_approval",
        ("in_review", "risk_clear"): "awaiting_approval",
        ("awaiting_approval", "risk_found"): "in_review",
        ("awaiting_approval", "approvals_complete"): "approved",
        ("approved", "risk_found"): "in_review",
        ("approved", "payout_rejected"): "releasing",
        ("approved", "payout_cancelled"): "releasing",
        ("approved", "transfer_accepted"): "sent",
        ("approved", "transfer_refused"): "in_review",
        # a transfer that was sent while the payout was approved, and whose answer was lost
        **{(state, "transfer_found"): "sent" for state in (*_OPEN_TO_PEOPLE, "releasing")},
        ("sent", "transfer_paid"): "settling",
        ("sent", "transfer_returned"): "releasing",
        ("settling", "payout_settled"): "paid",
        **{
            (state, trigger): "releasing"
            for state in _OPEN_TO_PEOPLE
            for trigger in ("payout_rejected", "payout_cancelled", "decision_timed_out")
        },
        ("releasing", "rejection_released"): "rejected",
        ("releasing", "cancellation_released"): "cancelled",
        ("releasing", "timeout_released"): "timed_out",
        ("releasing", "return_released"): "returned",
    },
    transient=frozenset({"requested", "reserved", "approved", "settling", "releasing"}),
)


def approvers_needed(sent: Money, terms: PayoutTerms) -> int:
    """Returns how many distinct people must approve this amount (0, 1 or 2), by the approval bands of the terms."""
    amount = from_minor(sent.minor, sent.currency)
    return next(band.approvers for band in terms.bands if band.up_to is None or amount <= band.up_to)


def terms_digest(
    *,
    payout_id: str,
    trader_share: Money,
    beneficiary_index: str,
    product_hash: str,
    refund_minor: int = 0,
    forfeited_minor: int = 0,
) -> str:
    """Returns the digest that an approval covers: it no longer counts when amount, currency, beneficiary or rules
    change.

    `refund_minor`: the part of the fee that is paid with the share. `forfeited_minor`: the money that leaves the
    account and is paid to nobody. `beneficiary_index` is a keyed digest of the beneficiary, because the result is
    stored in clear and there are few enough account numbers to try them all against a digest without a key.
    """
    body = {
        "v": 2,
        "payout": payout_id,
        "amount_minor": trader_share.minor,
        "refund_minor": refund_minor,
        "forfeited_minor": forfeited_minor,
        "currency": trader_share.currency,
        "beneficiary": beneficiary_index,
        "product": product_hash,
    }
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_beneficiary(text: str, beneficiary: str) -> str:
    """Returns a provider's text for the record, with the beneficiary removed, however it is spaced."""
    symbols = [re.escape(symbol) for symbol in beneficiary if symbol.isalnum()]
    return re.sub(r"[\s-]*".join(symbols), "(the beneficiary)", text, flags=re.IGNORECASE) if symbols else text
