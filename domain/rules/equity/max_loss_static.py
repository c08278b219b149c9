"""Static maximum loss: the floor is the initial balance minus an allowance and does not move."""

from typing import Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.equity.after_payout import SETTLES, FloorAfterPayout, payout_words
from domain.rules.floors import FloorSpec, WorthParts, allowance
from domain.rules.terms import RuleId, Size


class MaxLossStatic(EquityRule):
    """Equity may not fall below the initial balance minus the allowance."""

    type: Literal["max_loss_static"]
    id: RuleId = "max_loss"
    allowance: Size
    holds: WorthParts = WorthParts()
    payout_effect: FloorAfterPayout = "unchanged"

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.allowance.type not in ("amount", "pct_of_initial"):
            raise ValueError("allowance: a static limit is an amount or pct_of_initial")
        return self

    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        return (
            FloorSpec(
                rule_id=self.id,
                rule_type=self.type,
                source="initial",
                moves="never",
                initial_minor=initial_minor,
                **allowance(self.allowance, initial_minor, currency),
                settles=SETTLES[self.payout_effect],
                operator=self.breach_when,
                holds=self.holds,
            ),
        )

    def words(self, context: Context) -> str:
        (spec,) = self.compile(context.initial_minor, context.currency)
        floor = context.initial_minor - spec.allowance(context.initial_minor)
        words = f"Maximum loss. Your equity may fall at most {context.size(self.allowance)} below the initial balance:"
        words += f" the floor is {context.money(floor)}."
        return f"{words}{payout_words(spec, context.currency)}{self.holds.words} {self.breach_words(context)}"
