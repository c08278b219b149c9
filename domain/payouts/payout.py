"""A payout: its states, and what an approval covers."""

import hashlib
import json
import re
from typing import Final

from domain.exchange import Conversion
from domain.money import Money
from domain.states import StateMachine

OPEN_TO_PEOPLE: Final = ("in_review", "awaiting_approval")
CAME_BACK: Final = ("returned", "owed")
# The stages of a payout that is not closed, each with its states.
STAGES: Final = {
    "reserved": ("requested", "reserved", *OPEN_TO_PEOPLE),
    "approved": ("approved",),
    "in transit": ("sent", "settling"),
    "coming back": (*CAME_BACK, "releasing"),
}
_GOES_OUT: Final = ("approved", "sent", "settling", "paid")

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
        ("approved", "approval_retracted"): "awaiting_approval",
        ("approved", "payout_rejected"): "releasing",
        ("approved", "payout_cancelled"): "releasing",
        ("approved", "transfer_accepted"): "sent",
        # back to people: nothing is sent until a person says so
        ("approved", "payout_stopped"): "in_review",
        ("approved", "transfer_stalled"): "in_review",
        **{(state, "transfer_refused"): "in_review" for state in ("approved", "sent")},
        **{(state, "transfer_stopped"): "in_review" for state in ("approved", "sent")},
        ("in_review", "sent_again"): "in_review",
        # a transfer that was sent while the payout was approved, and whose answer was lost
        **{(state, "transfer_found"): "sent" for state in (*OPEN_TO_PEOPLE, "releasing")},
        ("sent", "transfer_paid"): "settling",
        ("settling", "payout_settled"): "paid",
        **{(state, "transfer_returned"): "returned" for state in ("sent", "settling", "paid")},
        ("returned", "claim_kept"): "owed",
        **{(state, "sent_again"): "in_review" for state in CAME_BACK},
        **{(state, "release_chosen"): "releasing" for state in CAME_BACK},
        **{
            (state, trigger): "releasing"
            for state in OPEN_TO_PEOPLE
            for trigger in ("payout_rejected", "payout_cancelled", "decision_timed_out")
        },
        ("releasing", "rejection_released"): "rejected",
        ("releasing", "cancellation_released"): "cancelled",
        ("releasing", "timeout_released"): "timed_out",
        ("releasing", "return_released"): "released",
    },
    transient=frozenset({"requested", "reserved", "approved", "settling", "releasing"}),
    reopens=frozenset({"paid"}),
)


def ends_round(trigger: str, state: str) -> bool:
    """Whether a step ends an attempt to send: it came back or was refused. Its approvals are used up then."""
    return trigger.startswith("transfer_") and state not in _GOES_OUT


def terms_digest(
    *,
    payout_id: str,
    trader_share: Money,
    beneficiary_digest: str,
    product_hash: str,
    refund_minor: int = 0,
    forfeited_minor: int = 0,
    conversion: Conversion | None = None,
) -> str:
    """Returns the digest that an approval covers: it no longer counts when amount, currency, beneficiary or rules
    change.

    `refund_minor`: the part of the fee that is paid with the share. `forfeited_minor`: the money that leaves the
    account and is paid to nobody. `conversion`: what is sent, and the rate, of a payout in another currency; nothing of
    it may change after the approval. `beneficiary_digest` is a keyed digest of the beneficiary, because the result is
    stored in clear and there are few enough account numbers to try them all against a digest without a key. It stays
    the same when the encryption keys are rotated, so that an approval given before still counts.
    """
    body: dict[str, object] = {
        "v": 2,
        "payout": payout_id,
        "amount_minor": trader_share.minor,
        "refund_minor": refund_minor,
        "forfeited_minor": forfeited_minor,
        "currency": trader_share.currency,
        "beneficiary": beneficiary_digest,
        "product": product_hash,
    }
    if conversion is not None:
        body["conversion"] = {"bought_minor": conversion.bought.minor, **conversion.evidence()}
    return hashlib.sha256(json.dumps(body, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def without_beneficiary(text: str, beneficiary: str) -> str:
    """Returns a provider's text for the record, with the beneficiary removed, however it is spaced."""
    symbols = [re.escape(symbol) for symbol in beneficiary if symbol.isalnum()]
    return re.sub(r"[\s-]*".join(symbols), "(the beneficiary)", text, flags=re.IGNORECASE) if symbols else text
