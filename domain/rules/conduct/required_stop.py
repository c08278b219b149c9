"""Required stop: every position needs a stop loss, set in time and close enough to the price."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, News, Opened, StopChanged
from domain.rules.terms import RuleId, Size


class Guarded(State):
    """An open position. `bare_since`: since when it has had no stop; `told`: this is already counted as an offence."""

    position_id: str
    bare_since: datetime | None
    told: bool = False


class StopState(State):
    positions: tuple[Guarded, ...] = ()
    offences: int = 0


class RequiredStop(ConductRule[StopState]):
    """A position may be without a stop loss for at most `grace_seconds`, after its opening and after each removal.

    `max_risk`: the largest loss that the stop may allow; judged where the source knows that loss.
    """

    type: Literal["required_stop"]
    id: RuleId = "required_stop"
    grace_seconds: Annotated[int, Field(ge=0, le=24 * 3600)]
    max_risk: Size | None = None

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.max_risk is not None and self.max_risk.type not in ("amount", "pct_of_initial"):
            raise ValueError("max_risk: the risk of one position is an amount or pct_of_initial")
        return self

    def start(self, context: Context) -> StopState:
        return StopState()

    def step(self, state: StopState, event: Event, context: Context) -> tuple[StopState, tuple[Violation, ...]]:
        if isinstance(event, News):
            return state, ()
        overdue = [p for p in state.positions if self._overdue(p, event.at)]
        state, found = self._offences(state, overdue)
        if not isinstance(event, Opened | Closed | StopChanged):
            return state, found
        state = state.model_copy(update={"positions": _positions_after(state.positions, event)})
        if not self.grace_seconds:
            state, at_once = self._offences(state, [p for p in state.positions if p.bare_since and not p.told])
            found += at_once
        state, too_much = self._risk(state, event, context)
        return state, found + too_much

    def _overdue(self, position: Guarded, at: datetime) -> bool:
        return not position.told and position.bare_since is not None and at > self._deadline(position.bare_since)

    def _deadline(self, bare_since: datetime) -> datetime:
        return bare_since + timedelta(seconds=self.grace_seconds)

    def _offences(self, state: StopState, bare: list[Guarded]) -> tuple[StopState, tuple[Violation, ...]]:
        if not bare:
            return state, ()
        found = []
        for number, position in enumerate(bare, start=state.offences + 1):
            sentence = f"Position {position.position_id} had no stop loss for more than {self.grace_seconds} seconds."
            figures = {"bare_since": position.bare_since, "grace_seconds": self.grace_seconds}
            found.append(self.offended(number, sentence, figures, (position.position_id,)))
        positions = tuple(p.model_copy(update={"told": True}) if p in bare else p for p in state.positions)
        return StopState(positions=positions, offences=state.offences + len(bare)), tuple(found)

    def _risk(
        self, state: StopState, event: Opened | Closed | StopChanged, context: Context
    ) -> tuple[StopState, tuple[Violation, ...]]:
        if self.max_risk is None or isinstance(event, Closed) or event.risk_minor is None:
            return state, ()
        most = self.max_risk.minor(initial=context.initial_minor, basis=0, currency=context.currency)
        if event.risk_minor <= most:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        risk, allowed = context.money(event.risk_minor), context.money(most)
        sentence = f"The stop loss of position {event.position_id} allows a loss of {risk}; the limit is {allowed}."
        figures = {"risk_minor": event.risk_minor, "max_risk_minor": most}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def due(self, state: StopState, context: Context) -> datetime | None:
        bare = [p.bare_since for p in state.positions if p.bare_since is not None and not p.told]
        return self._deadline(min(bare)) + timedelta(microseconds=1) if bare else None

    def words(self, context: Context) -> str:
        words = "Stop loss. Every position must have a stop loss"
        if self.grace_seconds:
            words += f" within {self.grace_seconds} seconds of opening, and again within that time after it is removed."
        else:
            words += " from the moment it is opened, for as long as it is open."
        if self.max_risk is not None:
            words += f" The stop loss must limit the loss to {context.size(self.max_risk)}."
        return f"{words} {self.consequence_words}"


def _positions_after(positions: tuple[Guarded, ...], event: Opened | Closed | StopChanged) -> tuple[Guarded, ...]:
    if isinstance(event, Closed):
        gone = event.lots_left <= 0
        return tuple(p for p in positions if not (gone and p.position_id == event.position_id))
    known = next((p for p in positions if p.position_id == event.position_id), None)
    if known is None and isinstance(event, StopChanged):
        return positions
    if event.stop_price is None and known is not None and (known.bare_since or isinstance(event, Opened)):
        # no change: still without a stop, or added to without changing its stop
        return positions
    now = Guarded(position_id=event.position_id, bare_since=event.at if event.stop_price is None else None)
    return (*(p for p in positions if p is not known), now)
