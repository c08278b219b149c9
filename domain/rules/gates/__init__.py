"""Conditions that must be met before a pass or a payout."""
