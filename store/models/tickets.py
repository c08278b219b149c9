"""Tickets and their messages."""

from datetime import datetime

from sqlalchemy import CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, MarketTime, Recorded, Updated


class Ticket(Base):
    """A question of a trader or, by mail, of somebody else; or what the firm told a trader. The columns of the desk,
    from `due_at` on, are wall time.

    `contact`: the address of somebody who is no trader, or did not prove to be one; such a ticket is about no account
    and no payout. `linked_to`: the ticket that its mail named.
    `due_at`: when the first of its clocks is late; None while none runs. A ticket is snoozed while `snoozed_at` is set:
    until `snoozed_until`, or until the trader writes. `last_snoozed_until` is kept to snooze to the same moment again.
    `assignee_id` has claimed it, until `lease_until`. `merged_into`: the ticket that it was merged into; `root_id`: the
    one at the end of that chain. `solved_times` counts how often it was solved.
    """

    __tablename__ = "tickets"
    __table_args__ = (
        Index("ix_tickets_updated", "updated_at", "id"),
        CheckConstraint("(trader_id IS NULL) <> (contact IS NULL)", name="whose"),
        CheckConstraint("contact IS NULL OR (account_id IS NULL AND payout_id IS NULL)", name="no_context"),
        Index("ix_tickets_newest", "recorded_at", "id"),
        Index("ix_tickets_state_newest", "state", "recorded_at", "id"),
        Index("ix_tickets_trader_newest", "trader_id", "recorded_at", "id"),
        Index("ix_tickets_due", "due_at", "id", postgresql_where=text("due_at IS NOT NULL")),
        Index("ix_tickets_waiting", "changed_at", "id", postgresql_where=text("state = 'open' AND snoozed_at IS NULL")),
        Index("ix_tickets_snoozed", "recorded_at", "id", postgresql_where=text("snoozed_at IS NOT NULL")),
        Index("ix_tickets_claimed", "assignee_id", postgresql_where=text("assignee_id IS NOT NULL")),
    )

    id: Mapped[Id]
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"), index=True)
    contact: Mapped[str | None] = mapped_column(Encrypted("tickets.contact"))
    linked_to: Mapped[str | None] = mapped_column(ForeignKey("tickets.id"))
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    payout_id: Mapped[str | None] = mapped_column(ForeignKey("payouts.id"))
    subject: Mapped[str] = mapped_column(Encrypted("tickets.subject"))
    state: Mapped[str] = mapped_column(String(24), index=True)
    opened_at: Mapped[MarketTime]
    changed_at: Mapped[MarketTime]
    opened_by: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    solved_times: Mapped[int] = mapped_column(default=0, server_default="0")
    merged_into: Mapped[str | None] = mapped_column(ForeignKey("tickets.id"))
    root_id: Mapped[str | None] = mapped_column(ForeignKey("tickets.id"), index=True)
    due_at: Mapped[datetime | None]
    snoozed_at: Mapped[datetime | None]
    snoozed_until: Mapped[datetime | None]
    last_snoozed_until: Mapped[datetime | None]
    snoozes: Mapped[int] = mapped_column(default=0, server_default="0")  # the generation of its timer
    assignee_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    lease_until: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class TicketMessage(Base):
    """`kind`: what the trader reads, a note that only the firm reads, or an answer that is held for some seconds.
    `automatic`: nobody wrote it, so it answers nothing. `author_id`: None for the contact of a ticket that is no
    trader's, and for what no user of the firm wrote. `desk_author`: who wrote that: a person of the firm at the desk
    of a third party, or the program."""

    __tablename__ = "ticket_messages"
    __table_args__ = (
        Index("ix_ticket_messages_ticket", "ticket_id", "id"),
        Index("ix_ticket_messages_held", "ticket_id", postgresql_where=text("kind = 'held'")),
    )

    id: Mapped[Id]
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    author_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str] = mapped_column(Encrypted("ticket_messages.body"))
    kind: Mapped[str] = mapped_column(String(8), default="public", server_default="public")  # public | note | held
    automatic: Mapped[bool] = mapped_column(default=False, server_default="false")
    desk_author: Mapped[str | None] = mapped_column(Encrypted("ticket_messages.desk_author"))
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
