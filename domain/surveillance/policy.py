"""The firm's surveillance policy: how strong a link must be, how long a hold may last, what follows an offence.

It is data: a change is proposed by one person, approved by another, and in force at once.
"""

import hashlib
import json
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain.states import StateMachine
from domain.surveillance.casework import ProposedAction

POLICY_CHANGE: Final = StateMachine(
    noun="change of the surveillance policy",
    initial="proposed",
    table={
        ("proposed", "approval_given"): "in_force",
        ("proposed", "proposal_rejected"): "rejected",
        ("proposed", "proposal_withdrawn"): "withdrawn",
    },
    transient=frozenset(),
)

Share = Annotated[Decimal, Field(ge=0, le=1)]
Days = Annotated[int, Field(ge=1, le=90)]
ANY: Final = "*"  # every product, every family


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Holds(_Part):
    """`strong_link`: from here on an alert may hold payouts. `weak_link`: below it an alert is only noted. Days are
    business days: `escalate_after` until a hold is raised to admin, `end_after` until it ends undecided."""

    strong_link: Share = Decimal("0.8")
    weak_link: Share = Decimal("0.3")
    escalate_after: Days = 2
    end_after: Days = 5

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.weak_link > self.strong_link:
            raise ValueError("weak_link: it is above strong_link; lower it")
        if self.escalate_after >= self.end_after:
            raise ValueError("escalate_after: the hold has ended by then; keep it below end_after")
        return self


class Samples(_Part):
    """`below_line`: share of the findings under their threshold that become cases all the same. `blind`: share of the
    cases whose score nobody sees before deciding."""

    below_line: Share = Decimal("0.02")
    blind: Share = Decimal("0.05")


class Grade(_Part):
    """What is proposed for the first, second, third offence; the last one counts for all later ones. `family` and
    `product`: * for any."""

    family: str = ANY
    product: str = ANY
    actions: Annotated[tuple[ProposedAction, ...], Field(min_length=1, max_length=5)]


_USUAL: Final = (Grade(actions=("warn", "deduct", "close")),)


class SurveillancePolicy(_Part):
    """`appeal_days`: how long a trader may appeal against an action. `thresholds`: pattern -> product (* for any) ->
    number by its name; what is missing is the pattern's default."""

    holds: Holds = Holds()
    samples: Samples = Samples()
    appeal_days: Days = 14
    grades: tuple[Grade, ...] = _USUAL
    thresholds: dict[str, dict[str, dict[str, Decimal]]] = {}

    @model_validator(mode="after")
    def _grades_cover_everything(self) -> Self:
        named = [(grade.family, grade.product) for grade in self.grades]
        if len(set(named)) != len(named):
            raise ValueError("grades: a family and product are named twice")
        if (ANY, ANY) not in named:
            raise ValueError("grades: one for any family and product is missing; add family * and product *")
        return self

    @cached_property
    def content_hash(self) -> str:
        body = json.dumps(self.model_dump(mode="json"), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(body.encode()).hexdigest()

    def action_for(self, family: str, product: str, offence: int) -> ProposedAction:
        """Returns what is proposed for the `offence`-th offence (1 is the first). The closest grade counts: one for the
        family and product, then for the product, then for the family, then for any."""
        by_name = {(grade.family, grade.product): grade for grade in self.grades}
        for wanted in ((family, product), (ANY, product), (family, ANY), (ANY, ANY)):
            if grade := by_name.get(wanted):
                return grade.actions[min(offence, len(grade.actions)) - 1]
        raise AssertionError("a policy has a grade for any family and product")

    def thresholds_of(self, pattern: str, product: str) -> dict[str, Decimal]:
        """Returns the numbers that differ from the pattern's default: those for any product, and those of this one."""
        of_pattern = self.thresholds.get(pattern, {})
        return {**of_pattern.get(ANY, {}), **of_pattern.get(product, {})}
