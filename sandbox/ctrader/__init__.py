"""A stateful fake of the cTrader Open API: the real frames over TLS, accounts, a market moved by a control interface,
and faults."""
