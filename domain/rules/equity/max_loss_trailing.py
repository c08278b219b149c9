"""Trailing maximum loss: the floor follows a peak, up to its lock."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Final, Literal, Self

from pydantic import model_validator

from domain.money import ExactDecimal, to_minor
from domain.rules.base import Context, EquityRule, said, spoken
from domain.rules.equity.after_payout import PAID_WORDS, SETTLES, FloorAfterPayout
from domain.rules.floors import FloorSpec, Holds, Moves, Source, allowance
from domain.rules.terms import RuleId, Size, Terms, Where

PeakBasis = Literal["eod_balance_peak", "eod_max_balance_equity_peak", "intraday_balance_peak", "intraday_equity_peak"]

_PEAKS: Final[dict[PeakBasis, tuple[Source, Moves]]] = {
    "eod_balance_peak": ("balance", "rollover_peak"),
    "eod_max_balance_equity_peak": ("max(balance,equity)", "rollover_peak"),
    "intraday_balance_peak": ("balance", "peak"),
    "intraday_equity_peak": ("equity", "peak"),
}
_SAID: Final[dict[PeakBasis, str]] = {
    "eod_balance_peak": "highest balance at a daily reset",
    "eod_max_balance_equity_peak": "highest balance or equity at a daily reset",
    "intraday_balance_peak": "highest balance at any moment",
    "intraday_equity_peak": "highest equity at any moment, open profit included",
}


class Lock(Terms):
    """The trailing floor rises no further than initial + offset (major units)."""

    offset: ExactDecimal = Decimal(0)

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield ("offset",), self.offset


class MaxLossTrailing(EquityRule):
    """Equity may not fall the allowance below the peak."""

    type: Literal["max_loss_trailing"]
    id: RuleId = "trailing_loss"
    peak_basis: PeakBasis
    allowance: Size
    lock: Lock | None = None
    peak_falls_by_payout: bool = False
    payout_effect: FloorAfterPayout = "unchanged"
    holds: Holds = Holds()

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type not in ("amount", "pct_of_initial", "pct_of_peak"):
            raise ValueError("allowance: a trailing limit is an amount, pct_of_initial or pct_of_peak")
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        yield from super().problems(context)
        (spec,) = self.compile(context.initial_minor, context.currency)
        first_floor = context.initial_minor - spec.allowance(context.initial_minor)
        if spec.ceiling_minor is not None and spec.ceiling_minor <= first_floor:
            yield "lock", "the lock lies below the first floor; raise the offset"

    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        source, moves = _PEAKS[self.peak_basis]
        return (
            FloorSpec(
                rule_id=self.id,
                rule_type=self.type,
                source=source,
                moves=moves,
                initial_minor=initial_minor,
                **allowance(self.allowance, initial_minor, currency),
                ceiling_minor=initial_minor + to_minor(self.lock.offset, currency) if self.lock else None,
                payout_falls=self.peak_falls_by_payout,
                settles=SETTLES[self.payout_effect],
                operator=self.breach_when,
                holds=self.holds,
            ),
        )

    def words(self, context: Context) -> str:
        most = spoken(self.allowance, context)
        if self.allowance.type == "pct_of_peak":
            most = f"{self.allowance.value.normalize():f} % of the peak"
        told = (
            f"Trailing loss. You may fall {most} below the peak: your {_SAID[self.peak_basis]}, or the initial balance"
        )
        told += " while that is higher."
        if self.lock:
            level = context.initial_minor + to_minor(self.lock.offset, context.currency)
            told += f" The floor rises no further than {said(level, context.currency)}."
        if self.peak_falls_by_payout:
            told += " A payout lowers the peak by the amount paid."
        return f"{told}{PAID_WORDS[self.payout_effect]}{self.holds.words} {self.when_broken(context)}"
