"""A stateful fake of an MT5 access server: its WebAPI on one side, controls for tests and demos on the other."""
