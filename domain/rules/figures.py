"""What a level may need beside its basis: further figures of the account, sizes of them, and steps."""

from dataclasses import dataclass
from typing import Literal

from domain.rules.terms import Size


@dataclass(frozen=True, slots=True)
class MovingSize:
    """A size in the currency of an account, that depends on more than the basis."""

    size: Size
    currency: str


@dataclass(frozen=True, slots=True)
class FloorStep:
    """Once `when` is at least `reaches_minor`, the floor is for good `anchor` minus the size."""

    when: Literal["balance", "equity"]
    reaches_minor: int
    anchor: Literal["initial", "reached"]
    size: MovingSize


@dataclass(frozen=True, slots=True)
class Figures:
    """Further figures of an account, as the rule counts them, of which a size may be a percentage.

    `anchor_minor`: the balance at the last reset, `peak_minor`: the highest one; the initial balance before the first
    (`reset`: there was one). `payout_balance_minor`: what the last
    payout left, `payout_before_minor`: what the one before it left, in case it comes back. `step`: the number of the
    last step that was reached (0: none), which has set the floor to `step_base_minor` minus `step_allowance_minor`.
    """

    anchor_minor: int
    peak_minor: int
    balance_minor: int
    payout_balance_minor: int
    payout_before_minor: int
    reset: bool = False
    step: int = 0
    step_base_minor: int = 0
    step_allowance_minor: int = 0

    @classmethod
    def first(cls, initial_minor: int) -> "Figures":
        """Returns the figures of a new account."""
        return cls(initial_minor, initial_minor, initial_minor, initial_minor, initial_minor)
