"""The states of a ticket: who has to act next."""

from typing import Final

from domain.states import StateMachine

TICKET: Final = StateMachine(
    noun="ticket",
    initial="open",
    table={
        ("open", "firm_replied"): "waiting_for_trader",
        ("open", "trader_replied"): "open",
        ("open", "ticket_solved"): "solved",
        ("waiting_for_trader", "trader_replied"): "open",
        ("waiting_for_trader", "firm_replied"): "waiting_for_trader",
        ("waiting_for_trader", "ticket_solved"): "solved",
        ("solved", "trader_replied"): "open",
    },
    transient=frozenset(),
)
