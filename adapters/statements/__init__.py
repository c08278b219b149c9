"""Readers of brokers' reports: MT5 and MT4 terminals' HTML, and CSV files with a mapping."""
