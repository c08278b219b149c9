"""What activities need of the world outside: built once by the composition root, handed to every activity class."""

from dataclasses import dataclass

from ports.payments import PaymentProvider
from ports.platform import TradingPlatform
from store.db import Database


@dataclass(frozen=True)
class Deps:
    db: Database
    platform: TradingPlatform
    payments: PaymentProvider
