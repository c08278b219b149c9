"""A case's facts and terms for payouts, where it does not say: nothing in the way, everything to the trader."""

from datetime import UTC, datetime
from typing import Any, Final

from domain.conformance.case import Case
from domain.payout_terms import ApprovalBand, PayoutFacts, PayoutTerms

# a case that is not about time is asked at one instant
NOW: Final = datetime(2000, 1, 1, tzinfo=UTC)


def payout_terms(case: Case, **given: Any) -> PayoutTerms:
    """The engine's terms with the case's parameters."""
    plain: dict[str, Any] = {
        "first_after_days": 0,
        "every_days": 1,
        "split_pct": 100,
        "min_request": "0.01" if case.currency != "JPY" else "1",
        "requires_flat": False,
        "bands": (ApprovalBand(up_to=None, approvers=0),),
    }
    return PayoutTerms.model_validate({**plain, **given})


def facts(case: Case, **known: Any) -> PayoutFacts:
    """The engine's facts with what the case knows."""
    plain: dict[str, Any] = {
        "now": NOW,
        "challenge_state": "funded",
        "funded_at": None,
        "last_payout_at": None,
        "balance_minor": case.initial_minor,
        "initial_minor": case.initial_minor,
        "open_positions": 0,
        "open_payout_id": None,
        "beneficiary_known": True,
    }
    return PayoutFacts.model_validate({**plain, **known})
