"""What the first payout that was paid does to a floor, for good."""

from typing import Final, Literal

from domain.rules.floors import Settles

FloorAfterPayout = Literal["unchanged", "locks_at_initial", "floor_set_to_zero", "full_reset"]

# "locks_at_initial" is the lock's own level where the rule has a lock
SETTLES: Final[dict[FloorAfterPayout, Settles]] = {
    "unchanged": "unchanged",
    "locks_at_initial": "locks",
    "floor_set_to_zero": "zero",
    "full_reset": "reset",
}
PAID_WORDS: Final[dict[FloorAfterPayout, str]] = {
    "unchanged": "",
    "locks_at_initial": " The first payout fixes the floor at its lock level for good.",
    "floor_set_to_zero": " The first payout sets the floor to zero for good.",
    "full_reset": " Each payout begins the rule anew from the initial balance.",
}
