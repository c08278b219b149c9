"""Payouts: the terms of a product as data, and the pure functions that decide by them."""

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
