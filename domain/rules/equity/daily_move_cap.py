"""Daily move cap: the account may not move further than an allowance from the day's anchor, down, up or both ways."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import Context, EquityRule
from domain.rules.equity.daily_loss import ANCHOR_WORDS, ANCHORS, Anchor, allowed
from domain.rules.floors import Direction, FloorSpec, Holds, allowance
from domain.rules.terms import RuleId, Size


class DailyMoveCap(EquityRule):
    """A floor below and a ceiling above the anchor; `breach_when` is said of the floor, a ceiling mirrors it."""

    type: Literal["daily_move_cap"]
    id: RuleId = "daily_cap"
    anchor: Anchor
    allowance: Size
    directions: Annotated[tuple[Literal["down", "up"], ...], Field(min_length=1)]
    holds: Holds = Holds()

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
        reset = (context.loss_clock or context.clock).spoken
        ways = " or ".join({"down": "lose", "up": "gain"}[direction] for direction in self.directions)
        most = allowed(self.allowance, self.anchor, context)
        told = f"Daily cap. From reset to reset ({reset}) you may {ways} {most}, counted from"
        told += f" {ANCHOR_WORDS[self.anchor]}; before the first reset, from the initial balance."
        return f"{told}{self.holds.words} {self.when_broken(context)}"
