"""What the monitor reads and writes: shard ownership, live account rows, deals, bars, verdicts."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import BigInteger, Date, ForeignKey, Identity, Index, Numeric, String, UniqueConstraint, text, true
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, Market, Minor, Recorded


class Shard(Base):
    """Who may judge: writes carry `epoch`, and an older one is refused. `batch` is the last checkpoint's, `watermark`
    the market time it reached; one that is not `accepting` gets no new accounts."""

    __tablename__ = "shards"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    platform: Mapped[str] = mapped_column(String(40), default="sandbox", server_default="sandbox")  # read by this shard
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    batch: Mapped[int] = mapped_column(BigInteger, default=0)
    owner: Mapped[str] = mapped_column(String(120), default="")
    claimed_at: Mapped[datetime | None]
    checkpoint_at: Mapped[datetime | None]  # wall time
    feed: Mapped[Json] = mapped_column(JSONB, server_default="{}")  # the monitor's own: quotes, doubts, market time
    accepting: Mapped[bool] = mapped_column(default=True, server_default=true())
    watermark: Mapped[datetime | None]


class ShardPeaks(Base):
    """Peaks of a shard's accounts that moved after their rows were stored, as of the shard's checkpoint: the monitor's
    own."""

    __tablename__ = "shard_peaks"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peaks: Mapped[bytes]


class ShardMove(Base):
    """Accounts that one shard hands to another: requested by a person, released by the source as of `batch` with its
    `feed` state there, and done once the target has caught up with the stream after it."""

    __tablename__ = "shard_moves"
    __table_args__ = (Index("ix_shard_moves_unfinished", "id", postgresql_where=text("state <> 'done'")),)

    id: Mapped[Id]
    from_shard: Mapped[int] = mapped_column(ForeignKey("shards.id"))
    to_shard: Mapped[int] = mapped_column(ForeignKey("shards.id"))
    state: Mapped[str] = mapped_column(String(12))  # requested | released | done
    batch: Mapped[int | None] = mapped_column(BigInteger)
    feed: Mapped[Json | None] = mapped_column(JSONB)
    requested_by: Mapped[str] = mapped_column(String(64))
    reason: Mapped[str]
    requested_at: Mapped[Recorded]  # these three: wall time
    released_at: Mapped[datetime | None]
    done_at: Mapped[datetime | None]


class ShardMoveAccount(Base):
    __tablename__ = "shard_move_accounts"

    move_id: Mapped[str] = mapped_column(ForeignKey("shard_moves.id"), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True, index=True)


class MarketClock(Base):
    """Market time per feed: nothing earlier will follow, on any shard."""

    __tablename__ = "market_clock"

    feed: Mapped[str] = mapped_column(String(40), primary_key=True)
    watermark: Mapped[Market]
    last_tick_at: Mapped[datetime | None]
    recorded_at: Mapped[Recorded]


class AccountLive(Base):
    """The checkpoint of one account, and what every page shows: money, floors, positions."""

    __tablename__ = "account_live"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    batch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Market]
    balance_minor: Mapped[Minor]
    equity_minor: Mapped[Minor]
    trading_days: Mapped[int] = mapped_column(default=0)
    last_trading_day: Mapped[date | None] = mapped_column(Date)
    positions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    floors: Mapped[Json]  # rule id -> {"floor_minor", "operator", "room_minor"}
    rule_state: Mapped[Json]  # the exact engine's own state, opaque to readers


class DealRow(Base):
    """A fill as the venue reported it. `id` orders them as they were stored: surveillance reads on from it."""

    __tablename__ = "deals"
    __table_args__ = (UniqueConstraint("account_id", "deal_id"), Index("ix_deals_account_at", "account_id", "at"))

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    deal_id: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Market]
    position_id: Mapped[str] = mapped_column(String(40))
    symbol: Mapped[str] = mapped_column(String(20))
    side: Mapped[str] = mapped_column(String(4))
    entry: Mapped[str] = mapped_column(String(3))
    lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    price: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    profit_minor: Mapped[Minor]
    commission_minor: Mapped[Minor]
    swap_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]
    reason: Mapped[str] = mapped_column(String(12))


class BalanceOperationRow(Base):
    __tablename__ = "balance_operations"
    __table_args__ = (UniqueConstraint("account_id", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key: Mapped[str] = mapped_column(String(120))
    operation: Mapped[str] = mapped_column(String(20))
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[Market]
    amount_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]


class EquityBar(Base):
    """One minute of one account: equity open, high, low, close; balance at the close."""

    __tablename__ = "equity_bars"

    account_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    minute: Mapped[Market] = mapped_column(primary_key=True)
    open_minor: Mapped[Minor]
    high_minor: Mapped[Minor]
    low_minor: Mapped[Minor]
    close_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]


class DailySnapshot(Base):
    """An account at the reset that ended trading day `day`."""

    __tablename__ = "daily_snapshots"

    account_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reset_at: Mapped[Market]
    balance_minor: Mapped[Minor]
    equity_minor: Mapped[Minor]
    floors: Mapped[Json]


class Breach(Base):
    """A confirmed breach. One per account, phase, rule and offence, however often it is judged."""

    __tablename__ = "breaches"
    __table_args__ = (UniqueConstraint("account_id", "phase_index", "rule_id", "offence"),)

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    phase_index: Mapped[int]
    rule_id: Mapped[str] = mapped_column(String(41))
    offence: Mapped[int]
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[Market]
    floor_minor: Mapped[Minor | None]  # of a limit on the account's worth; a rule of conduct has none
    equity_minor: Mapped[Minor]
    status: Mapped[str] = mapped_column(String(12), default="confirmed")  # confirmed | overturned
    epoch: Mapped[int] = mapped_column(BigInteger)
    received_at: Mapped[Market]  # wall time at which the deciding event arrived
    recorded_at: Mapped[Recorded]
    locked_at: Mapped[datetime | None]  # wall time


class Offence(Base):
    """A rule was broken without ending the phase: what follows is its `consequence`. One per account, phase, rule and
    number, however often it is judged. `deducted_minor`: profit that does not count because of it."""

    __tablename__ = "offences"
    __table_args__ = (
        UniqueConstraint("account_id", "phase_index", "rule_id", "offence"),
        Index("ix_offences_account_at", "account_id", "occurred_at"),
    )

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    phase_index: Mapped[int]
    rule_id: Mapped[str] = mapped_column(String(41))
    offence: Mapped[int]
    consequence: Mapped[str] = mapped_column(String(20))
    sentence: Mapped[str]
    deducted_minor: Mapped[Minor] = mapped_column(server_default="0")
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[Market]
    epoch: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[Recorded]


class GateStanding(Base):
    """Where a gate of an account stood after its last trading day at which that changed. `blocks`: pass, payout."""

    __tablename__ = "gate_standings"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    rule_id: Mapped[str] = mapped_column(String(41), primary_key=True)
    met: Mapped[bool]
    outcome: Mapped[str] = mapped_column(String(20))
    sentence: Mapped[str]
    blocks: Mapped[list[str]] = mapped_column(JSONB)
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    occurred_at: Mapped[Market]


class NewsRelease(Base):
    """A scheduled economic release, known ahead. `names`: the currencies or instruments it concerns; empty: all."""

    __tablename__ = "news_releases"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    released_at: Mapped[Market]
    names: Mapped[list[str]] = mapped_column(JSONB)
    impact: Mapped[str] = mapped_column(String(12))
    title: Mapped[str] = mapped_column(String(200))
    recorded_at: Mapped[Recorded]


class PhasePass(Base):
    __tablename__ = "phase_passes"

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), unique=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    phase_index: Mapped[int]
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[Market]
    balance_minor: Mapped[Minor]
    recorded_at: Mapped[Recorded]


class Proof(Base):
    """A proof sheet; `body` holds all that recomputing it needs."""

    __tablename__ = "proofs"

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), index=True)
    kind: Mapped[str] = mapped_column(String(16))  # breach | pass | violation | gate | payout_refusal
    digest: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class Review(Base):
    """Something doubtful about the feed, an account or a payment that a person should look at; never a verdict. One of
    kind `doubtful_breach` can be confirmed by a person, or dismissed."""

    __tablename__ = "reviews"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(24))  # see monitor.facts.ReviewKind and firm.payment_reviews
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    detail: Mapped[Json]
    status: Mapped[str] = mapped_column(String(8), default="open", index=True)  # open | closed
    occurred_at: Mapped[Market]
    recorded_at: Mapped[Recorded]
    closed_by: Mapped[str | None] = mapped_column(String(32))
    close_reason: Mapped[str | None]
    outcome: Mapped[str | None] = mapped_column(String(12))  # of a doubtful breach: confirmed | dismissed | settled


class Exposure(Base):
    """The firm's live position per symbol, as of the shard's last checkpoint."""

    __tablename__ = "exposures"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    symbol: Mapped[str] = mapped_column(String(20), primary_key=True)
    long_lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    short_lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    accounts: Mapped[int]
    floating_minor: Mapped[Minor]
    bid: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    ask: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    at: Mapped[Market]


class DailyClose(Base):
    """The check that every active account of a clock group has its snapshot for a day."""

    __tablename__ = "daily_closes"

    clock_group: Mapped[str] = mapped_column(String(60), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    accounts: Mapped[int]
    missing: Mapped[int]
    checked_at: Mapped[Market]
    recorded_at: Mapped[Recorded]
