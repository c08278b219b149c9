"""Tables of the monitor: shards, live accounts, deals, bars, breaches, passes, reviews."""

from datetime import date, datetime
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    BigInteger,
    Date,
    ForeignKey,
    Identity,
    Index,
    Numeric,
    String,
    UniqueConstraint,
    false,
    text,
    true,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Minor, Price, Recorded, Updated


class Shard(Base):
    """A shard of the monitor. Its owner's writes carry `epoch`; an older epoch is refused.

    `batch` and `watermark` (market time) are those of the last checkpoint. `accepting`: may get new accounts.
    """

    __tablename__ = "shards"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    platform: Mapped[str] = mapped_column(String(40), default="sandbox", server_default="sandbox")  # read by this shard
    epoch: Mapped[int] = mapped_column(BigInteger, default=0)
    batch: Mapped[int] = mapped_column(BigInteger, default=0)
    owner: Mapped[str] = mapped_column(String(120), default="")
    claimed_at: Mapped[datetime | None]
    checkpoint_at: Mapped[datetime | None]  # wall time
    feed: Mapped[Json] = mapped_column(
        JSONB, server_default="{}"
    )  # private to the monitor: quotes, doubts, market time
    accepting: Mapped[bool] = mapped_column(default=True, server_default=true())
    watermark: Mapped[datetime | None]


class ShardPeaks(Base):
    """Peaks that changed after their accounts' rows were stored, as of the checkpoint. Private to the monitor."""

    __tablename__ = "shard_peaks"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    peaks: Mapped[bytes]


class ShardMove(Base):
    """A move of accounts between shards.

    A person requests it; the source releases the accounts as of `batch`, with its `feed` state; it is done when the
    target has read the stream up to its own position.
    """

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


class AccountLive(Base):
    """The last checkpoint of one account: money, floors, positions. Pages read this row."""

    __tablename__ = "account_live"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    batch: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[MarketTime]
    balance_minor: Mapped[Minor]
    equity_minor: Mapped[Minor]
    trading_days: Mapped[int] = mapped_column(default=0)
    last_trading_day: Mapped[date | None] = mapped_column(Date)
    positions: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    floors: Mapped[Json]  # rule id -> {"floor_minor", "operator", "room_minor"}
    rule_state: Mapped[Json]  # private state of the rules, see domain/rules/state.py


class DealRow(Base):
    """A fill as the venue reported it. `id` is the order of storage; surveillance reads deals by it.

    `at` is part of the keys because the table is stored in parts by it. A venue never gives one deal two times.
    """

    __tablename__ = "deals"
    __table_args__ = (
        Index("ix_deals_updated", "updated_at", "id"),
        UniqueConstraint("account_id", "deal_id", "at"),
        Index("ix_deals_account_at", "account_id", "at"),
        Index("ix_deals_account", "account_id", "id"),
        Index("ix_deals_deal_id", "deal_id"),
        {"postgresql_partition_by": "RANGE (at)"},
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    deal_id: Mapped[str] = mapped_column(String(40))
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[MarketTime] = mapped_column(primary_key=True)
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
    fee_minor: Mapped[Minor] = mapped_column(default=0, server_default="0")
    stop_loss: Mapped[Price | None]  # of the position after the fill, as the next one
    take_profit: Mapped[Price | None]
    bid: Mapped[Price | None]  # the venue's own quote at the fill, as the next one
    ask: Mapped[Price | None]
    late: Mapped[bool] = mapped_column(default=False, server_default=false())
    expert_id: Mapped[str] = mapped_column(default="", server_default="")
    comment: Mapped[str] = mapped_column(default="", server_default="")
    updated_at: Mapped[Updated]


class BalanceOperationRow(Base):
    __tablename__ = "balance_operations"
    __table_args__ = (UniqueConstraint("account_id", "key"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    key: Mapped[str] = mapped_column(String(120))
    operation: Mapped[str] = mapped_column(String(20))
    seq: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[MarketTime]
    amount_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]


class EquityBar(Base):
    """One minute of one account: equity open, high, low, close; balance at the close. Old minutes become hours."""

    __tablename__ = "equity_bars"
    __table_args__ = ({"postgresql_partition_by": "RANGE (minute)"},)

    account_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    minute: Mapped[MarketTime] = mapped_column(primary_key=True)
    open_minor: Mapped[Minor]
    high_minor: Mapped[Minor]
    low_minor: Mapped[Minor]
    close_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]


class HourBar(Base):
    """One hour of one account, made of its minutes. The minutes are removed then."""

    __tablename__ = "equity_hours"
    __table_args__ = ({"postgresql_partition_by": "RANGE (hour)"},)

    account_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    hour: Mapped[MarketTime] = mapped_column(primary_key=True)
    open_minor: Mapped[Minor]
    high_minor: Mapped[Minor]
    low_minor: Mapped[Minor]
    close_minor: Mapped[Minor]
    balance_minor: Mapped[Minor]


class DailySnapshot(Base):
    """An account's figures at the reset that ended trading day `day`."""

    __tablename__ = "daily_snapshots"
    __table_args__ = ({"postgresql_partition_by": "RANGE (day)"},)

    account_id: Mapped[str] = mapped_column(String(32), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    reset_at: Mapped[MarketTime]
    balance_minor: Mapped[Minor]
    equity_minor: Mapped[Minor]
    floors: Mapped[Json]


class Offence(Base):
    """A broken rule that did not end the phase, with its `consequence`.

    Unique per account, phase, rule and offence number. `deducted_minor` is the profit that does not count.
    """

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
    occurred_at: Mapped[MarketTime]
    epoch: Mapped[int] = mapped_column(BigInteger)
    recorded_at: Mapped[Recorded]


class GateStanding(Base):
    """The state of one gate of an account after the last trading day that changed it. `blocks`: pass, payout."""

    __tablename__ = "gate_standings"

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    rule_id: Mapped[str] = mapped_column(String(41), primary_key=True)
    met: Mapped[bool]
    outcome: Mapped[str] = mapped_column(String(20))
    sentence: Mapped[str]
    blocks: Mapped[list[str]] = mapped_column(JSONB)
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    occurred_at: Mapped[MarketTime]


class NewsRelease(Base):
    """A scheduled economic release. `names` lists the currencies or instruments it affects; empty means all. `ends_at`:
    the end of a speech. One that is moved gets a new `id`, so that readers after their last id see it again."""

    __tablename__ = "news_releases"

    id: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    key: Mapped[str] = mapped_column(String(120), unique=True)
    released_at: Mapped[MarketTime]
    ends_at: Mapped[MarketTime | None]
    names: Mapped[list[str]] = mapped_column(JSONB)
    impact: Mapped[str] = mapped_column(String(12))
    title: Mapped[str] = mapped_column(String(200))
    recorded_at: Mapped[Recorded]


class PhasePass(Base):
    __tablename__ = "phase_passes"
    __table_args__ = (Index("ix_phase_passes_newest", "occurred_at", "id"),)

    id: Mapped[Id]
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), unique=True)
    challenge_id: Mapped[str] = mapped_column(ForeignKey("challenges.id"), index=True)
    phase_index: Mapped[int]
    proof_id: Mapped[str] = mapped_column(ForeignKey("proofs.id"))
    seq: Mapped[int] = mapped_column(BigInteger)
    occurred_at: Mapped[MarketTime]
    balance_minor: Mapped[Minor]
    recorded_at: Mapped[Recorded]


class HistoryPoint(Base):
    """A point of an account's history, by its hash: see `domain.proofs.points`. `body` holds the state of its rules,
    the events since the point before, and the hash of that point. A shard that judges again after a crash makes the
    same points; where it had other news to tell, the chain has two branches."""

    __tablename__ = "history_points"
    __table_args__ = (Index("ix_history_points_account", "account_id", "number"),)

    hash: Mapped[str] = mapped_column(String(64), primary_key=True)
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"))
    number: Mapped[int]
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class Review(Base):
    """A doubt about the feed, an account or a payment, for a person to look at. Never a verdict.

    A person can confirm or dismiss a review of kind `doubtful_breach`.
    """

    __tablename__ = "reviews"

    id: Mapped[Id]
    key: Mapped[str] = mapped_column(String(160), unique=True)
    kind: Mapped[str] = mapped_column(String(24))  # see monitor.facts.ReviewKind and firm.payment_reviews
    account_id: Mapped[str | None] = mapped_column(ForeignKey("accounts.id"), index=True)
    detail: Mapped[Json]
    status: Mapped[str] = mapped_column(String(8), default="open", index=True)  # open | closed
    occurred_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
    closed_by: Mapped[str | None] = mapped_column(String(32))
    close_reason: Mapped[str | None]
    outcome: Mapped[str | None] = mapped_column(String(12))  # of a doubtful breach: confirmed | dismissed | settled


class Exposure(Base):
    """The position of a shard's accounts in one symbol, as of the shard's last checkpoint."""

    __tablename__ = "exposures"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    symbol: Mapped[str] = mapped_column(String(20), primary_key=True)
    long_lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    short_lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    accounts: Mapped[int]
    floating_minor: Mapped[Minor]
    bid: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    ask: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    at: Mapped[MarketTime]


class DailyClose(Base):
    """The result of the check that every active account of a clock group has its snapshot for a day."""

    __tablename__ = "daily_closes"

    clock_group: Mapped[str] = mapped_column(String(60), primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    accounts: Mapped[int]
    missing: Mapped[int]
    checked_at: Mapped[MarketTime]
    recorded_at: Mapped[Recorded]
