"""Adapter for DXtrade: accounts and locks over its two REST interfaces, a feed over its sockets. docs/dxtrade.md."""
