"""What the list of accounts is sorted by."""

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base

LAST = 2**62  # beyond every amount: stands for none


class AccountRank(Base):
    """One narrow row for each account, made with it by a trigger. The relay brings the figures up to date
    (`store/account_ranks.py`). `batch` and `status`: those of the checkpoint and the account that they were read from;
    None before the first time.

    In minor units: the equity, and the least room to a floor of the day, to another floor, and to any; LAST for an
    account without the figure. One index of each is read in both directions.
    """

    __tablename__ = "account_ranks"
    __table_args__ = tuple(
        Index(f"ix_account_ranks_{figure}", figure, "number") for figure in ("equity", "daily", "total", "closest")
    )

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    batch: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str | None] = mapped_column(String(16))
    equity: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    daily: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    total: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    closest: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
