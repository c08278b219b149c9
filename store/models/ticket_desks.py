"""The desk at which people work on tickets, when it is not our own, and what of the record it has."""

from datetime import datetime

from sqlalchemy import Boolean, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Recorded


class TicketDeskRow(Base):
    """A desk that is or was in use. At most one is `in_force`; without one people work on tickets here. `read_until`:
    changes before it were read, by the clock of the desk."""

    __tablename__ = "ticket_desks"

    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    in_force: Mapped[bool] = mapped_column(Boolean)
    read_until: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DeskTicketRow(Base):
    """A ticket of ours at a desk. `begun_at`: before the first attempt to open it there. `opened_id`: its id there;
    None while that is not known. `now_id`: where its articles are now, after merges. `customer_id`: whose it is, by the
    desk's id. `round`: grows when it was merged there into a ticket of somebody else; it is opened anew then. `noted`:
    the note for the people of the desk is there. `written_at`, `read_at`: the desk's time of its newest change by us,
    and of that which was read last."""

    __tablename__ = "desk_tickets"
    __table_args__ = (
        Index("ix_desk_tickets_opened", "desk", "opened_id"),
        Index("ix_desk_tickets_now", "desk", "now_id"),
    )

    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    desk: Mapped[str] = mapped_column(String(40), primary_key=True)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    begun_at: Mapped[datetime]
    opened_id: Mapped[str | None] = mapped_column(String(120))
    now_id: Mapped[str | None] = mapped_column(String(120))
    customer_id: Mapped[str | None] = mapped_column(String(120))
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    noted: Mapped[bool] = mapped_column(Boolean, default=False, server_default="false")
    written_at: Mapped[datetime | None]
    read_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DeskArticleRow(Base):
    """An article at a desk that is a message of a ticket here, whichever side wrote it. So no message is sent twice,
    and no article is read twice."""

    __tablename__ = "desk_articles"
    __table_args__ = (Index("uq_desk_articles_message", "desk", "message_id", unique=True),)

    desk: Mapped[str] = mapped_column(String(40), primary_key=True)
    article_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    message_id: Mapped[str] = mapped_column(ForeignKey("ticket_messages.id"))
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    recorded_at: Mapped[Recorded]
