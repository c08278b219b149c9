"""What a venue says of the end of a day, to compare our daily anchors with."""

from datetime import date
from typing import Protocol, runtime_checkable

from domain.day_ends import DayEnd


@runtime_checkable
class TellsDayEnds(Protocol):
    """Part of a TradingPlatform whose venue keeps figures of the end of each day."""

    async def day_ends(self, day: date) -> dict[int, DayEnd]:
        """Returns the venue's own figures of a day, by login. Raises NotFound while there are none, Unavailable."""
        ...
