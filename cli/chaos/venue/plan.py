"""What each trader does on the day, and when gateways are killed: decided by the seed alone, before anything runs."""

import random
from dataclasses import dataclass
from typing import Final, Literal

Role = Literal["loser", "near", "busy"]  # falls through the floor; ends just above it; trades small amounts only

LEAST_ACCOUNTS: Final = 3
_OPENING, _FALLING = 0.28, 0.30  # shares of the day: the large positions are open by then; the price falls from then on
_STEPS, _STEPS_FOR_EACH = 70, 8
_STEPS_FOR_A_KILL: Final = 40
_SOONEST, _LATEST = 0.10, 0.85  # share of the fall at which a loser reaches the floor


@dataclass(frozen=True)
class PlannedTrader:
    """`opens_at`: step at which the large position is opened. `breaks_at`: share of the day's fall that takes a loser
    to the floor."""

    number: int
    role: Role
    opens_at: int
    breaks_at: float


@dataclass(frozen=True)
class Day:
    """`kills`: steps at which the gateway is killed, each with whether it may catch up before."""

    traders: tuple[PlannedTrader, ...]
    steps: int
    kills: dict[int, bool]

    def fallen(self, step: int) -> float:
        """Returns the share of the day's fall that has happened by `step`, from 0 to 1. It never shrinks."""
        began = _FALLING * self.steps
        return min(1.0, max(0.0, (step - began) / (0.95 * self.steps - began)))


def plan(kind: str, accounts: int, seed: int) -> Day:
    """Returns the day of one kind of venue. A third of the traders lose, a third ends just above the floor."""
    rng = random.Random(f"chaos/venue/{kind}/{seed}")
    steps = _STEPS + _STEPS_FOR_EACH * accounts
    roles: tuple[Role, ...] = ("loser", "near", "busy")
    traders = tuple(
        PlannedTrader(
            number,
            roles[number % len(roles)],
            rng.randrange(2, int(_OPENING * steps)),
            rng.uniform(_SOONEST, _LATEST),
        )
        for number in range(accounts)
    )
    count = max(2, steps // _STEPS_FOR_A_KILL)
    kills = {rng.randrange(3, steps): rng.random() < 0.5 for _ in range(count)}
    return Day(traders, steps, kills)
