"""A limit on how many positions are opened or closed within some minutes."""

from datetime import datetime, timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, Opened
from domain.rules.terms import RuleId
from domain.wording import count, instant

Counted = Literal["openings", "closes", "openings_and_closes"]

_WORDS: Final[dict[Counted, str]] = {
    "openings": "openings of positions",
    "closes": "closings of positions",
    "openings_and_closes": "openings and closings of positions",
}


class RateState(State):
    """`recent`: the last trades that count, oldest first, at most `limit` of them."""

    recent: tuple[datetime, ...] = ()
    offences: int = 0


class MaxTradeRate(ConductRule[RateState]):
    """Each trade beyond `limit` trades within `within_minutes` is an offence. Two trades exactly so far apart are not
    within that time. Adding to a position is an opening, closing a part is a closing; the venue's own closings do not
    count."""

    type: Literal["max_trade_rate"]
    id: RuleId = "max_trade_rate"
    limit: Annotated[int, Field(ge=1, le=1000)]
    within_minutes: Annotated[int, Field(ge=1, le=24 * 60)] = 1
    counts: Counted = "openings_and_closes"

    def start(self, context: Context) -> RateState:
        return RateState()

    def step(self, state: RateState, event: Event, context: Context) -> tuple[RateState, tuple[Violation, ...]]:
        if not isinstance(event, Opened | Closed) or not self._counts(event):
            return state, ()
        full = len(state.recent) >= self.limit
        recent = (*state.recent, event.at)[-self.limit :]
        if not full or event.at - state.recent[-self.limit] >= timedelta(minutes=self.within_minutes):
            return state.model_copy(update={"recent": recent}), ()
        first = state.recent[-self.limit]
        state = state.model_copy(update={"recent": recent, "offences": state.offences + 1})
        sentence = f"There were {self.limit + 1} {_WORDS[self.counts]} from {instant(first)} to {instant(event.at)}; at"
        sentence += f" most {self.limit} are allowed within {count(self.within_minutes, 'minute')}."
        figures = {"trades": self.limit + 1, "limit": self.limit, "first_at": first, "at": event.at}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def _counts(self, event: Opened | Closed) -> bool:
        if isinstance(event, Opened):
            return self.counts != "closes"
        return self.counts != "openings" and event.action != "dealer"

    def words(self, context: Context) -> str:
        words = f"Trade rate. At most {self.limit} {_WORDS[self.counts]} are allowed within"
        words += f" {count(self.within_minutes, 'minute')}. Adding to a position and closing a part of it count."
        return f"{words} {self.consequence_words}"
