"""Static maximum loss: the floor is the initial balance minus an allowance, and moves only in steps."""

from collections.abc import Iterator
from typing import Annotated, Literal, Self

from pydantic import model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.equity.after_payout import SETTLES, FloorAfterPayout, payout_words
from domain.rules.equity.allowances import allowance, allowance_problem
from domain.rules.equity.daily_loss import judged_words
from domain.rules.floors import FloorSpec, JudgedAt, WorthParts
from domain.rules.terms import LATER, FloorStep, MovingSize, RuleId, Size, Terms


class Step(Terms):
    """Once `when` is at least the initial balance plus `reaches`, the floor is for good `anchor` (the initial balance,
    or the figure that reached it) minus the allowance. Of several reached, the last one counts."""

    when: Literal["balance", "equity"]
    reaches: Size
    anchor: Literal["initial", "reached"] = "initial"
    allowance: Size

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.reaches.type not in ("amount", "pct_of_initial") or not self.reaches.is_plain:
            raise ValueError("reaches: a step is reached at an amount or pct_of_initial above the initial balance")
        if problem := allowance_problem(self.allowance):
            raise ValueError(problem)
        return self


class MaxLossStatic(EquityRule):
    """Equity may not fall below the initial balance minus the allowance."""

    type: Literal["max_loss_static"]
    id: RuleId = "max_loss"
    allowance: Size
    holds: WorthParts = WorthParts()
    payout_effect: FloorAfterPayout = "unchanged"
    steps: Annotated[tuple[Step, ...], LATER] = ()
    judged_at: Annotated[JudgedAt, LATER] = "every_event"

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if problem := allowance_problem(self.allowance):
            raise ValueError(problem)
        return self

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        yield from super().problems(context)
        (spec,) = self.compile(context.initial_minor, context.currency)
        if any(step.reaches_minor <= context.initial_minor for step in spec.steps):
            yield "steps", "a step is reached from the start; raise what it reaches, or remove it"

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
                steps=tuple(_compiled(step, initial_minor, currency) for step in self.steps),
                judged_at=self.judged_at,
            ),
        )

    def words(self, context: Context) -> str:
        (spec,) = self.compile(context.initial_minor, context.currency)
        size = context.size(self.allowance)
        words = f"Maximum loss. Your equity may fall at most {size} below the initial balance"
        if spec.allowance_minor is not None:
            words += f": the floor is {context.money(context.initial_minor - spec.allowance_minor)}"
        words += "." + "".join(
            _step_words(step, level, context) for step, level in zip(self.steps, spec.steps, strict=True)
        )
        if len(self.steps) > 1:
            words += " Of several reached, the last one in this list counts."
        words += payout_words(spec, context.currency)
        return f"{words}{self.holds.words}{judged_words(self.judged_at)} {self.breach_words(context)}"


def _compiled(step: Step, initial_minor: int, currency: str) -> FloorStep:
    above = step.reaches.minor(initial=initial_minor, basis=initial_minor, currency=currency)
    return FloorStep(step.when, initial_minor + above, step.anchor, MovingSize(step.allowance, currency))


def _step_words(step: Step, level: FloorStep, context: Context) -> str:
    base = "the initial balance" if step.anchor == "initial" else f"the {step.when} that reached it"
    size = context.size(step.allowance, anchor=base)
    reached = f"Once your {step.when} reaches {context.money(level.reaches_minor)}"
    return f" {reached}, the floor is for good {size} below {base}."
