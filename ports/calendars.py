"""Venue calendars: a mapping from a venue's name to its sessions. Raises KeyError for an unknown name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from domain.rules.base import VenueCalendar

Calendars = Mapping[str, VenueCalendar]
NONE: Final[Calendars] = MappingProxyType({})
