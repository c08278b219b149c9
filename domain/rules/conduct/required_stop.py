"""Required stop: every position has a stop loss, soon enough and near enough."""

from datetime import datetime, timedelta
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import ConductRule, Context, State, Violation, follows, said, spoken
from domain.rules.events import Closed, Event, News, Opened, StopChanged
from domain.rules.terms import RuleId, Size


class Guarded(State):
    """An open position. `bare_since`: when it was last left without a stop; `told`: that is an offence already."""

    position_id: str
    bare_since: datetime | None
    told: bool = False


class StopState(State):
    positions: tuple[Guarded, ...] = ()
    offences: int = 0


class RequiredStop(ConductRule[StopState]):
    """A position may be without a stop loss for `grace_seconds`, at its opening and after each removal.

    `max_risk`: the most that its stop may let it lose; judged where the source knows that loss.
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
        state, found = self._tell(state, overdue)
        if not isinstance(event, Opened | Closed | StopChanged):
            return state, found
        state = state.model_copy(update={"positions": _positions_after(state.positions, event)})
        if not self.grace_seconds:
            state, at_once = self._tell(state, [p for p in state.positions if p.bare_since and not p.told])
            found += at_once
        state, too_much = self._risk(state, event, context)
        return state, found + too_much

    def _overdue(self, position: Guarded, at: datetime) -> bool:
        return not position.told and position.bare_since is not None and at > self._deadline(position.bare_since)

    def _deadline(self, bare_since: datetime) -> datetime:
        return bare_since + timedelta(seconds=self.grace_seconds)

    def _tell(self, state: StopState, bare: list[Guarded]) -> tuple[StopState, tuple[Violation, ...]]:
        if not bare:
            return state, ()
        found = []
        for number, position in enumerate(bare, start=state.offences + 1):
            sentence = f"Position {position.position_id} had no stop loss {self.grace_seconds} seconds long."
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
        risk, allowed = said(event.risk_minor, context.currency), said(most, context.currency)
        sentence = f"The stop of position {event.position_id} lets it lose {risk}; allowed is {allowed}."
        figures = {"risk_minor": event.risk_minor, "max_risk_minor": most}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def due(self, state: StopState, context: Context) -> datetime | None:
        bare = [p.bare_since for p in state.positions if p.bare_since is not None and not p.told]
        return self._deadline(min(bare)) + timedelta(microseconds=1) if bare else None

    def words(self, context: Context) -> str:
        when = (
            f"within {self.grace_seconds} seconds of opening" if self.grace_seconds else "from the moment it is opened"
        )
        told = f"Stop loss. Every position has a stop loss {when}"
        told += ", and again as soon after a removal." if self.grace_seconds else ", for as long as it is open."
        if self.max_risk is not None:
            told += f" The stop may let it lose no more than {spoken(self.max_risk, context)}."
        return f"{told} {follows(self.consequences)}"


def _positions_after(positions: tuple[Guarded, ...], event: Opened | Closed | StopChanged) -> tuple[Guarded, ...]:
    if isinstance(event, Closed):
        gone = event.lots_left <= 0
        return tuple(p for p in positions if not (gone and p.position_id == event.position_id))
    known = next((p for p in positions if p.position_id == event.position_id), None)
    if known is None and isinstance(event, StopChanged):
        return positions
    if event.stop_price is None and known is not None and (known.bare_since or isinstance(event, Opened)):
        # nothing new: still bare, or added to without touching the stop it has
        return positions
    now = Guarded(position_id=event.position_id, bare_since=event.at if event.stop_price is None else None)
    return (*(p for p in positions if p is not known), now)
