"""Static maximum loss: the floor stands an allowance below the initial balance for good."""

from typing import Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule, said, spoken
from domain.rules.equity.after_payout import PAID_WORDS, SETTLES, FloorAfterPayout
from domain.rules.floors import FloorSpec, Holds, allowance
from domain.rules.terms import RuleId, Size


class MaxLossStatic(EquityRule):
    """Equity may not fall the allowance below the initial balance."""

    type: Literal["max_loss_static"]
    id: RuleId = "max_loss"
    allowance: Size
    holds: Holds = Holds()
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
        floor = context.initial_minor - self.allowance.minor(
            initial=context.initial_minor, basis=0, currency=context.currency
        )
        told = f"Maximum loss. Over the account's whole life you may fall {spoken(self.allowance, context)} below the"
        told += f" initial balance: the floor stands at {said(floor, context.currency)}."
        return f"{told}{PAID_WORDS[self.payout_effect]}{self.holds.words} {self.when_broken(context)}"
