"""The database and the adapters that activities use. The composition root builds them once for all activity classes."""

from dataclasses import dataclass, field

from ports.calendars import NONE, Calendars
from ports.payments import Payments
from ports.platform import Platforms
from store.db import Database


@dataclass(frozen=True)
class VenueDeps:
    """What is needed to act at platforms alone."""

    db: Database
    platforms: Platforms


@dataclass(frozen=True)
class Deps(VenueDeps):
    payments: Payments
    calendars: Calendars = field(default_factory=lambda: NONE)
