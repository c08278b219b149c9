"""Which pairs chance does not explain, of all pairs that could have matched."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log10
from typing import Final

import numpy as np

from surveillance.chance.tails import beyond_chance
from surveillance.groups import Edge, groups
from surveillance.matching import Field, Marks, Matched, chance_of


@dataclass(frozen=True)
class Odds:
    """`expected`: matches that chance gives; `p_value`: that chance gives as many as were seen. `stands`: not chance,
    among `tests` pairs that could have matched."""

    expected: float
    p_value: float
    tests: float
    stands: bool

    @property
    def certainty(self) -> float:
        """Returns 0 at chance and 1 when chance gives as many once in 10^12 firms of this size."""
        return min(max(-log10(max(self.p_value * self.tests, 1e-300)) / 12, 0.0), 1.0)


NO_ODDS: Final = Odds(0.0, 1.0, 1.0, stands=False)  # of a pair that nobody asked about yet


def odds(
    field: Field,
    pairs: Sequence[tuple[Matched, Marks]],
    *,
    reach: int,
    opposite: bool,
    tests: float,
    false_discoveries: float,
) -> list[Odds]:
    """Returns the odds of each pair. Chance goes by the firm without the whole group of a pair: the other followers of
    a leader are no ordinary traders. `false_discoveries`: 0..1, the share of false ones among those that stand."""
    of_account: dict[int, list[int]] = {}
    for group in groups(Edge(pair.subject, pair.partner, 1.0) for pair, _ in pairs):
        for member in group.members:
            of_account.setdefault(member, []).extend(group.members)
    told = []
    for pair, marks in pairs:
        # Who hangs on a group by a bridge alone was cut off from it, and is a suspect by himself.
        ends = (pair.subject, pair.partner)
        suspects = np.unique([each for end in ends for each in (end, *of_account.get(end, ()))]).astype(np.int32)
        told.append(chance_of(field, pair, marks, suspects, reach=reach, opposite=opposite))
    stands = beyond_chance(np.array([p_value for _, p_value in told]), tests, false_discoveries)
    return [Odds(*each, tests, bool(clear)) for each, clear in zip(told, stands, strict=True)]


def pairs_that_could_match(field: Field, min_matches: int) -> float:
    """Returns the number of ordered pairs of accounts that opened often enough: each may come after the other. Some of
    them share no symbol, so rather fewer could match, and the line is rather too strict."""
    busy = int((np.bincount(field.crowd) >= min_matches).sum())
    return max(busy * (busy - 1.0), 1.0)
