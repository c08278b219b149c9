"""Adapter for MetaTrader 5 over the WebAPI of its access server. docs/mt5.md says what of the wire is verified."""
