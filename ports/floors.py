"""Loss limits that a venue holds itself: a second wall behind our own judging, for the time that we cannot reach it."""

from typing import Protocol, runtime_checkable

from domain.products.second_wall import VenueFloors, VenueMeaning


@runtime_checkable
class HoldsFloors(Protocol):
    """Part of a TradingPlatform with the capability `holds_floors`. `floors_mean`: how the venue understands them."""

    floors_mean: VenueMeaning

    async def set_floors(self, login: int, *, key: str, floors: VenueFloors) -> None:
        """Sets the limits; the same limits again change nothing. Limits that are None here and set at the venue stay
        there: `floors` shows them. Raises NotFound, and BadInput for limits that the venue cannot hold."""
        ...

    async def floors(self, login: int) -> VenueFloors:
        """Returns the limits that the venue holds now, to compare them with ours. Raises NotFound, Unavailable."""
        ...
