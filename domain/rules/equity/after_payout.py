"""What the first settled payout does to a floor permanently."""

from typing import Final, Literal

from domain.rules.floors import FloorSpec, SettlementEffect
from domain.wording import money

FloorAfterPayout = Literal["unchanged", "locks_at_initial", "floor_set_to_zero", "full_reset"]

# "locks_at_initial" locks at the level of the rule's own lock where it has one
SETTLES: Final[dict[FloorAfterPayout, SettlementEffect]] = {
    "unchanged": "unchanged",
    "locks_at_initial": "locks",
    "floor_set_to_zero": "zero",
    "full_reset": "reset",
}


def payout_words(spec: FloorSpec, currency: str) -> str:
    """Returns the effect on the floor as a sentence after a space; empty when there is none."""
    if spec.settles == "locks":
        return f" The first payout fixes the floor permanently at {money(spec.lock_level, currency)}."
    if spec.settles == "zero":
        return " The first payout sets the floor to zero permanently."
    return " Each payout restarts the rule from the initial balance." if spec.settles == "reset" else ""
