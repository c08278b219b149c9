"""Recorded prices and the contracts they are of."""
