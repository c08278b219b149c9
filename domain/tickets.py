"""The states of a ticket: who has to act next. One that was merged into another is a signpost to it."""

from typing import Final

from domain.states import StateMachine

MERGED: Final = "merged"
CHANGED: Final = "ticket.changed"
"""The kind of the events of a desk of a third party: read the ticket again."""
TICKET: Final = StateMachine(
    noun="ticket",
    initial="open",
    table={
        ("open", "firm_replied"): "waiting_for_trader",
        ("open", "trader_replied"): "open",
        ("open", "ticket_solved"): "solved",
        ("open", "ticket_merged"): MERGED,
        ("waiting_for_trader", "trader_replied"): "open",
        ("waiting_for_trader", "firm_replied"): "waiting_for_trader",
        ("waiting_for_trader", "ticket_solved"): "solved",
        ("waiting_for_trader", "ticket_merged"): MERGED,
        ("solved", "trader_replied"): "open",
        ("solved", "ticket_merged"): MERGED,
        (MERGED, "split_open"): "open",
        (MERGED, "split_waiting"): "waiting_for_trader",
        (MERGED, "split_solved"): "solved",
    },
    transient=frozenset(),
)
SPLITS: Final = {"open": "split_open", "waiting_for_trader": "split_waiting", "solved": "split_solved"}
"""State before a merge -> the trigger that undoes it."""
