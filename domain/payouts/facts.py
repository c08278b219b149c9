"""The facts that a payout depends on, at one instant of market time. The caller collects them."""

from datetime import datetime
from decimal import Decimal

from pydantic import BaseModel, ConfigDict


class GateFact(BaseModel):
    """The status of a gate of the funded phase (`domain.rules.history.gates`), by rule id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule_id: str
    met: bool
    sentence: str


class PayoutFacts(BaseModel):
    """The facts for eligibility and amount, at market time `now`. Money in minor units of the account's currency.

    `equity_minor`: the balance plus the result of open positions; None: no position is open. `cycle`: the name of
    the payout cycle that the trader chose. `payouts_paid`, `paid_gross_minor`, `paid_trader_minor`: the number of
    paid payouts of the challenge, and their total before and after the split. `profit_minor`: the net trading result
    that is not paid out yet; None: the balance above the initial balance. `deducted_minor`: the part of it that does
    not count (`domain.rules.history.deducted_minor`). `gates`: the gates of the funded phase that block payouts.
    `lowered_split_pct`: the trader's share of every payout since an offence lowered it; None: as in the terms.
    `last_fee_minor`: the last fee paid for the challenge, including resets and extensions.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    now: datetime
    challenge_state: str
    funded_at: datetime | None
    last_payout_at: datetime | None
    balance_minor: int
    initial_minor: int
    open_positions: int
    open_payout_id: str | None
    beneficiary_known: bool
    first_trade_at: datetime | None = None
    pending_orders: int = 0
    cycle: str | None = None
    payouts_paid: int = 0
    paid_gross_minor: int = 0
    paid_trader_minor: int = 0
    profit_minor: int | None = None
    deducted_minor: int = 0
    gates: tuple[GateFact, ...] = ()
    last_fee_minor: int = 0
    equity_minor: int | None = None
    lowered_split_pct: Decimal | None = None

    @property
    def open_loss_minor(self) -> int:
        """The open losses. They count against a payout; open gains do not count."""
        return 0 if self.equity_minor is None else max(0, self.balance_minor - self.equity_minor)

    @property
    def worth_minor(self) -> int:
        """The lower of balance and equity: payouts are judged on it."""
        return self.balance_minor - self.open_loss_minor

    @property
    def payout_number(self) -> int:
        """The number of the next payout, from 1."""
        return self.payouts_paid + 1
