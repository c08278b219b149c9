"""What platforms tell beside deals: events of orders, changes of stops, and facts about symbols."""

from decimal import Decimal

from sqlalchemy import BigInteger, ForeignKey, Identity, Index, Numeric, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base, MarketTime, Price, Recorded


class OrderEvent(Base):
    """What the venue told of an order: it was placed, changed, filled, or is gone. `id`, `seq`, `at`: as of a deal."""

    __tablename__ = "order_events"
    __table_args__ = (Index("ix_order_events_id", "id"), {"postgresql_partition_by": "RANGE (at)"})

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[MarketTime] = mapped_column(primary_key=True)
    order_id: Mapped[str] = mapped_column(String(40))
    symbol: Mapped[str] = mapped_column(String(20))
    side: Mapped[str] = mapped_column(String(4))
    lots: Mapped[Decimal] = mapped_column(Numeric(18, 4))
    change: Mapped[str] = mapped_column(String(10))
    type: Mapped[str | None] = mapped_column(String(10))
    price: Mapped[Price | None]


class StopChange(Base):
    """The stop loss or the take profit of an open position changed without a fill. Both as they are from `at` on."""

    __tablename__ = "stop_changes"
    __table_args__ = (Index("ix_stop_changes_id", "id"), {"postgresql_partition_by": "RANGE (at)"})

    id: Mapped[int] = mapped_column(BigInteger, Identity())
    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    seq: Mapped[int] = mapped_column(BigInteger, primary_key=True, autoincrement=False)
    at: Mapped[MarketTime] = mapped_column(primary_key=True)
    position_id: Mapped[str] = mapped_column(String(40))
    stop_loss: Mapped[Price | None]
    take_profit: Mapped[Price | None]


class SymbolFacts(Base):
    """What a platform, or the firm's symbol map, says of a symbol. The texts are empty when nobody says it.
    `synonym_of`: the main symbol of which this is a mini, a micro or another listing."""

    __tablename__ = "symbol_facts"

    platform: Mapped[str] = mapped_column(String(40), primary_key=True)
    symbol: Mapped[str] = mapped_column(String(80), primary_key=True)
    contract_size: Mapped[Decimal] = mapped_column(Numeric(20, 8))
    quote_currency: Mapped[str] = mapped_column(String(8))
    digits: Mapped[int]
    asset: Mapped[str] = mapped_column(String(16), default="", server_default="")
    base_currency: Mapped[str] = mapped_column(String(8), default="", server_default="")
    synonym_of: Mapped[str] = mapped_column(String(80), default="", server_default="")
    together: Mapped[str] = mapped_column(String(40), default="", server_default="")  # symbols that move together
    told_at: Mapped[Recorded]
