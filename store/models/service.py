"""Service clocks: policy, injected clock, events and timers of tickets, and by when people decide. Wall times."""

from datetime import datetime, timedelta

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Interval, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Json, Recorded


class ServicePolicyRow(Base):
    """A version of the service policy. The newest is in force. Append only."""

    __tablename__ = "service_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class ServiceTime(Base):
    """How the service clock differs from the wall clock, which the database function `service_now()` reads. Without a
    row it is the wall clock. Tests move it; a demo has it follow market time."""

    __tablename__ = "service_time"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)  # 1
    moved: Mapped[timedelta] = mapped_column(Interval)
    follows_market: Mapped[bool] = mapped_column(default=False)


class TicketClockEvent(Base):
    """An event of a clock of a ticket: see `domain.service.clocks`. Append only."""

    __tablename__ = "ticket_clock_events"
    __table_args__ = (Index("ix_ticket_clock_events_ticket", "ticket_id", "number"),)

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"))
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    clock: Mapped[str] = mapped_column(String(16))  # first_answer | next_answer | resolution
    kind: Mapped[str] = mapped_column(String(8))  # activate | pause | resume | fulfil | stop | policy | breach
    cause: Mapped[str] = mapped_column(String(16))
    target_minutes: Mapped[int]
    at: Mapped[datetime]
    recorded_at: Mapped[Recorded]


class TicketClock(Base):
    """What the events of a clock come to, for lists and timers. `policy_number`: of the policy that gave `due_at`."""

    __tablename__ = "ticket_clocks"
    __table_args__ = (
        Index("ix_ticket_clocks_counting", "policy_number", postgresql_where=text("status IN ('running', 'paused')")),
    )

    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    clock: Mapped[str] = mapped_column(String(16), primary_key=True)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    status: Mapped[str] = mapped_column(String(10))  # running | paused | fulfilled | stopped
    generation: Mapped[int]
    policy_number: Mapped[int] = mapped_column(BigInteger)
    due_at: Mapped[datetime | None]  # of a running clock
    breached_at: Mapped[datetime | None]


class TicketTimer(Base):
    """A date at which something happens to a ticket. On firing the ticket is read again: a timer of an earlier
    generation is dropped. `clock`: a clock, or `snooze`."""

    __tablename__ = "ticket_timers"
    __table_args__ = (Index("ix_ticket_timers_due", "due_at", postgresql_where=text("fired_at IS NULL")),)

    ticket_id: Mapped[str] = mapped_column(ForeignKey("tickets.id"), primary_key=True)
    clock: Mapped[str] = mapped_column(String(16), primary_key=True)
    generation: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    trader_id: Mapped[str | None] = mapped_column(ForeignKey("traders.id"))
    due_at: Mapped[datetime]
    fired_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(8))  # late | woken | dropped


class ServiceDeadline(Base):
    """By when a person should decide something. `kind`: as in the service policy. `since`: when the relay first saw
    that it waits."""

    __tablename__ = "service_deadlines"
    __table_args__ = (Index("ix_service_deadlines_policy", "policy_number", postgresql_where=text("ended_at IS NULL")),)

    kind: Mapped[str] = mapped_column(String(16), primary_key=True)
    subject_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    since: Mapped[datetime]
    due_at: Mapped[datetime]
    policy_number: Mapped[int] = mapped_column(BigInteger)
    ended_at: Mapped[datetime | None]
