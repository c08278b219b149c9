"""What activities need of the world outside: built once by the composition root, handed to every activity class."""

from dataclasses import dataclass, field

from ports.calendars import NONE, Calendars
from ports.payments import PaymentProvider
from ports.platform import TradingPlatform
from store.db import Database


@dataclass(frozen=True)
class Deps:
    db: Database
    platform: TradingPlatform
    payments: PaymentProvider
    calendars: Calendars = field(default_factory=lambda: NONE)
