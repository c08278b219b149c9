"""Payouts: may money leave, how much, who agreed, and what a refusal says."""
