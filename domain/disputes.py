"""A trader disputes a breach; a person upholds it or reinstates the account."""

from typing import Final

from domain.states import StateMachine

DISPUTE: Final = StateMachine(
    noun="dispute",
    initial="opened",
    table={
        ("opened", "evidence_assembled"): "awaiting_decision",
        ("awaiting_decision", "breach_upheld"): "upheld",
        ("awaiting_decision", "reinstatement_granted"): "reinstating",
        ("reinstating", "account_reinstated"): "reinstated",
    },
    transient=frozenset({"opened", "reinstating"}),
)

CASE: Final = StateMachine(
    noun="case",
    initial="open",
    table={("open", "suspicion_cleared"): "cleared", ("open", "abuse_confirmed"): "confirmed"},
    transient=frozenset(),
)
