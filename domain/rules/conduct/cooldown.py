"""Cooldown: after a trade is closed, the next position may be opened only after some minutes."""

from datetime import datetime, timedelta
from typing import Annotated, Literal

from pydantic import Field

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, Opened
from domain.rules.terms import RuleId
from domain.wording import count, instant


class CooldownState(State):
    """`made`: the result so far of each open position that was closed in part, by its id, if the rule asks for
    results."""

    closed_at: datetime | None = None
    made: dict[str, int] = Field(default_factory=dict)
    offences: int = 0


class Cooldown(ConductRule[CooldownState]):
    """Each position opened less than `minutes` after the last close is an offence. Adding to an open one is none.

    `after`: any close, or only the close of a position that lost money in all. A position is closed when nothing of it
    is left.
    """

    type: Literal["cooldown"]
    id: RuleId = "cooldown"
    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    after: Literal["close", "losing_close"] = "close"

    def start(self, context: Context) -> CooldownState:
        return CooldownState()

    def step(self, state: CooldownState, event: Event, context: Context) -> tuple[CooldownState, tuple[Violation, ...]]:
        if isinstance(event, Closed):
            return self._closed(state, event), ()
        if not isinstance(event, Opened) or event.adds or state.closed_at is None:
            return state, ()
        allowed = state.closed_at + timedelta(minutes=self.minutes)
        if event.at >= allowed:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        sentence = f"A position in {event.symbol} was opened at {instant(event.at)}; the next one was allowed from"
        sentence += f" {instant(allowed)} on."
        figures = {"closed_at": state.closed_at, "opened_at": event.at, "allowed_from": allowed}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def _closed(self, state: CooldownState, event: Closed) -> CooldownState:
        if self.after == "close":
            return state if event.lots_left > 0 else state.model_copy(update={"closed_at": event.at})
        made = state.made.get(event.position_id, 0) + event.pnl_minor
        others = {position: minor for position, minor in state.made.items() if position != event.position_id}
        if event.lots_left > 0:
            return state.model_copy(update={"made": {**others, event.position_id: made}})
        closed_at = event.at if made < 0 else state.closed_at
        return state.model_copy(update={"made": others, "closed_at": closed_at})

    def words(self, context: Context) -> str:
        closed = "a position" if self.after == "close" else "a losing position"
        words = (
            f"Cooldown. After {closed} is closed, wait {count(self.minutes, 'minute')} before you open the next one."
        )
        return f"{words} You may add to a position that is open. {self.consequence_words}"
