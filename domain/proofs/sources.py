"""Where a sheet takes the worth of an account from: quotes, the venue's own state, a statement, a bar, the balance."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from domain.proofs.part import Part


class QuotesSource(Part):
    """The venue streams quotes and deals: worth is the balance plus every position at its quote."""

    source: Literal["quotes"] = "quotes"


class StateSource(Part):
    """The venue itself states the worth of the account, in its stream, with number `seq`."""

    source: Literal["state"] = "state"
    seq: int
    at: datetime
    balance_minor: int
    equity_minor: int


class StatementSource(Part):
    """An imported statement. `stated_equity_minor`: the equity that the file states at this moment; None: the worth
    is the balance plus every position at its quote."""

    source: Literal["statement"] = "statement"
    file: str
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    stated_equity_minor: int | None = None


class BarSource(Part):
    """A stored one-minute bar of the account's equity. `taken`: the figure that decided."""

    source: Literal["bar"] = "bar"
    minute: datetime
    open_minor: int
    high_minor: int
    low_minor: int
    close_minor: int
    balance_minor: int
    taken: Literal["open", "high", "low", "close"]

    @property
    def equity_minor(self) -> int:
        figures = {"open": self.open_minor, "high": self.high_minor, "low": self.low_minor, "close": self.close_minor}
        return figures[self.taken]


class BalanceSource(Part):
    """The result of the open positions is not known at this moment. Only a rule that does not count it is judged: the
    equity of the sheet is the balance, and the sheet lists no positions."""

    source: Literal["balance"] = "balance"


Source = Annotated[
    QuotesSource | StateSource | StatementSource | BarSource | BalanceSource, Field(discriminator="source")
]
