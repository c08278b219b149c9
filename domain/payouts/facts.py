"""The facts that a payout depends on, at one instant of market time. The caller collects them."""

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict

from domain.clocks import Clock
from domain.payouts.tainted import TaintedTrade
from domain.rules.terms import LATER


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
    `last_fee_minor`: the last fee paid for the challenge, including resets and extensions.

    Facts that came later, and are left out of a stored sheet where they say nothing: `clock` ends the days that dates
    are counted in. `all_fees_minor`: every fee paid for the challenge (None: the last fee is the only one).
    `payout_balance_minor`: the balance that the last payout left. `first_trade_since_payout_at`: the first trade after
    the last payout. `trading_days`: days with a new position. `total_paid_minor`: everything paid before the split,
    where the totals are those of all accounts of the trader. `paid_lately`: number of days -> what was paid, before the
    split, less than so many times 24 hours ago. `lowered_split_pct`: the share that a consequence set instead of the
    share of the terms; `grown_split_pct`: the share since the account has grown. `live_start_minor`: what a live
    account of the trader would start with. `closed_by_payout`: a closing payout of the account was paid. `tainted`: the
    trades whose profit does not count, in order of their closing; `deducted_minor` has no part of it.
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
    equity_minor: Annotated[int | None, LATER] = None
    clock: Annotated[Clock | None, LATER] = None
    all_fees_minor: Annotated[int | None, LATER] = None
    payout_balance_minor: Annotated[int | None, LATER] = None
    first_trade_since_payout_at: Annotated[datetime | None, LATER] = None
    trading_days: Annotated[int, LATER] = 0
    total_paid_minor: Annotated[int | None, LATER] = None
    paid_lately: Annotated[Mapping[int, int], LATER] = {}
    lowered_split_pct: Annotated[Decimal | None, LATER] = None
    grown_split_pct: Annotated[Decimal | None, LATER] = None
    live_start_minor: Annotated[int | None, LATER] = None
    closed_by_payout: Annotated[bool, LATER] = False
    tainted: Annotated[tuple[TaintedTrade, ...], LATER] = ()

    @property
    def own_split_pct(self) -> Decimal | None:
        """The share that replaces that of the terms: an offence has lowered it, or the account has grown."""
        return self.grown_split_pct if self.lowered_split_pct is None else self.lowered_split_pct

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

    @property
    def left_by_payout_minor(self) -> int:
        """The balance that the last payout left; before any, the initial balance."""
        return self.initial_minor if self.payout_balance_minor is None else self.payout_balance_minor

    @property
    def withdrawn_minor(self) -> int:
        """Everything paid before the split, of the account or of all accounts of the trader, as the terms say."""
        return self.paid_gross_minor if self.total_paid_minor is None else self.total_paid_minor

    def unused(self) -> set[str]:
        """Returns the names of the later facts that say nothing."""
        fields = type(self).model_fields
        return {
            name for name, field in fields.items() if LATER in field.metadata and getattr(self, name) == field.default
        }
