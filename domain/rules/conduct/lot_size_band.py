"""Lot size band: the size of every trade stays within a multiple of the first one."""

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event, Opened
from domain.rules.terms import RuleId
from domain.wording import number

Multiple = Annotated[ExactDecimal, Field(gt=0)]


class BandState(State):
    """`first`: the lots of the first position opened in the phase."""

    first: Decimal | None = None
    offences: int = 0


class LotSizeBand(ConductRule[BandState]):
    """The lots of every opening must be `min_multiple` to `max_multiple` times those of the first trade, inclusive."""

    type: Literal["lot_size_band"]
    id: RuleId = "lot_size_band"
    reference: Literal["first_trade"] = "first_trade"
    min_multiple: Multiple | None = None
    max_multiple: Multiple | None = None

    @model_validator(mode="after")
    def _band_holds_the_reference(self) -> Self:
        if self.min_multiple is None and self.max_multiple is None:
            raise ValueError("min_multiple, max_multiple: set at least one, or the rule forbids nothing")
        if (self.min_multiple or 1) > 1 or (self.max_multiple or 1) < 1:
            raise ValueError("min_multiple, max_multiple: the first trade itself must lie within the band")
        return self

    def start(self, context: Context) -> BandState:
        return BandState()

    def band(self, state: BandState) -> tuple[Decimal | None, Decimal | None]:
        """Returns the smallest and the largest number of lots allowed now; None: no such limit (yet)."""
        if state.first is None:
            return None, None
        low, high = self.min_multiple, self.max_multiple
        return low and low * state.first, high and high * state.first

    def step(self, state: BandState, event: Event, context: Context) -> tuple[BandState, tuple[Violation, ...]]:
        if not isinstance(event, Opened):
            return state, ()
        if state.first is None:
            return state.model_copy(update={"first": event.lots}), ()
        low, high = self.band(state)
        if (low is None or low <= event.lots) and (high is None or event.lots <= high):
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        sentence = f"A position of {number(event.lots)} lots was opened; the rule allows {_between(low, high)}."
        figures = {"lots": event.lots, "first_lots": state.first, "min_lots": low, "max_lots": high}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def words(self, context: Context) -> str:
        band = _between(self.min_multiple, self.max_multiple)
        words = f"Lot size. The size of every trade must be {band} times the lots of your first trade."
        return f"{words} {self.consequence_words}"


def _between(low: Decimal | None, high: Decimal | None) -> str:
    if low is not None and high is not None:
        return f"between {number(low)} and {number(high)}"
    return f"at least {number(low)}" if low is not None else f"at most {number(high or Decimal(0))}"
