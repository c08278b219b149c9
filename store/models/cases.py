"""Disputes, tickets, and decisions of people."""

from datetime import datetime
from typing import Any

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Identity,
    Index,
    SmallInteger,
    String,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded, Updated


class Dispute(Base):
    """A trader disputes a breach, or appeals against what the firm did about a surveillance case.

    `instance`: 1, or 2 for the appeal against an upheld dispute, which other people decide. `decide_by`: market time by
    which it is to be decided; `escalated_at`: when that passed and it was raised to admin. `message`: what the trader
    was told about the decision.
    """

    __tablename__ = "disputes"
    __table_args__ = (
        CheckConstraint("(breach_id IS NULL) <> (case_id IS NULL)", name="about"),
        CheckConstraint("instance IN (1, 2)", name="instances"),
        Index("uq_disputes_case", "case_id", "trader_id", unique=True),
        Index("uq_disputes_breach_instance", "breach_id", "instance", unique=True),
    )

    id: Mapped[Id]
    breach_id: Mapped[str | None] = mapped_column(ForeignKey("breaches.id"))
    case_id: Mapped[str | None] = mapped_column(ForeignKey("cases.id"))
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), index=True)
    state: Mapped[str] = mapped_column(String(24), index=True)
    statement: Mapped[str] = mapped_column(Encrypted("disputes.statement"))
    evidence: Mapped[Json]
    instance: Mapped[int] = mapped_column(SmallInteger, default=1, server_default="1")
    decide_by: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    message: Mapped[str | None] = mapped_column(Encrypted("disputes.message"))
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DisputeWords(Base):
    """What a person wrote with a decision about a dispute: the `message` for the trader, empty for none. `reason`: that
    of earlier versions, which no trader reads; the decision has a keyed digest of it that no row of `sealed_reasons`
    has. Only the key that the texts are under changes."""

    __tablename__ = "dispute_words"

    decision_id: Mapped[int] = mapped_column(BigInteger, ForeignKey("decisions.id"), primary_key=True)
    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    reason: Mapped[str] = mapped_column(Encrypted("dispute_words.reason"))
    message: Mapped[str] = mapped_column(Encrypted("dispute_words.message"))
    recorded_at: Mapped[Recorded]


class DisputePack(Base):
    """The evidence of a dispute, frozen before anybody decides. `files`: JSON, name -> text. `digest`: of the manifest,
    which has the hash of every file. Only the key that the files are under changes."""

    __tablename__ = "dispute_packs"

    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), primary_key=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    digest: Mapped[str] = mapped_column(String(64))
    files: Mapped[str] = mapped_column(Encrypted("dispute_packs.files"))
    recorded_at: Mapped[Recorded]


class Compensation(Base):
    """A voucher that the firm grants in a dispute. `state`: proposed, granted, rejected or used. `reason` is for the
    firm, `message` for the trader. `coupon`: the code of the voucher once it is granted; `used_in`: the challenge whose
    price it lowered."""

    __tablename__ = "compensations"
    __table_args__ = (
        CheckConstraint("amount_minor > 0", name="amount"),
        Index(
            "uq_compensations_open",
            "dispute_id",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'granted', 'used')"),
        ),
        Index("ix_compensations_coupon", "coupon", unique=True),
    )

    id: Mapped[Id]
    dispute_id: Mapped[str] = mapped_column(ForeignKey("disputes.id"), index=True)
    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"))
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    state: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str] = mapped_column(Encrypted("compensations.reason"))
    message: Mapped[str] = mapped_column(Encrypted("compensations.message"))
    coupon: Mapped[str | None] = mapped_column(ForeignKey("coupons.code"))
    used_in: Mapped[str | None] = mapped_column(ForeignKey("challenges.id"))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DisputePolicyRow(Base):
    """A version of the firm's policy of disputes. The newest is in force. Append only."""

    __tablename__ = "dispute_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class Decision(Base):
    """A decision of a person: who, what, when, why, on which evidence.

    One per person and subject, except on a payout or a break, where approvals can be taken back, expire, and begin anew
    in a later `round`, on a chargeback, which is answered once a round, and on a hit of a sanctions list, where a vote
    may change. `expires_at`: market time from which
    an approval no longer counts; None: never.
    """

    __tablename__ = "decisions"
    __table_args__ = (
        Index("ix_decisions_subject", "subject_kind", "subject_id"),
        Index("ix_decisions_person", "person_id", "occurred_at"),
        Index(
            "uq_decisions_person",
            "subject_kind",
            "subject_id",
            "person_id",
            unique=True,
            postgresql_where=text("subject_kind NOT IN ('payout', 'sanction_hit', 'break', 'chargeback')"),
        ),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(16))  # payout | dispute | case | product_version | account_move
    subject_id: Mapped[str] = mapped_column(String(32), index=True)
    decision: Mapped[str] = mapped_column(String(16))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    person_id: Mapped[str] = mapped_column(String(64))
    role: Mapped[str] = mapped_column(String(16))
    reason: Mapped[str]
    subject_digest: Mapped[str] = mapped_column(String(64))  # of the terms that were decided on
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    expires_at: Mapped[datetime | None]
    evidence: Mapped[Json]
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class DecisionRequestRow(Base):
    """A person's request for a decision. Wall times.

    Committed before the workflow is called; consumed once, by the activity that decides. `digest` covers the reason and
    the subject at the time of the request. `outcome` is `taken` or the type of the refusal, `answer` the reply to the
    person; both are empty until the decision is made.
    """

    __tablename__ = "decision_requests"
    __table_args__ = (
        CheckConstraint("outcome IS NULL OR consumed_at IS NOT NULL", name="consumed_first"),
        Index("ix_decision_requests_subject", "subject_kind", "subject_id"),
    )

    key: Mapped[str] = mapped_column(String(64), primary_key=True)
    subject_kind: Mapped[str] = mapped_column(String(16))  # payout | dispute | case | challenge
    subject_id: Mapped[str] = mapped_column(String(32))
    verb: Mapped[str] = mapped_column(String(24))
    user_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    digest: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[Recorded]
    expires_at: Mapped[datetime]
    consumed_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(40))
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSONB(none_as_null=True))


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
