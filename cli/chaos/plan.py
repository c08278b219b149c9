"""What goes wrong with which payout: decided by the seed alone, before anything runs."""

import random
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, Literal

Rail = Literal["bank", "stripe"]
Twist = Literal[
    "none",
    "race",  # two operators decide at the same moment, one of them against it
    "retract",  # an approval is taken back while the payout goes out
    "role",  # an approver loses the role while the payout goes out
    "beneficiary",  # the trader gives another account after the approval
    "case",  # surveillance opens a case between approval and send
    "late_effect",  # the caller dies while the acquirer works, and the effect lands afterwards
    "terminated",  # somebody terminates the workflow
    "reset",  # somebody resets the workflow
]
Fate = Literal["arrives", "refused", "returned", "fails", "returns"]  # at the bank, or on the acquirer's account
Buyer = Literal["none", "won", "lost", "desk_refund"]  # what becomes of the payment for the challenge

# The policy's bands: up to the first, nobody approves; up to the second, one person. In major units.
AUTOMATIC_UP_TO, ONE_CHECKER_UP_TO = 500, 1_200
_BANDS: Final = ((450, 750), (950, 1_950), (2_050, 3_200))  # what is requested; the trader gets 60 percent of it


@dataclass(frozen=True)
class _Story:
    rail: Rail
    checkers: int
    twist: Twist
    fate: Fate = "arrives"
    buyer: Buyer = "none"


# Twelve payouts meet everything; more repeat it in another order, with other amounts.
_STORIES: Final = (
    _Story("bank", 0, "none", buyer="desk_refund"),
    _Story("bank", 1, "race"),
    _Story("bank", 2, "retract"),
    _Story("bank", 2, "role"),
    _Story("bank", 2, "beneficiary"),
    _Story("bank", 1, "none", fate="refused"),
    _Story("bank", 2, "case", fate="returned"),
    _Story("stripe", 2, "late_effect"),
    _Story("stripe", 1, "none", fate="fails"),
    _Story("stripe", 2, "none", fate="returns"),
    _Story("bank", 1, "terminated", buyer="won"),
    _Story("bank", 2, "reset", buyer="lost"),
)
CYCLE: Final = len(_STORIES)


@dataclass(frozen=True)
class PlannedPayout:
    """`gross`: what is requested, in major units."""

    number: int
    rail: Rail
    checkers: int
    gross: Decimal
    twist: Twist
    fate: Fate
    buyer: Buyer


def plan(payouts: int, seed: int) -> list[list[PlannedPayout]]:
    """Returns the payouts in waves; each wave has every story at least once, as far as there are enough payouts."""
    rng = random.Random(f"chaos/{seed}")
    waves = max(1, min(6, payouts // CYCLE))
    planned: list[list[PlannedPayout]] = []
    number = 0
    for wave in range(waves):
        size = payouts // waves + (wave < payouts % waves)
        stories = [_STORIES[place % CYCLE] for place in range(size)]
        rng.shuffle(stories)
        planned.append([])
        for story in stories:
            low, high = _BANDS[story.checkers]
            gross = Decimal(rng.randrange(low * 100, high * 100)) / 100
            planned[-1].append(
                PlannedPayout(number, story.rail, story.checkers, gross, story.twist, story.fate, story.buyer)
            )
            number += 1
    return planned
