"""Mail that came in, the Message-IDs that tie mails to tickets, and files of mails. Wall times."""

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Identity, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import BlindIndex, Encrypted
from store.models.base import Base, Id, Recorded


class IncomingMailRow(Base):
    """A mail that came in, once: `digest` is keyed, over Message-ID and content.

    `door`: the name of the door it came by. `state`: ticket (a message of `ticket_id`), automatic (no person wrote it:
    kept beside the ticket that it names, if any), bounce, ours (the firm's own mail came back), held (too many mails of
    its sender: a person releases it). `why`: what told it. `trusted`: our own server found that the sender passes
    DMARC. `whole`: the text with its quotes. `named`: the ticket that its address named. `reference_ids`: Message-IDs
    of its ancestors, with spaces between. `left_out`: files that were not taken, one a line.
    """

    __tablename__ = "incoming_mails"
    __table_args__ = (
        CheckConstraint("state IN ('ticket', 'automatic', 'bounce', 'ours', 'held')", name="state"),
        Index("ix_incoming_mails_sender", "sender_index", "received_at"),
        Index("ix_incoming_mails_ticket", "ticket_id", postgresql_where=text("ticket_id IS NOT NULL")),
        Index("ix_incoming_mails_held", "received_at", postgresql_where=text("state = 'held'")),
    )

    id: Mapped[Id]
    door: Mapped[str] = mapped_column(String(40))
    state: Mapped[str] = mapped_column(String(16))
    why: Mapped[str] = mapped_column(String(40))
    digest: Mapped[str] = mapped_column(String(64), unique=True)
    message_id: Mapped[str] = mapped_column(Encrypted("incoming_mails.message_id"))
    sender: Mapped[str] = mapped_column(Encrypted("incoming_mails.sender"))
    sender_index: Mapped[str] = mapped_column(BlindIndex(of="sender"))
    subject: Mapped[str] = mapped_column(Encrypted("incoming_mails.subject"))
    whole: Mapped[str] = mapped_column(Encrypted("incoming_mails.whole"))
    left_out: Mapped[str] = mapped_column(Encrypted("incoming_mails.left_out"))
    reference_ids: Mapped[str] = mapped_column(Encrypted("incoming_mails.reference_ids"))
    trusted: Mapped[bool] = mapped_column(Boolean)
    named: Mapped[str | None] = mapped_column(String(32))
    ticket_id: Mapped[str | None] = mapped_column(ForeignKey("tickets.id"))
    ticket_message_id: Mapped[str | None] = mapped_column(ForeignKey("ticket_messages.id"))
    received_at: Mapped[Recorded]


class MailReference(Base):
    """A Message-ID of a mail of a ticket, or of an ancestor of one, in the order of the conversation."""

    __tablename__ = "mail_references"
    __table_args__ = (Index("ix_mail_references_value", "value_index"), Index("ix_mail_references_ticket", "ticket_id"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    value: Mapped[str] = mapped_column(Encrypted("mail_references.value"))
    value_index: Mapped[str] = mapped_column(BlindIndex(of="value"))


class MailAttachment(Base):
    """A file of a mail that was taken. `media_type` is told from its bytes, `sha256` is over them, in hex."""

    __tablename__ = "mail_attachments"

    id: Mapped[Id]
    mail_id: Mapped[str] = mapped_column(ForeignKey("incoming_mails.id", ondelete="CASCADE"), index=True)
    name: Mapped[str] = mapped_column(Encrypted("mail_attachments.name"))
    media_type: Mapped[str] = mapped_column(String(40))
    size: Mapped[int] = mapped_column(BigInteger)
    sha256: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[Recorded]


class MailAttachmentPart(Base):
    """Up to 192 KiB of a file, as base64: a rotation of the keys reads many rows at once."""

    __tablename__ = "mail_attachment_parts"

    attachment_id: Mapped[str] = mapped_column(ForeignKey("mail_attachments.id", ondelete="CASCADE"), primary_key=True)
    number: Mapped[int] = mapped_column(primary_key=True)
    content: Mapped[str] = mapped_column(Encrypted("mail_attachment_parts.content"))
