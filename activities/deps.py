"""The database and the adapters that activities use. The composition root builds them once for all activity classes."""

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
