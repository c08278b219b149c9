"""What activities need of the world outside: built once by the composition root, handed to every activity class."""

from dataclasses import dataclass, field

from ports.calendars import NONE, Calendars
from ports.payments import Providers
from ports.platform import Platforms
from store.db import Database


@dataclass(frozen=True)
class Deps:
    db: Database
    platforms: Platforms
    payments: Providers
    calendars: Calendars = field(default_factory=lambda: NONE)
