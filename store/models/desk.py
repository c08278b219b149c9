"""The desk of support: merged tickets, who looks at a ticket, macros, what they filled in, and ratings."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded


class TicketMerge(Base):
    """A ticket was merged into another one of the same trader. `from_state`: of the source, which it gets back when the
    merge is undone. `merged_by`: None when it was done at the desk of a third party."""

    __tablename__ = "ticket_merges"
    __table_args__ = (
        Index("uq_ticket_merges_source", "source_id", unique=True, postgresql_where=text("undone_at IS NULL")),
        Index("ix_ticket_merges_target", "target_id"),
    )

    id: Mapped[Id]
    source_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    target_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    from_state: Mapped[str] = mapped_column(String(24))
    merged_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    merged_at: Mapped[MarketTime]
    undone_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    undone_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class TicketLook(Base):
    """Somebody of the firm has a ticket open. Wall times. It says who is there, and locks nothing."""

    __tablename__ = "ticket_looks"

    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    seen_at: Mapped[datetime]
    writing: Mapped[bool]


class TicketMacro(Base):
    """A text for answers, with placeholders for facts of the record. A retired one is kept: messages name it."""

    __tablename__ = "ticket_macros"
    __table_args__ = (
        Index("uq_ticket_macros_name", text("lower(name)"), unique=True, postgresql_where=text("retired_at IS NULL")),
    )

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(80))
    body: Mapped[str] = mapped_column(Encrypted("ticket_macros.body"))
    version: Mapped[int] = mapped_column(default=1)
    changed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    changed_at: Mapped[MarketTime]
    retired_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class TicketFill(Base):
    """What a macro filled into an answer. `facts`: JSON, name -> value, as they were at `as_of` (market time).
    `message_id`: the answer it was sent with; None until then."""

    __tablename__ = "ticket_fills"
    __table_args__ = (Index("ix_ticket_fills_message", "message_id"), Index("ix_ticket_fills_ticket", "ticket_id"))

    id: Mapped[Id]
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    macro_id: Mapped[str] = mapped_column(ForeignKey("ticket_macros.id"))
    macro_version: Mapped[int]
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    facts: Mapped[str] = mapped_column(Encrypted("ticket_fills.facts"))
    as_of: Mapped[MarketTime]
    message_id: Mapped[str | None] = mapped_column(ForeignKey("ticket_messages.id"))
    recorded_at: Mapped[Recorded]


class TicketRating(Base):
    """How satisfied the trader was with a ticket that was solved. `round`: how often it had been solved by then."""

    __tablename__ = "ticket_ratings"
    __table_args__ = (CheckConstraint("score BETWEEN 1 AND 5", name="score"),)

    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    round: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    score: Mapped[int]
    comment: Mapped[str | None] = mapped_column(Encrypted("ticket_ratings.comment"))
    given_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
