"""Daily move cap: equity may not move further than an allowance from the anchor of the day, down, up or both."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.clocks import PERIOD_WORDS, Period
from domain.rules.base import Context, EquityRule
from domain.rules.equity.allowances import allowance, allowance_problem
from domain.rules.equity.daily_loss import ANCHORS, Anchor, judged_words, measured_words, reset_words
from domain.rules.floors import Direction, FloorSpec, JudgedAt, WorthParts
from domain.rules.terms import LATER, RuleId, Size
from domain.wording import capital


class DailyMoveCap(EquityRule):
    """A floor below and a ceiling above the anchor. `breach_when` describes the floor; the ceiling mirrors it."""

    type: Literal["daily_move_cap"]
    id: RuleId = "daily_cap"
    anchor: Anchor
    allowance: Size
    directions: Annotated[tuple[Literal["down", "up"], ...], Field(min_length=1)]
    holds: WorthParts = WorthParts()
    period: Annotated[Period, LATER] = "day"
    judged_at: Annotated[JudgedAt, LATER] = "every_event"

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if problem := allowance_problem(self.allowance):
            raise ValueError(problem)
        if len(set(self.directions)) != len(self.directions):
            raise ValueError("directions: name each direction once")
        if self.anchor == "initial_balance" and self.period != "day":
            raise ValueError("period: an anchor that never moves has no period; remove it")
        return self

    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        source, moves = ANCHORS[self.anchor]
        sides: dict[str, Direction] = {"down": "floor", "up": "ceiling"}
        return tuple(
            FloorSpec(
                rule_id=self.id,
                rule_type=self.type,
                source=source,
                moves=moves,
                initial_minor=initial_minor,
                **allowance(self.allowance, initial_minor, currency, "pct_of_anchor"),
                operator=self.breach_when,
                direction=sides[direction],
                holds=self.holds,
                period=self.period,
                judged_at=self.judged_at,
            )
            for direction in self.directions
        )

    def words(self, context: Context) -> str:
        ways = " or ".join({"down": "lose", "up": "gain"}[direction] for direction in self.directions)
        words = f"{capital(PERIOD_WORDS[self.period])} cap. From {reset_words(context, self.period)} you may {ways}"
        words += f" at most {measured_words(self.allowance, self.anchor, context, self.period)}"
        return f"{words}{self.holds.words}{judged_words(self.judged_at)} {self.breach_words(context)}"
