"""Reconciliation: lines that no statement has shown yet, breaks, and balances by the source's own word."""

from datetime import date, datetime

from sqlalchemy import BigInteger, Date, ForeignKey, Index, String, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Minor, Recorded


class OpenLine(Base):
    """A posted line of a cash account, of payouts in transit or of settlements that no statement has shown yet.

    The database adds it with its posting. It goes when an entry matches it, or when a person or a reversal explains it.
    """

    __tablename__ = "open_lines"
    __table_args__ = (Index("ix_open_lines_account", "account", "reference"),)

    posting_id: Mapped[int] = mapped_column(
        BigInteger, ForeignKey("postings.id"), primary_key=True, autoincrement=False
    )
    transaction_id: Mapped[int] = mapped_column(BigInteger, index=True)
    account: Mapped[str] = mapped_column(String(80))
    kind: Mapped[str] = mapped_column(String(32))
    reference: Mapped[str] = mapped_column(String(32))
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    occurred_at: Mapped[MarketTime]


class ReconciliationBreak(Base):
    """Something that does not agree between the books and a source; domain/reconciliation.py explains `kind`.

    `what`: the key of what differs; one break of it is not closed. `state`: suspected (seen once, shown to nobody),
    open, closed. `amount_minor`: what the source has more than the books. `account`: of the books. `account_id`: the
    trading account. `round`: from 1, one more each time that it is opened again. `transaction_id`: the posting that
    closed it.
    """

    __tablename__ = "reconciliation_breaks"
    __table_args__ = (
        Index("uq_reconciliation_breaks_what", "what", unique=True, postgresql_where=text("state <> 'closed'")),
        Index("ix_reconciliation_breaks_open", "first_seen_at", postgresql_where=text("state = 'open'")),
        Index("ix_reconciliation_breaks_what", "what", "recorded_at"),
    )

    id: Mapped[Id]
    what: Mapped[str] = mapped_column(String(160))
    kind: Mapped[str] = mapped_column(String(24))
    state: Mapped[str] = mapped_column(String(12))
    source: Mapped[str] = mapped_column(String(40))  # statement source, or platform
    account: Mapped[str | None] = mapped_column(String(80))
    subject: Mapped[str] = mapped_column(String(40))  # our challenge or payout; "" if unknown
    entry_id: Mapped[str | None] = mapped_column(String(80))
    posting_id: Mapped[int | None] = mapped_column(BigInteger)
    account_id: Mapped[str | None] = mapped_column(String(32))
    amount_minor: Mapped[Minor]
    currency: Mapped[str] = mapped_column(String(4))
    detail: Mapped[Json]
    first_seen_at: Mapped[MarketTime]
    owner: Mapped[str | None] = mapped_column(String(32), ForeignKey("users.id"))
    round: Mapped[int] = mapped_column(default=1, server_default="1")
    resolution: Mapped[str | None] = mapped_column(String(16))
    transaction_id: Mapped[int | None] = mapped_column(BigInteger)
    closed_by: Mapped[str | None] = mapped_column(String(32))
    close_reason: Mapped[str | None]
    closed_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class StatementBalanceRow(Base):
    """The newest balance of a source by its own word, and what its movements on the record add up to."""

    __tablename__ = "statement_balances"

    source: Mapped[str] = mapped_column(String(40), primary_key=True)
    currency: Mapped[str] = mapped_column(String(4), primary_key=True)
    amount_minor: Mapped[Minor]
    expected_minor: Mapped[Minor]
    at: Mapped[MarketTime]
    checked_at: Mapped[MarketTime]


class VenueCheck(Base):
    """How far the accounts at a platform were compared on market day `day`: up to the account `after`.

    `request`: the last request of a person that began it anew. `compared`: accounts until now. `ended_at`: the market
    time at which the last one was done.
    """

    __tablename__ = "venue_checks"

    platform: Mapped[str] = mapped_column(String(40), primary_key=True)
    day: Mapped[date] = mapped_column(Date)
    after: Mapped[str] = mapped_column(String(32))
    done: Mapped[bool]
    request: Mapped[str] = mapped_column(String(64), server_default="")
    compared: Mapped[int] = mapped_column(server_default="0")
    ended_at: Mapped[datetime | None]


class VenueLimits(Base):
    """The loss limits of an account at its venue: the second wall. domain/products/second_wall.py says what they are.

    `asked`: they are to be sent again if they have changed. `sent`: the last that the venue accepted; None: none yet.
    `levels`: what the venue holds of each of our limits, when it was last computed: rule_id, holds, sentence.
    `sending`: what a call is about that has not ended, or whose end is not known; until `sending_until` (wall time)
    nobody else sends. `money_at`: when money last moved, or was about to. `shown`: by the venue, when it was asked at
    `compared_at`.
    """

    __tablename__ = "venue_limits"
    __table_args__ = (Index("ix_venue_limits_asked", "account_id", postgresql_where=text("asked")),)

    account_id: Mapped[str] = mapped_column(String(32), ForeignKey("accounts.id"), primary_key=True)
    asked: Mapped[bool] = mapped_column(server_default="false")
    sent: Mapped[Json | None]
    levels: Mapped[list[dict[str, str]]] = mapped_column(JSONB, server_default="[]")
    sent_at: Mapped[datetime | None]
    sending: Mapped[Json | None]
    sending_until: Mapped[datetime | None]
    money_at: Mapped[datetime | None]
    shown: Mapped[Json | None]
    compared_at: Mapped[datetime | None]
