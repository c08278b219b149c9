"""Surveillance: alerts, the cases they become, what people note, propose and decide about them."""

from datetime import datetime
from decimal import Decimal

from sqlalchemy import BigInteger, CheckConstraint, ForeignKey, Identity, Index, Numeric, String, text
from sqlalchemy.orm import Mapped, mapped_column

from store.crypto import Encrypted
from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded, Updated


class Alert(Base):
    """A finding of a detector: score 0..1, a sentence, the evidence. The unique `key` prevents duplicates.

    `severity`: how it was routed; a note has no case.
    """

    __tablename__ = "alerts"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    detector: Mapped[str] = mapped_column(String(40))
    score: Mapped[Decimal] = mapped_column(Numeric(6, 4))
    sentence: Mapped[str]
    evidence: Mapped[Json]
    severity: Mapped[str] = mapped_column(String(8), default="hold", server_default="hold")
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class Case(Base):
    """Alerts of one family of patterns about one owner, or one group of owners, under review by people.

    `alert_id`: the alert that opened it. `family`, `subject_key`: one case of them is open at a time. `hold_until`:
    market time at which the hold of its payouts ends undecided; None: it holds none. `escalated_at`: when the hold was
    raised to admin. `hold_ended_at`: the hold ended undecided. `outcome` and `action` are those of the decision.
    `is_sample`: a finding below the threshold, kept to measure what is missed. `is_blind`: its score is not shown
    before it is decided.
    """

    __tablename__ = "cases"
    __table_args__ = (
        Index("ix_cases_updated", "updated_at", "id"),
        Index("uq_cases_open", "family", "subject_key", unique=True, postgresql_where=text("state = 'open'")),
        Index("ix_cases_newest", "recorded_at", "id"),
        Index("ix_cases_assigned_newest", "assigned_to", "recorded_at", "id"),
        Index("ix_cases_state_newest", "state", "recorded_at", "id"),
    )

    id: Mapped[Id]
    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), unique=True)
    family: Mapped[str] = mapped_column(String(40))
    subject_key: Mapped[str] = mapped_column(String(64))
    state: Mapped[str] = mapped_column(String(24), index=True)
    assigned_to: Mapped[str | None] = mapped_column(ForeignKey("users.id"))
    hold_until: Mapped[datetime | None]
    escalate_at: Mapped[datetime | None]
    escalated_at: Mapped[datetime | None]
    hold_ended_at: Mapped[datetime | None]
    outcome: Mapped[str | None] = mapped_column(String(16))
    action: Mapped[str | None] = mapped_column(String(8))
    is_sample: Mapped[bool] = mapped_column(default=False, server_default="false")
    is_blind: Mapped[bool] = mapped_column(default=False, server_default="false")
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
    updated_at: Mapped[Updated]


class CaseAlert(Base):
    """An alert of a case. `digest`: of the alert when it joined; shown and decided evidence must still match it."""

    __tablename__ = "case_alerts"

    alert_id: Mapped[str] = mapped_column(ForeignKey("alerts.id"), primary_key=True)
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    digest: Mapped[str] = mapped_column(String(64))
    joined_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class CaseAccount(Base):
    """An account that a case names. `blamed`: what is decided hits it. `holds`: while the case holds, payouts of the
    challenge of this account wait, and of those that go on from it. `link_strength`: 0..1, the strongest link by which
    an alert of the case names it."""

    __tablename__ = "case_accounts"

    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)
    blamed: Mapped[bool] = mapped_column(default=False, server_default="false")
    holds: Mapped[bool] = mapped_column(default=True, server_default="true")
    link_strength: Mapped[Decimal] = mapped_column(Numeric(5, 4), default=Decimal(1), server_default="1")


class CaseNote(Base):
    """What a person noted about a case. Only the key that its body is under changes."""

    __tablename__ = "case_notes"
    __table_args__ = (Index("ix_case_notes_case", "case_id", "id"),)

    id: Mapped[Id]
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"))
    author_id: Mapped[str] = mapped_column(ForeignKey("users.id"))
    body: Mapped[str] = mapped_column(Encrypted("case_notes.body"))
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]


class CaseAction(Base):
    """What one person proposes to do about a case. What costs a trader money needs another person's approval.

    `action`: warn, deduct (the profit of named trades), deny (named payouts), close (the blamed accounts). `state`:
    proposed, approved, replaced (by a newer one, or an alert joined that blames more accounts), withdrawn, dropped (the
    case was decided otherwise), overturned (by an appeal). `rule`: what the trader broke, and `message`: what the
    trader is told, both in words for the trader; `reason` is for the firm.
    """

    __tablename__ = "case_actions"
    __table_args__ = (
        Index(
            "uq_case_actions_open",
            "case_id",
            unique=True,
            postgresql_where=text("state IN ('proposed', 'approved')"),
        ),
    )

    id: Mapped[Id]
    case_id: Mapped[str] = mapped_column(ForeignKey("cases.id"), index=True)
    action: Mapped[str] = mapped_column(String(8))
    rule: Mapped[str]
    message: Mapped[str]
    reason: Mapped[str]
    digest: Mapped[str] = mapped_column(String(64))  # of what an approval of it is for
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class DeductedTrade(Base):
    """A trade that a deduction names. `profit_minor`: its whole net profit. `counts`: the deduction is in force; a
    trade counts once."""

    __tablename__ = "deducted_trades"
    __table_args__ = (
        CheckConstraint("profit_minor > 0", name="profit"),
        Index("uq_deducted_trades_counts", "account_id", "position_id", unique=True, postgresql_where=text("counts")),
    )

    action_id: Mapped[str] = mapped_column(ForeignKey("case_actions.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    position_id: Mapped[str] = mapped_column(String(40), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(20))
    opened_at: Mapped[MarketTime]
    closed_at: Mapped[MarketTime]
    closed_seq: Mapped[int] = mapped_column(BigInteger)  # of its last deal
    profit_minor: Mapped[Minor]
    counts: Mapped[bool] = mapped_column(default=False)


class DeniedPayout(Base):
    """A payout that a proposed denial names."""

    __tablename__ = "denied_payouts"

    action_id: Mapped[str] = mapped_column(ForeignKey("case_actions.id"), primary_key=True)
    payout_id: Mapped[str] = mapped_column(ForeignKey("payouts.id"), primary_key=True, index=True)


class SurveillanceCursor(Base):
    """The last deal that a reader of the stream has judged. Changes in the same transaction as its alerts."""

    __tablename__ = "surveillance_cursors"

    reader: Mapped[str] = mapped_column(String(40), primary_key=True)
    last_deal: Mapped[int] = mapped_column(BigInteger, default=0)


class SurveillancePolicyRow(Base):
    """A policy that is or was in force: the newest one is. It never changes."""

    __tablename__ = "surveillance_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    proposal_id: Mapped[str | None] = mapped_column(ForeignKey("surveillance_proposals.id"))
    recorded_at: Mapped[Recorded]


class SurveillanceProposal(Base):
    """A change of the policy that one person proposes and another approves. `base_hash`: of the policy that it changes.
    `replayed`: what the new thresholds would have flagged in the past, and what of it was confirmed."""

    __tablename__ = "surveillance_proposals"
    __table_args__ = (
        Index("uq_surveillance_proposals_open", "state", unique=True, postgresql_where=text("state = 'proposed'")),
    )

    id: Mapped[Id]
    base_hash: Mapped[str] = mapped_column(String(64))
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    replayed: Mapped[Json]
    reason: Mapped[str]
    state: Mapped[str] = mapped_column(String(16))
    proposed_by: Mapped[str] = mapped_column(ForeignKey("users.id"))
    proposed_at: Mapped[MarketTime]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]
