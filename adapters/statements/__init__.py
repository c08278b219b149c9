"""Readers of brokers' reports: HTML of MT5 and MT4 terminals, and CSV files with a mapping."""
