"""Inbox, outbox, intents, wake-ups, idempotency keys, audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Json, MarketTime, Recorded


class InboxEvent(Base):
    """A verified webhook event, stored before it is acknowledged. Wall times."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("ix_inbox_waiting", "next_at", postgresql_where=text("handled_at IS NULL AND parked_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    provider: Mapped[str] = mapped_column(String(40))
    event_id: Mapped[str] = mapped_column(String(120))
    kind: Mapped[str] = mapped_column(String(40))
    object_id: Mapped[str] = mapped_column(String(120))
    received_at: Mapped[Recorded]
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(default=0)
    handled_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]  # cannot be routed: a person must look
    error: Mapped[str | None]


class OutboxMessage(Base):
    """A message to Temporal or the venue, committed together with its cause. Wall times.

    Topics: `workflow.start`, `workflow.signal` (target = workflow id), `venue.lock` (target = login).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_waiting", "next_at", postgresql_where=text("dispatched_at IS NULL AND parked_at IS NULL")),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(String(160), unique=True)
    topic: Mapped[str] = mapped_column(String(20))
    target: Mapped[str] = mapped_column(String(120))
    name: Mapped[str] = mapped_column(String(60))  # workflow type or signal name; empty for the venue
    payload: Mapped[Json]
    recorded_at: Mapped[Recorded]
    next_at: Mapped[datetime] = mapped_column(DateTime(timezone=True), server_default=func.clock_timestamp())
    attempts: Mapped[int] = mapped_column(default=0)
    dispatched_at: Mapped[datetime | None]
    parked_at: Mapped[datetime | None]
    error: Mapped[str | None]


class Intent(Base):
    """An intended side effect, committed before the call; `result` is stored after it. The call carries `key`."""

    __tablename__ = "intents"

    key: Mapped[str] = mapped_column(String(160), primary_key=True)
    kind: Mapped[str] = mapped_column(String(40))
    payload: Mapped[Json]
    result: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    recorded_at: Mapped[Recorded]
    done_at: Mapped[datetime | None]


class Wakeup(Base):
    """A market time for which a workflow waits."""

    __tablename__ = "wakeups"
    __table_args__ = (Index("ix_wakeups_due", "due_at", postgresql_where=text("fired_at IS NULL")),)

    workflow_id: Mapped[str] = mapped_column(String(120), primary_key=True)
    due_at: Mapped[MarketTime]
    fired_at: Mapped[datetime | None]  # wall time


class IdempotencyKey(Base):
    """The first answer to a POST, returned again when the request is repeated."""

    __tablename__ = "idempotency_keys"

    user_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    key: Mapped[str] = mapped_column(String(120), primary_key=True)
    route: Mapped[str] = mapped_column(String(120))
    input_digest: Mapped[str] = mapped_column(String(64))
    status: Mapped[int | None]
    response: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    recorded_at: Mapped[Recorded]


class AuditEntry(Base):
    """An entry of the append-only audit log. `digest` also covers the entry before it.

    `recorded_at` is part of the key because the log is stored in parts by it.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject", "subject_kind", "subject_id"),
        {"postgresql_partition_by": "RANGE (recorded_at)"},
    )

    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    actor: Mapped[str] = mapped_column(String(32))  # a user id, or `system`
    role: Mapped[str] = mapped_column(String(16))
    action: Mapped[str] = mapped_column(String(48))
    subject_kind: Mapped[str] = mapped_column(String(16))
    subject_id: Mapped[str] = mapped_column(String(80))
    reason: Mapped[str]
    evidence: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[MarketTime] = mapped_column(primary_key=True)
    previous: Mapped[str] = mapped_column(String(64))
    digest: Mapped[str] = mapped_column(String(64))


class RemovedRows(Base):
    """The moment before which `store.keeping` has removed rows of a table for good."""

    __tablename__ = "removed_rows"

    table_name: Mapped[str] = mapped_column(String(40), primary_key=True)
    before: Mapped[MarketTime]
