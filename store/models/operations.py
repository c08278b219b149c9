"""Inbox, outbox, intents, wake-ups, idempotency keys, audit log."""

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, DateTime, Identity, Index, String, UniqueConstraint, func, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Json, MarketTime, Recorded


class InboxEvent(Base):
    """A verified webhook event, stored before it is acknowledged. Wall times."""

    __tablename__ = "inbox"
    __table_args__ = (
        UniqueConstraint("provider", "event_id"),
        Index("ix_inbox_waiting", "next_at", postgresql_where=text("handled_at IS NULL AND parked_at IS NULL")),
        Index(
            "ix_inbox_waiting_money",
            "id",
            postgresql_where=text("handled_at IS NULL AND parked_at IS NULL AND kind <> 'ticket.changed'"),
        ),
        Index("ix_inbox_parked", "parked_at", postgresql_where=text("parked_at IS NOT NULL AND handled_at IS NULL")),
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
    parked_at: Mapped[datetime | None]  # cannot be routed: a person must look; handled as well: a person gave it up
    error: Mapped[str | None]


class OutboxMessage(Base):
    """A message to Temporal or the venue, committed together with its cause. Wall times.

    Topics: `workflow.start`, `workflow.signal` (target = workflow id), `venue.lock` (target = login).
    """

    __tablename__ = "outbox"
    __table_args__ = (
        Index("ix_outbox_waiting", "next_at", postgresql_where=text("dispatched_at IS NULL AND parked_at IS NULL")),
        Index(
            "ix_outbox_parked", "parked_at", postgresql_where=text("parked_at IS NOT NULL AND dispatched_at IS NULL")
        ),
        Index(
            "ix_outbox_resets_parked",
            "parked_at",
            postgresql_where=text("parked_at IS NOT NULL AND topic = 'venue.reset_balance'"),
        ),
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
    parked_at: Mapped[datetime | None]  # a person must look; dispatched as well: a person gave it up
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
    """An entry of the append-only audit log. `digest` also covers the entry before it of the same subject.

    `recorded_at` is part of the key because the log is stored in parts by it.
    """

    __tablename__ = "audit_log"
    __table_args__ = (
        Index("ix_audit_log_subject", "subject_kind", "subject_id", "seq"),
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


class AuditAnchor(Base):
    """A hash over all audit entries since the anchor before it, up to seq `through`. Append-only. `one_chain`: the
    entries up to here are one chain over all subjects."""

    __tablename__ = "audit_anchors"

    number: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    through: Mapped[int] = mapped_column(BigInteger, unique=True)
    entries: Mapped[int]
    one_chain: Mapped[bool] = mapped_column(default=False, server_default="false")
    digest: Mapped[str] = mapped_column(String(64))
    recorded_at: Mapped[Recorded]


class AuditCheckRow(Base):
    """A verification of the audit log. Append-only. Wall times.

    Entries after seq `after` (0: from the first one) up to `through` were checked. `whole`: everything was, from the
    first entry to the last of that moment. The last anchor among them is bound by its digest: the next one may begin
    there. `broken_at`: the first broken entry that it found. `by`: who asked for it; None: a view of the page.
    """

    __tablename__ = "audit_checks"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    whole: Mapped[bool]
    after: Mapped[int] = mapped_column(BigInteger)
    through: Mapped[int] = mapped_column(BigInteger)
    anchor: Mapped[int | None] = mapped_column(BigInteger)
    anchor_through: Mapped[int | None] = mapped_column(BigInteger)
    anchor_digest: Mapped[str | None] = mapped_column(String(64))
    broken_at: Mapped[int | None] = mapped_column(BigInteger)
    by: Mapped[str | None] = mapped_column(String(32))
    checked_at: Mapped[Recorded]


class SealedReason(Base):
    """The text of a reason that append-only rows keep as a keyed digest. Only the key that it is under changes."""

    __tablename__ = "sealed_reasons"

    digest: Mapped[str] = mapped_column(String(64), primary_key=True)
    reason: Mapped[str] = mapped_column(Encrypted("sealed_reasons.reason"))
    recorded_at: Mapped[Recorded]


class RemovedRows(Base):
    """The moment before which `store.keeping` has removed rows of a table for good."""

    __tablename__ = "removed_rows"

    table_name: Mapped[str] = mapped_column(String(40), primary_key=True)
    before: Mapped[MarketTime]
