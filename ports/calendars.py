"""Where the sessions of venues come from: a mapping from a venue's name to its calendar (KeyError when unknown)."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domain.rules.base import VenueCalendar

Calendars = Mapping[str, VenueCalendar]
NONE: Final[Calendars] = MappingProxyType({})
