"""Trades per day: a limit on the positions that are opened on one trading day."""

from typing import Annotated, Literal

from pydantic import Field

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event, Opened, Rolled
from domain.rules.terms import RuleId
from domain.wording import count


class TradesState(State):
    """`opened`: positions opened since the last reset."""

    opened: int = 0
    offences: int = 0


class MaxTradesPerDay(ConductRule[TradesState]):
    """Each position opened on one trading day beyond `limit` is an offence. Adding to a position opens none."""

    type: Literal["max_trades_per_day"]
    id: RuleId = "max_trades_per_day"
    limit: Annotated[int, Field(ge=0, le=100_000)]

    def start(self, context: Context) -> TradesState:
        return TradesState()

    def step(self, state: TradesState, event: Event, context: Context) -> tuple[TradesState, tuple[Violation, ...]]:
        if isinstance(event, Rolled) and event.purpose != "loss_snapshot" and state.opened:
            return state.model_copy(update={"opened": 0}), ()
        if not isinstance(event, Opened) or event.adds:
            return state, ()
        opened = state.opened + 1
        if opened <= self.limit:
            return state.model_copy(update={"opened": opened}), ()
        state = TradesState(opened=opened, offences=state.offences + 1)
        sentence = f"This was position {opened} opened on one trading day; the limit is {self.limit}."
        figures = {"opened": opened, "limit": self.limit}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def words(self, context: Context) -> str:
        words = f"Trades per day. You may open at most {count(self.limit, 'position')} on one trading day."
        return f"{words} Each further one is a separate offence. {self.consequence_words}"
