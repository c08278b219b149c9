"""What the traders hold together: by shard now and by minute, the policy, limits that are broken, and what-ifs."""

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, Id, Json, MarketTime, Recorded, Ref


class ExposureNow(Base):
    """The figures of one shard, as `domain.exposure.figures.ShardFigures`. `recorded_at`: wall time."""

    __tablename__ = "exposure_now"

    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    at: Mapped[MarketTime]
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class ExposureMinute(Base):
    """The last figures of one shard in a minute of market time, as `domain.exposure.history.MinuteFigures`."""

    __tablename__ = "exposure_minutes"

    minute: Mapped[MarketTime] = mapped_column(primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[Json]


class ExposurePolicyRow(Base):
    """A version of the exposure policy. The newest is in force. Append only."""

    __tablename__ = "exposure_policies"

    number: Mapped[int] = mapped_column(BigInteger, Identity(), primary_key=True)
    content_hash: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class ExposureStanding(Base):
    """A limit that is broken, or was. `since`: market time of the last change of `level`. `times`: how often it left
    the inside."""

    __tablename__ = "exposure_standings"

    limit_id: Mapped[str] = mapped_column(String(41), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    level: Mapped[str] = mapped_column(String(8))  # inside | soft | hard
    value_minor: Mapped[int] = mapped_column(BigInteger)
    since: Mapped[MarketTime]
    times: Mapped[int] = mapped_column(default=0)


class WhatIf(Base):
    """A question: what would a shock do? `body`: `domain.exposure.shocks.Shock`. Each shard answers in a row."""

    __tablename__ = "what_ifs"
    __table_args__ = (Index("ix_what_ifs_recorded_at", "recorded_at"),)

    id: Mapped[Id]
    asked_by: Mapped[str] = mapped_column(String(64))
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class WhatIfAnswer(Base):
    """The answer of one shard: `domain.exposure.what_if.ShardAnswer`, or why there is none."""

    __tablename__ = "what_if_answers"

    what_if_id: Mapped[str] = mapped_column(ForeignKey("what_ifs.id", ondelete="CASCADE"), primary_key=True)
    shard: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    body: Mapped[Json]
    recorded_at: Mapped[Recorded]


class TraderCluster(Base):
    """A trader whom identity facts tie to others. `cluster`: the lowest id of its traders. Made anew by every window of
    surveillance. `recorded_at`: wall time."""

    __tablename__ = "trader_clusters"

    trader_id: Mapped[str] = mapped_column(ForeignKey("traders.id"), primary_key=True)
    cluster: Mapped[Ref] = mapped_column(index=True)
    recorded_at: Mapped[Recorded]
