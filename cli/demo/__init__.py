"""The demo: a firm with simulated traders and staff, from the first purchase to the last payout."""
