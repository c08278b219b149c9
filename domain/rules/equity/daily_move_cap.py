"""Daily move cap: equity may not move further than an allowance from the anchor of the day, down, up or both."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.equity.daily_loss import ANCHORS, Anchor, measured_words, reset_words
from domain.rules.floors import Direction, FloorSpec, WorthParts, allowance
from domain.rules.terms import RuleId, Size


class DailyMoveCap(EquityRule):
    """A floor below and a ceiling above the anchor. `breach_when` describes the floor; the ceiling mirrors it."""

    type: Literal["daily_move_cap"]
    id: RuleId = "daily_cap"
    anchor: Anchor
    allowance: Size
    directions: Annotated[tuple[Literal["down", "up"], ...], Field(min_length=1)]
    holds: WorthParts = WorthParts()

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.allowance.type not in ("amount", "pct_of_initial", "pct_of_anchor"):
            raise ValueError("allowance: a daily cap is an amount, pct_of_initial or pct_of_anchor")
        if len(set(self.directions)) != len(self.directions):
            raise ValueError("directions: name each direction once")
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
                **allowance(self.allowance, initial_minor, currency),
                operator=self.breach_when,
                direction=sides[direction],
                holds=self.holds,
            )
            for direction in self.directions
        )

    def words(self, context: Context) -> str:
        ways = " or ".join({"down": "lose", "up": "gain"}[direction] for direction in self.directions)
        words = f"Daily cap. From {reset_words(context)} you may {ways} at most"
        words += f" {measured_words(self.allowance, self.anchor, context)}"
        return f"{words}{self.holds.words} {self.breach_words(context)}"
