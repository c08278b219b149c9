"""What a payout depends on, gathered by whoever asks, as of one instant of market time."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict


class GateFact(BaseModel):
    """Where a gate of the funded phase stands: `domain.rules.history.gates`, by rule id."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rule_id: str
    met: bool
    sentence: str


class PayoutFacts(BaseModel):
    """What eligibility and amount depend on, as of market time `now`. Money in minor units of the account's currency.

    `equity_minor`: the balance plus what open positions have gained or lost; None: nothing is open. `cycle`: the name of
    the payout cycle the trader chose. `payouts_paid`, `paid_gross_minor`, `paid_trader_minor`: how
    many payouts of the challenge were paid, and what they came to before and after the split. `profit_minor`: the net
    trading result that no payout has taken yet; None: the balance above the initial one. `deducted_minor`: the part of it
    that does not count (`domain.rules.history.deducted_minor`). `gates`: those of the funded phase that block payouts.
    `last_fee_minor`: the last fee paid for the challenge, resets and extensions included.
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

    @property
    def open_loss_minor(self) -> int:
        """What open positions have lost. It counts against a payout; an open gain does not count for one."""
        return 0 if self.equity_minor is None else max(0, self.balance_minor - self.equity_minor)

    @property
    def worth_minor(self) -> int:
        """The lower of balance and equity: what payouts are judged on."""
        return self.balance_minor - self.open_loss_minor

    @property
    def payout_number(self) -> int:
        """The number of the next payout, from 1."""
        return self.payouts_paid + 1
