"""A venue's end-of-day figures, and how they differ from the anchors that our daily loss limits stand on.

Both are of the same day only when the firm's trading day ends when the venue's does.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class DayEnd:
    """Balance and equity at the end of a day, in minor units of `currency`."""

    currency: str
    balance_minor: int
    equity_minor: int


@dataclass(frozen=True)
class AnchorDrift:
    """How far the venue's figures lie above ours, in minor units. `missing`: the venue has none for the account."""

    login: int
    balance_minor: int = 0
    equity_minor: int = 0
    missing: bool = False


def anchor_drifts(
    ours: Mapping[int, DayEnd], theirs: Mapping[int, DayEnd], tolerance_minor: int = 0
) -> list[AnchorDrift]:
    """Returns the accounts of ours whose figures the venue has otherwise, by more than the tolerance, or not at all. An
    account in another currency than ours is missing."""
    drifts = []
    for login, own in sorted(ours.items()):
        found = theirs.get(login)
        if found is None or found.currency != own.currency:
            drifts.append(AnchorDrift(login, missing=True))
            continue
        drift = AnchorDrift(login, found.balance_minor - own.balance_minor, found.equity_minor - own.equity_minor)
        if max(abs(drift.balance_minor), abs(drift.equity_minor)) > tolerance_minor:
            drifts.append(drift)
    return drifts
