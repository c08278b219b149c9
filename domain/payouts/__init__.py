"""Payouts: the terms of a product as data, and the pure functions that decide by them."""

from domain.payouts.facts import GateFact, PayoutFacts
from domain.payouts.parts import ApprovalBand, Cap, DaysSplit, FeeRefund, Least, PayoutSplit, RequestDays, SplitTier
from domain.payouts.schema import Cycle, FromPayout, PayoutTerms

__all__ = [
    "ApprovalBand",
    "Cap",
    "Cycle",
    "DaysSplit",
    "FeeRefund",
    "FromPayout",
    "GateFact",
    "Least",
    "PayoutFacts",
    "PayoutSplit",
    "PayoutTerms",
    "RequestDays",
    "SplitTier",
]
