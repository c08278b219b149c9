"""What people are told, what they chose to be told of, and the texts that it is written with."""

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, CheckConstraint, ForeignKey, Identity, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Recorded


class NotificationTextsRow(Base):
    """A version of the texts of all kinds. The newest is in force. Append only."""

    __tablename__ = "notification_texts"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class Notification(Base):
    """One person was told of one thing: a trader, or somebody of the firm. The unique `key` names both, so that telling
    twice is the same as once.

    `topic`: of notifications of one topic only the first leaves as mail. `mail_id`: its mail, which may tell of
    several; None: none. `shown`: whether it is in the person's list. `href`: the page that it leads to.
    `read_at`: wall time.
    """

    __tablename__ = "notifications"
    __table_args__ = (
        CheckConstraint("(trader_id IS NULL) <> (user_id IS NULL)", name="whose"),
        Index("ix_notifications_trader", "trader_id", "id", postgresql_where=text("trader_id IS NOT NULL AND shown")),
        Index("ix_notifications_user", "user_id", "id", postgresql_where=text("user_id IS NOT NULL AND shown")),
        Index("ix_notifications_unread_trader", "trader_id", postgresql_where=text("read_at IS NULL AND shown")),
        Index("ix_notifications_unread_user", "user_id", postgresql_where=text("read_at IS NULL AND shown")),
        Index("ix_notifications_topic", "topic", postgresql_where=text("topic IS NOT NULL")),
        Index("ix_notifications_read", "read_at", postgresql_where=text("read_at IS NOT NULL")),
    )

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(140), unique=True)
    kind: Mapped[str] = mapped_column(String(40))
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    user_id: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    topic: Mapped[str | None] = mapped_column(String(120))
    subject: Mapped[str] = mapped_column(Encrypted("notifications.subject"))
    short: Mapped[str] = mapped_column(Encrypted("notifications.short"))
    href: Mapped[str] = mapped_column(String(200))
    mail_id: Mapped[str | None] = mapped_column(String(32))
    shown: Mapped[bool] = mapped_column(Boolean)
    occurred_at: Mapped[MarketTime]
    read_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class NotificationChoice(Base):
    """The channels of a kind that a person switched off. `owner_id`: a trader, or a user of the firm."""

    __tablename__ = "notification_choices"

    owner_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40), primary_key=True)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    off: Mapped[list[str]] = mapped_column(JSONB)
    changed_at: Mapped[Recorded]


class WorkReminder(Base):
    """Somebody of the firm was told that an item of the work queue is nearly due (`soon`), or `overdue`. `due_at`: its
    deadline, market time; another deadline is told of again."""

    __tablename__ = "work_reminders"
    __table_args__ = (Index("ix_work_reminders_told_at", "told_at"),)

    kind: Mapped[str] = mapped_column(String(24), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    step: Mapped[str] = mapped_column(String(8), primary_key=True)
    due_at: Mapped[MarketTime] = mapped_column(primary_key=True)
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"), primary_key=True)
    told_at: Mapped[Recorded]
