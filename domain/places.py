"""The places of an account: a platform and a login there, one after the other.

A venue's ids of positions, deals and orders are unique at that venue. On the record of an account that was at several
venues each of them has the number of its place in front, from the second place on.
"""

FIRST = 1


def on_record(place: int, venue_id: str) -> str:
    """Returns the name on record of an id of the venue, such as "2/p-17" at the second place."""
    return venue_id if place == FIRST else f"{place}/{venue_id}"


def at_venue(place: int, name: str) -> str:
    """Returns the venue's own id for a name on record."""
    return name if place == FIRST else name.removeprefix(f"{place}/")
