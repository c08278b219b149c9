"""Recorded prices, and the contracts of symbols."""
