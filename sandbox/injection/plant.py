"""Plants stories and decoys into a firm."""

from collections.abc import Sequence

from domain.errors import BadInput
from sandbox.injection.firm import Firm, Grade
from sandbox.injection.stories.catalogue import DECOYS, NEEDED_DAYS, STORIES
from sandbox.instants import DAY

_GRADES: tuple[Grade, ...] = ("easy", "medium", "hard")


def check_patterns(patterns: Sequence[str]) -> tuple[str, ...]:
    """Returns the patterns, all of them when none is named. Raises BadInput for an unknown one."""
    for name in patterns:
        if name not in STORIES:
            raise BadInput(
                f"There are no stories of the pattern {name!r}.",
                field="pattern",
                remedy=f"Choose among {', '.join(STORIES)}.",
            )
    return tuple(patterns) or tuple(STORIES)


def plant(firm: Firm, stories: int, decoys: int, patterns: Sequence[str] = ()) -> None:
    """Plants so many stories and decoys of each pattern that fits into the market's days; the grades take turns."""
    days = (firm.market.end - firm.market.start) // DAY
    for name in check_patterns(patterns):
        if days < NEEDED_DAYS.get(name, 3):
            continue
        for n in range(stories):
            STORIES[name](firm, _GRADES[n % 3])
        spared = DECOYS[name]
        for n in range(decoys):
            spared[n % len(spared)](firm)
