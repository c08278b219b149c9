"""Mail that leaves, and addresses that take none any more. Wall times."""

from datetime import datetime

from sqlalchemy import Boolean, CheckConstraint, ForeignKey, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import BlindIndex, Encrypted
from store.models.base import Base, Id, Recorded


class OutgoingMailRow(Base):
    """A mail to one address. The unique `key` makes asking twice the same as asking once.

    `kind`: what it is for, such as `ticket` or `invitation`. `automatic`: no person wrote it. `state`: waiting, sent,
    refused (for good, by the mail server), undeliverable (nothing is sent to this address), bounced (taken, and
    returned later) or withdrawn (taken back before it left). `not_before`: it does not leave earlier. `message_id` is
    stored before the first attempt and stays. `error`: what the server said last. `ticket_message_id`: the message of a
    ticket that it carries. `html`: a second form of the text. `unsubscribe`: the token of the link that switches mail
    of its kind off; None for what cannot be switched off.
    """

    __tablename__ = "outgoing_mails"
    __table_args__ = (
        CheckConstraint(
            "state IN ('waiting', 'sent', 'refused', 'undeliverable', 'bounced', 'withdrawn')", name="state"
        ),
        Index("ix_outgoing_mails_recipient", "recipient_index"),
        Index("ix_outgoing_mails_recorded", "recorded_at"),
        Index("ix_outgoing_mails_ticket", "ticket_id", postgresql_where=text("ticket_id IS NOT NULL")),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(24))
    recipient: Mapped[str] = mapped_column(Encrypted("outgoing_mails.recipient"))
    recipient_index: Mapped[str] = mapped_column(BlindIndex(of="recipient"))
    subject: Mapped[str] = mapped_column(Encrypted("outgoing_mails.subject"))
    body: Mapped[str] = mapped_column(Encrypted("outgoing_mails.body"))
    html: Mapped[str | None] = mapped_column(Encrypted("outgoing_mails.html"))
    unsubscribe: Mapped[str | None] = mapped_column(Encrypted("outgoing_mails.unsubscribe"))
    automatic: Mapped[bool] = mapped_column(Boolean)
    ticket_id: Mapped[str | None] = mapped_column(ForeignKey("tickets.id"))
    ticket_message_id: Mapped[str | None] = mapped_column(ForeignKey("ticket_messages.id"))
    state: Mapped[str] = mapped_column(String(16), default="waiting", server_default="waiting")
    attempts: Mapped[int] = mapped_column(default=0, server_default="0")
    message_id: Mapped[str | None] = mapped_column(String(320), unique=True)
    error: Mapped[str | None] = mapped_column(Encrypted("outgoing_mails.error"))
    not_before: Mapped[datetime | None]
    sent_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class MailAddress(Base):
    """An address that cannot be reached: a server refused it for good, or mail to it came back. `code`: why, such as
    5.1.1. A person clears it with `cleared_at`."""

    __tablename__ = "mail_addresses"

    id: Mapped[Id]
    address: Mapped[str] = mapped_column(Encrypted("mail_addresses.address"))
    address_index: Mapped[str] = mapped_column(BlindIndex(of="address"), unique=True)
    code: Mapped[str] = mapped_column(String(16))
    mail_id: Mapped[str | None] = mapped_column(ForeignKey("outgoing_mails.id", ondelete="SET NULL"))
    marked_at: Mapped[Recorded]
    cleared_at: Mapped[datetime | None]
