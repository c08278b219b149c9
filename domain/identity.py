"""What follows from the answer of an identity checker."""

from typing import Final, Literal

from domain.screening.names import parts_of
from domain.screening.scoring import score

IdentityOutcome = Literal["wait", "verify", "ask_person"]
_SAME_PERSON: Final = 0.85  # a missing middle name or another spelling; not another first name


def same_person(name: str, verified_name: str) -> bool:
    """Returns whether two names can be of one person."""
    first, second = parts_of(name), parts_of(verified_name)
    return max(score(first, second).value, score(second, first).value) >= _SAME_PERSON


def outcome(status: str, name: str, verified_name: str) -> IdentityOutcome:
    """`status` and `verified_name` as the checker has them now. A failed check refuses nobody by itself: the trader may
    try again, and a person may decide. So does a person when the verified name is unknown or is not the trader's."""
    if status != "verified":
        return "wait"
    return "verify" if verified_name and same_person(name, verified_name) else "ask_person"
