"""Trailing maximum loss: the floor follows a peak until it reaches its lock."""

from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import model_validator

from domain.money import ExactDecimal, to_minor
from domain.rules.base import Context, EquityRule
from domain.rules.equity.after_payout import SETTLES, FloorAfterPayout, payout_words
from domain.rules.equity.allowances import allowance, allowance_problem
from domain.rules.equity.daily_loss import judged_words
from domain.rules.floors import BasisMoves, FloorSpec, JudgedAt, Source, WorthParts
from domain.rules.terms import LATER, RuleId, Size, Terms, Where

PeakBasis = Literal["eod_balance_peak", "eod_max_balance_equity_peak", "intraday_balance_peak", "intraday_equity_peak"]

_PEAKS: Final[dict[PeakBasis, tuple[Source, BasisMoves]]] = {
    "eod_balance_peak": ("balance", "rollover_peak"),
    "eod_max_balance_equity_peak": ("max(balance,equity)", "rollover_peak"),
    "intraday_balance_peak": ("balance", "peak"),
    "intraday_equity_peak": ("equity", "peak"),
}
_PEAK_WORDS: Final[dict[PeakBasis, str]] = {
    "eod_balance_peak": "highest balance at a daily reset",
    "eod_max_balance_equity_peak": "highest balance or equity at a daily reset",
    "intraday_balance_peak": "highest balance at any moment",
    "intraday_equity_peak": "highest equity at any moment, including open profit",
}


class Lock(Terms):
    """The trailing floor stops rising at the initial balance plus `offset` (major units)."""

    offset: ExactDecimal = Decimal(0)

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        yield ("offset",), self.offset


class MaxLossTrailing(EquityRule):
    """Equity may not fall below the peak minus the allowance."""

    type: Literal["max_loss_trailing"]
    id: RuleId = "trailing_loss"
    peak_basis: PeakBasis
    allowance: Size
    lock: Lock | None = None
    peak_falls_by_payout: bool = False
    payout_effect: FloorAfterPayout = "unchanged"
    holds: WorthParts = WorthParts()
    judged_at: Annotated[JudgedAt, LATER] = "every_event"

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if problem := allowance_problem(self.allowance):
            raise ValueError(problem)
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
                **allowance(self.allowance, initial_minor, currency, "pct_of_peak"),
                ceiling_minor=initial_minor + to_minor(self.lock.offset, currency) if self.lock else None,
                payout_falls=self.peak_falls_by_payout,
                settles=SETTLES[self.payout_effect],
                operator=self.breach_when,
                holds=self.holds,
                judged_at=self.judged_at,
            ),
        )

    def words(self, context: Context) -> str:
        (spec,) = self.compile(context.initial_minor, context.currency)
        size = context.size(self.allowance, peak="the peak")
        words = f"Trailing loss. Your equity may fall at most {size} below the peak."
        words += f" The peak is your {_PEAK_WORDS[self.peak_basis]}, and at least the initial balance."
        if spec.ceiling_minor is not None:
            words += f" The floor stops rising at {context.money(spec.ceiling_minor)}."
        if self.peak_falls_by_payout:
            words += " A payout lowers the peak by the amount paid."
        words += payout_words(spec, context.currency)
        return f"{words}{self.holds.words}{judged_words(self.judged_at)} {self.breach_words(context)}"
