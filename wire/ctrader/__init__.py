"""The messages of the cTrader Open API, as Spotware publishes them at github.com/spotware/openapi-proto-messages,
commit 0174130 (MIT, see LICENSE). The newest commit does not compile.

`python -m tests.contract.ctrader_messages` generates the `_pb2` modules again; a test compares them with the
descriptions.
"""
