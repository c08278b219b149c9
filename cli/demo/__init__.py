"""The demo: a firm with simulated people, from the first purchase to the last payout."""
