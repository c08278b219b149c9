"""The scaling plan: the account grows every few months if it is successful."""

from calendar import monthrange
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.money import ExactDecimal, half_up, to_minor
from domain.rules.terms import Terms, Where
from domain.wording import count, percent

Percent = Annotated[ExactDecimal, Field(gt=0, le=100)]


class ScalingFacts(BaseModel):
    """`since`: when the account was funded, or last grew. Profit and payouts are those since then."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    now: datetime
    since: datetime
    profit_minor: int
    payouts_paid: int
    original_minor: int
    current_minor: int


class Scaling(Terms):
    """Every `every_months` the account may grow by `increase_pct` of its `of`, up to `cap` (major units), if the
    profit since the last step was `min_profit_pct` of its size and `min_payouts` were paid. `split_pct`: the
    share after that."""

    increase_pct: Annotated[ExactDecimal, Field(gt=0, le=1000)]
    of: Literal["original_size", "current_size"] = "original_size"
    every_months: Annotated[int, Field(ge=1, le=60)] = 4
    min_profit_pct: Annotated[ExactDecimal, Field(ge=0, le=1000)] = Decimal(0)
    min_payouts: Annotated[int, Field(ge=0, le=100)] = 0
    cap: Annotated[ExactDecimal, Field(gt=0)] | None = None
    split_pct: Percent | None = None

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.cap is not None:
            yield ("cap",), self.cap

    def next_size(self, original_minor: int, current_minor: int, currency: str) -> int:
        """Returns the size after one step, in minor units; never below the current size."""
        base = original_minor if self.of == "original_size" else current_minor
        grown = current_minor + half_up(Decimal(base) * self.increase_pct / 100)
        if self.cap is not None:
            grown = min(grown, to_minor(self.cap, currency))
        return max(current_minor, grown)

    def due_at(self, since: datetime) -> datetime:
        """Returns the first instant at which the next step is possible."""
        month = since.month - 1 + self.every_months
        year, month = since.year + month // 12, month % 12 + 1
        return since.replace(year=year, month=month, day=min(since.day, monthrange(year, month)[1]))

    def missing(self, facts: ScalingFacts, currency: str) -> tuple[str, ...]:
        """Returns what the next step still needs, each as a clause for people; empty: the step is possible."""
        wants: list[str] = []
        due = self.due_at(facts.since)
        if facts.now < due:
            wants.append(f"the account can grow from {due:%Y-%m-%d} on")
        if Decimal(facts.profit_minor) * 100 < self.min_profit_pct * facts.current_minor:
            wants.append(f"it needs a profit of {percent(self.min_profit_pct)} since the last step")
        if facts.payouts_paid < self.min_payouts:
            needed = count(self.min_payouts, "payout")
            wants.append(f"it needs {needed} since the last step ({facts.payouts_paid} paid so far)")
        if self.next_size(facts.original_minor, facts.current_minor, currency) == facts.current_minor:
            wants.append("the account already has the largest size")
        return tuple(wants)
