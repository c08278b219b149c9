"""The scaling plan: the account grows every few months if it is successful."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.clocks import month_later
from domain.money import ExactDecimal, half_up, to_minor
from domain.rules.terms import LATER, Terms, Where
from domain.wording import count, percent

Percent = Annotated[ExactDecimal, Field(gt=0, le=100)]
Increase = Annotated[ExactDecimal, Field(gt=0, le=1000)]


class ScalingFacts(BaseModel):
    """The account since its last step, or since it was funded: `since`. Profit is counted with the payouts added back.

    `today` and `since`: None when the date is not known; then no time is missing. `steps`: the steps made before.
    `profitable_months`: the calendar months, cut ones included, that made a profit.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    today: date | None
    since: date | None
    profit_minor: int
    payouts_paid: int
    original_minor: int
    current_minor: int
    balance_minor: int
    profitable_months: int = 0
    steps: int = 0


class Scaling(Terms):
    """The account may grow by `increase_pct` of its `of`, up to `cap` (major units), when all of this holds since the
    last step: `every_months` have passed (0: no wait), the profit is `min_profit_pct` of its size, `min_payouts` were
    paid, and `min_profitable_months` made a profit.

    `increase_pct`: one percentage, or one for each step, of which the last repeats. `of` balance: the account grows to
    its balance and that part of it. The balance becomes the size; with `profit_stays` it grows by as much as the size.
    `split_pct`: the share after a step.
    """

    increase_pct: Increase | Annotated[tuple[Increase, ...], Field(min_length=1, max_length=100)]
    of: Literal["original_size", "current_size", "balance"] = "original_size"
    every_months: Annotated[int, Field(ge=0, le=60)] = 4
    min_profit_pct: Annotated[ExactDecimal, Field(ge=0, le=1000)] = Decimal(0)
    min_payouts: Annotated[int, Field(ge=0, le=100)] = 0
    min_profitable_months: Annotated[Annotated[int, Field(ge=0, le=60)], LATER] = 0
    cap: Annotated[ExactDecimal, Field(gt=0)] | None = None
    profit_stays: Annotated[bool, LATER] = False
    split_pct: Percent | None = None

    def amounts(self) -> Iterator[tuple[Where, Decimal]]:
        if self.cap is not None:
            yield ("cap",), self.cap

    def problems(self) -> Iterator[tuple[Where, str]]:
        """Yields what no product may promise, with its remedy."""
        if not (self.every_months or self.min_profit_pct or self.min_payouts or self.min_profitable_months):
            yield (
                ("every_months",),
                "the account would grow at once, again and again; set it, or ask for a profit or payouts",
            )

    @property
    def increases(self) -> tuple[Decimal, ...]:
        """The percentage of each step; the last repeats."""
        return self.increase_pct if isinstance(self.increase_pct, tuple) else (self.increase_pct,)

    def next_size(self, facts: ScalingFacts, currency: str) -> int:
        """Returns the size after one step, in minor units; never below the current size."""
        increases = self.increases
        pct = increases[min(facts.steps, len(increases) - 1)]
        bases = {
            "original_size": (facts.current_minor, facts.original_minor),
            "current_size": (facts.current_minor, facts.current_minor),
            "balance": (facts.balance_minor, facts.balance_minor),
        }
        start, base = bases[self.of]
        grown = start + half_up(Decimal(base) * pct / 100)
        if self.cap is not None:
            grown = min(grown, to_minor(self.cap, currency))
        return max(facts.current_minor, grown)

    def reaches(self, original_minor: int, size_minor: int, currency: str) -> bool:
        """Whether an account of this original size can have grown to `size_minor`. A size that follows from a balance
        can be any up to the cap."""
        largest = size_minor if self.cap is None else to_minor(self.cap, currency)
        if not original_minor < size_minor <= largest:
            return False
        if self.of == "balance":
            return True
        size, steps = original_minor, 0
        while size < size_minor:
            facts = ScalingFacts(
                today=None,
                since=None,
                profit_minor=0,
                payouts_paid=0,
                original_minor=original_minor,
                current_minor=size,
                balance_minor=size,
                steps=steps,
            )
            grown, steps = self.next_size(facts, currency), steps + 1
            if grown == size:
                return False
            size = grown
        return size == size_minor

    def next_balance(self, facts: ScalingFacts, size_minor: int) -> int:
        """Returns the balance after a step to `size_minor`."""
        return facts.balance_minor + size_minor - facts.current_minor if self.profit_stays else size_minor

    def due_on(self, since: date) -> date:
        """Returns the first day on which the next step is possible."""
        return month_later(since, self.every_months)

    def missing(self, facts: ScalingFacts, currency: str) -> tuple[str, ...]:
        """Returns what the next step still needs, each as a clause for people; empty: the step is possible."""
        wants: list[str] = []
        due = None if facts.since is None else self.due_on(facts.since)
        if due is not None and facts.today is not None and facts.today < due:
            wants.append(f"the account can grow from {due.isoformat()} on")
        if self.min_profit_pct and Decimal(facts.profit_minor) * 100 < self.min_profit_pct * facts.current_minor:
            wants.append(f"it needs a profit of {percent(self.min_profit_pct)} of its size since the last step")
        if facts.payouts_paid < self.min_payouts:
            needed = count(self.min_payouts, "payout")
            wants.append(f"it needs {needed} since the last step ({facts.payouts_paid} paid so far)")
        if facts.profitable_months < self.min_profitable_months:
            needed = count(self.min_profitable_months, "profitable month")
            wants.append(f"it needs {needed} since the last step ({facts.profitable_months} so far)")
        if self.next_size(facts, currency) == facts.current_minor:
            wants.append("the account already has the largest size")
        return tuple(wants)
