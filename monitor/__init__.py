"""The live path: events of the trading platform in, confirmed verdicts out."""
