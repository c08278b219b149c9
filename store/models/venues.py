"""What the firm keeps of its venues beside accounts: sign-ins of traders, stops of trading, and their clocks."""

from datetime import datetime

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Index, String, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded


class Credential(Base):
    """What the trader of an account signs in to its venue with; the highest `number` counts. Wall times.

    `kind`: create | reset. `username` None: the venue has not been asked yet, or has not answered. `password` is there
    until it is shown, or not needed; a trigger lets none come back. `asked_by` None: the opening of the account.
    `left_venue`: the account has gone to another platform since.
    """

    __tablename__ = "credentials"
    __table_args__ = (
        UniqueConstraint("account_id", "number"),
        CheckConstraint("password IS NULL OR shown_at IS NULL", name="shown"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    number: Mapped[int]
    kind: Mapped[str] = mapped_column(String(8))
    username: Mapped[str | None]
    password: Mapped[str | None] = mapped_column(Encrypted("credentials.password"))
    asked_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    shown_at: Mapped[datetime | None]
    left_venue: Mapped[bool] = mapped_column(default=False, server_default=text("false"))
    recorded_at: Mapped[Recorded]


class PlatformStop(Base):
    """A stop of the trading at a platform, or its end, decided by two persons. `platform` `*`: at all of them. `symbol`
    None: of everything. `product` None: of the accounts of every product.

    `state`, `action`: see domain/stops.py. `lifts`: this ends a stop. `whole`: the venue stops everybody in one call;
    else each account is limited.
    """

    __tablename__ = "platform_stops"
    __table_args__ = (
        Index(
            "uq_platform_stops_open",
            "platform",
            text("coalesce(symbol, '')"),
            text("coalesce(product, '')"),
            "action",
            "lifts",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'approved')"),
        ),
    )

    id: Mapped[Id]
    platform: Mapped[str] = mapped_column(String(40), index=True)
    symbol: Mapped[str | None] = mapped_column(String(40))
    product: Mapped[str | None] = mapped_column(String(41))
    action: Mapped[str] = mapped_column(String(16), default="close_only", server_default="close_only")
    lifts: Mapped[bool]
    whole: Mapped[bool]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class VenueClockRow(Base):
    """The newest estimate of a venue's clock. `ahead_us`: microseconds by which it is ahead of ours. `simulated`: the
    venue has a market time of its own. `recorded_at`: wall time."""

    __tablename__ = "venue_clocks"

    platform: Mapped[str] = mapped_column(String(40), primary_key=True)
    ahead_us: Mapped[int] = mapped_column(BigInteger)
    simulated: Mapped[bool]
    samples: Mapped[int]
    recorded_at: Mapped[Recorded]
