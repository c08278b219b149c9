"""What a product promises about payouts: the terms as data, and pure functions that decide by them."""

from domain.payouts.facts import GateFact, PayoutFacts
from domain.payouts.schema import ApprovalBand, Cap, Cycle, FeeRefund, PayoutSplit, PayoutTerms, SplitTier

__all__ = [
    "ApprovalBand",
    "Cap",
    "Cycle",
    "FeeRefund",
    "GateFact",
    "PayoutFacts",
    "PayoutSplit",
    "PayoutTerms",
    "SplitTier",
]
