"""The currencies of the books."""

from sqlalchemy import SmallInteger, String
from sqlalchemy.orm import Mapped, mapped_column

from store.models.base import Base


class CurrencyRow(Base):
    """A currency of the books and the number of its decimal digits, from domain/currencies.py."""

    __tablename__ = "currencies"

    code: Mapped[str] = mapped_column(String(4), primary_key=True)
    digits: Mapped[int] = mapped_column(SmallInteger)
