"""What the list of accounts is sorted by."""

from sqlalchemy import BigInteger, ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base

LAST = 2**62  # behind every amount
_FIGURES = ("equity", "daily", "total", "closest")


class AccountRank(Base):
    """One narrow row for each account, made with it by a trigger. The relay brings the figures up to date
    (`store/account_ranks.py`). `batch` and `status`: those of the checkpoint and the account that they were read from;
    None before the first time.

    In minor units: the equity, and the least room to a floor of the day, to another floor, and to any. An account
    without the figure comes last either way, so each stands here twice: `_up` to begin with the least, where LAST
    stands for none, and `_down` to begin with the most, where -LAST does.
    """

    __tablename__ = "account_ranks"
    __table_args__ = tuple(
        Index(f"ix_account_ranks_{figure}_{way}", f"{figure}_{way}", "number")
        for figure in _FIGURES
        for way in ("up", "down")
    )

    account_id: Mapped[str] = mapped_column(ForeignKey("accounts.id"), primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)
    batch: Mapped[int | None] = mapped_column(BigInteger)
    status: Mapped[str | None] = mapped_column(String(16))
    equity_up: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    equity_down: Mapped[int] = mapped_column(BigInteger, server_default=str(-LAST))
    daily_up: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    daily_down: Mapped[int] = mapped_column(BigInteger, server_default=str(-LAST))
    total_up: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    total_down: Mapped[int] = mapped_column(BigInteger, server_default=str(-LAST))
    closest_up: Mapped[int] = mapped_column(BigInteger, server_default=str(LAST))
    closest_down: Mapped[int] = mapped_column(BigInteger, server_default=str(-LAST))
