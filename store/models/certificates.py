"""Certificates that traders show to others."""

from datetime import datetime

from sqlalchemy import ForeignKey, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Recorded


class Certificate(Base):
    """A page about a passed phase (`kind` pass, `subject_id` psg_…) or a payout that arrived (payout, pay_…). `digest`:
    of the token in its link; None: the link was revoked. All times are wall time."""

    __tablename__ = "certificates"
    __table_args__ = (UniqueConstraint("kind", "subject_id"),)

    id: Mapped[Id]
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    kind: Mapped[str] = mapped_column(String(8))
    subject_id: Mapped[str] = mapped_column(String(32))
    name_shown: Mapped[str] = mapped_column(String(8))  # full | initials | none
    amount_shown: Mapped[bool]
    digest: Mapped[str | None] = mapped_column(String(64), unique=True)
    linked_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
