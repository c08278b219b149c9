"""Controls of money, approvals and reconciliation, each broken on purpose: the tests named in these files notice it."""
