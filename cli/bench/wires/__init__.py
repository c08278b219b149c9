"""The real wires of the adapters as the source of the gateway's benchmark: recorded at the fakes, decoded for real."""
