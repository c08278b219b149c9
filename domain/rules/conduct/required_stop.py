"""Required stop: every position needs a stop loss (or a take profit), set in time, and close enough to the price."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Closed, Event, News, Opened, StopChanged, TakeProfitChanged
from domain.rules.holdings import ById
from domain.rules.positions.size_basis import SizeBasis, basis_after, figures, follows_events
from domain.rules.terms import LATER, NO_LIMIT, RuleId, Size
from domain.wording import capital, span

Required = Literal["stop", "take_profit", "both"]

_NAMES: Final[Mapping[Required, str]] = {
    "stop": "stop loss",
    "take_profit": "take profit",
    "both": "stop loss and take profit",
}


class Guarded(State):
    """An open position. `bare_since`: since when it has lacked what the rule requires; `told`: this is already counted
    as an offence. `has_stop` None: a state of an earlier version, which required a stop loss only."""

    position_id: str
    bare_since: datetime | None
    told: bool = False
    has_stop: bool | None = None
    has_target: bool = False


class StopState(State):
    """`waiting`: the positions that lack what is required and are no offence yet, with the time since when; None in
    a state of an earlier version."""

    positions: ById[Guarded] = ById[Guarded]()
    offences: int = 0
    waiting: dict[str, datetime] | None = None
    basis: SizeBasis = SizeBasis()


class RequiredStop(ConductRule[StopState]):
    """A position may be without what the rule requires for at most `grace_seconds`, after its opening and after each
    removal.

    `require`: a stop loss, a take profit, or both. `max_risk`: the largest loss that the stop may allow; judged where
    the source knows that loss. A percentage of the balance is one of the balance at that moment.
    """

    type: Literal["required_stop"]
    id: RuleId = "required_stop"
    grace_seconds: Annotated[int, Field(ge=0, le=24 * 3600)]
    max_risk: Size | None = None
    require: Annotated[Required, LATER] = "stop"

    @model_validator(mode="after")
    def _size_fits(self) -> Self:
        if self.max_risk is not None and self.max_risk.type == "pct_of_trade_value":
            raise ValueError("max_risk: the risk of a stop is no percentage of a trade's value; use another type")
        if self.max_risk is not None and self.require == "take_profit":
            raise ValueError("max_risk: only a stop loss limits the risk; require stop or both")
        return self

    def start(self, context: Context) -> StopState:
        return StopState(waiting={})

    def step(self, state: StopState, event: Event, context: Context) -> tuple[StopState, tuple[Violation, ...]]:
        if isinstance(event, News):
            return state, ()
        state, found = self._offences(state, self._overdue(state, event.at))
        if not isinstance(event, Opened | Closed | StopChanged | TakeProfitChanged):
            return self._followed(state, event, context), found
        state = self._after(state, event)
        if not self.grace_seconds:
            state, at_once = self._offences(state, tuple(_waiting(state)))
            found += at_once
        state, too_much = self._risk(state, event, context)
        return state, found + too_much

    def _followed(self, state: StopState, event: Event, context: Context) -> StopState:
        """Returns the state with the figures that `max_risk` is a percentage of."""
        basis = basis_after(state.basis, event, context.initial_minor)
        if basis is state.basis or not follows_events(self.max_risk):
            return state
        return state.model_copy(update={"basis": basis})

    def _overdue(self, state: StopState, at: datetime) -> tuple[str, ...]:
        late = [(since, name) for name, since in _waiting(state).items() if at > self._deadline(since)]
        return tuple(name for _, name in sorted(late, key=lambda entry: entry[0]))

    def _deadline(self, bare_since: datetime) -> datetime:
        return bare_since + timedelta(seconds=self.grace_seconds)

    def _after(self, state: StopState, event: Opened | Closed | StopChanged | TakeProfitChanged) -> StopState:
        """Returns the state with what the event says of its position."""
        known = state.positions.get(event.position_id)
        waiting = {name: since for name, since in _waiting(state).items() if name != event.position_id}
        if isinstance(event, Closed):
            if event.lots_left > 0 or known is None:
                return state
            return state.model_copy(
                update={"positions": state.positions.without(event.position_id), "waiting": waiting}
            )
        if known is None and not isinstance(event, Opened):
            return state
        has_stop, has_target = _has(known, event)
        if self._lacks(has_stop, has_target):
            # still lacking: the time goes on, and what was told is not told again
            since, told = (known.bare_since, known.told) if known and known.bare_since else (event.at, False)
        else:
            since, told = None, False
        if since is not None and not told:
            waiting[event.position_id] = since
        now = Guarded(
            position_id=event.position_id, bare_since=since, told=told, has_stop=has_stop, has_target=has_target
        )
        return state.model_copy(update={"positions": state.positions.with_(now), "waiting": waiting})

    def _lacks(self, has_stop: bool, has_target: bool) -> bool:
        return (self.require != "take_profit" and not has_stop) or (self.require != "stop" and not has_target)

    def _offences(self, state: StopState, bare: Iterable[str]) -> tuple[StopState, tuple[Violation, ...]]:
        found, positions, waiting = [], state.positions, dict(_waiting(state))
        for number, position_id in enumerate(bare, start=state.offences + 1):
            known, since = positions.get(position_id), waiting.pop(position_id)
            sentence = (
                f"Position {position_id} had no {self._lacked(known)} for more than {self.grace_seconds} seconds."
            )
            figures = {"bare_since": since, "grace_seconds": self.grace_seconds}
            found.append(self.offended(number, sentence, figures, (position_id,)))
            if known is not None:
                positions = positions.with_(known.model_copy(update={"told": True}))
        if not found:
            return state, ()
        update = {"positions": positions, "offences": state.offences + len(found), "waiting": waiting}
        return state.model_copy(update=update), tuple(found)

    def _lacked(self, known: Guarded | None) -> str:
        if self.require == "both" and known is not None and (known.has_stop or known.has_target):
            return _NAMES["take_profit"] if known.has_stop else _NAMES["stop"]
        return _NAMES[self.require]

    def max_risk_minor(self, state: StopState, balance_minor: int, context: Context) -> int | None:
        """Returns the largest loss that a stop may allow at this balance; None: any."""
        if self.max_risk is None:
            return None
        most = self.max_risk.minor_of(figures(state.basis, context, balance_minor), context.currency)
        return None if most == NO_LIMIT else most

    def _risk(
        self, state: StopState, event: Opened | Closed | StopChanged | TakeProfitChanged, context: Context
    ) -> tuple[StopState, tuple[Violation, ...]]:
        if not isinstance(event, Opened | StopChanged) or event.risk_minor is None:
            return state, ()
        most = self.max_risk_minor(state, event.balance_minor, context)
        if most is None or event.risk_minor <= most:
            return state, ()
        state = state.model_copy(update={"offences": state.offences + 1})
        risk, allowed = context.money(event.risk_minor), context.money(most)
        sentence = f"The stop loss of position {event.position_id} allows a loss of {risk}; the limit is {allowed}."
        figures = {"risk_minor": event.risk_minor, "max_risk_minor": most}
        return state, (self.offended(state.offences, sentence, figures, (event.position_id,)),)

    def due(self, state: StopState, context: Context) -> datetime | None:
        first = min(_waiting(state).values(), default=None)
        return None if first is None else self._deadline(first) + timedelta(microseconds=1)

    def words(self, context: Context) -> str:
        what = "a stop loss and a take profit" if self.require == "both" else f"a {_NAMES[self.require]}"
        words = f"{capital(_NAMES[self.require])}. Every position must have {what}"
        if self.grace_seconds:
            words += f" within {span(self.grace_seconds)} of opening, and again within that time after it is removed."
        else:
            words += " from the moment it is opened, for as long as it is open."
        if self.max_risk is not None:
            words += f" The stop loss must limit the loss to {context.size(self.max_risk)}."
        return f"{words} {self.consequence_words}"


def _waiting(state: StopState) -> Mapping[str, datetime]:
    if state.waiting is not None:
        return state.waiting
    return {p.position_id: p.bare_since for p in state.positions if p.bare_since is not None and not p.told}


def _has(known: Guarded | None, event: Opened | StopChanged | TakeProfitChanged) -> tuple[bool, bool]:
    """Returns whether the position has a stop loss and a take profit after the event. Adding to a position leaves it
    what it has."""
    has_stop = known is not None and (known.bare_since is None if known.has_stop is None else known.has_stop)
    has_target = known is not None and known.has_target
    if isinstance(event, StopChanged):
        return event.stop_price is not None, has_target
    if isinstance(event, TakeProfitChanged):
        return has_stop, event.take_profit is not None
    return has_stop or event.stop_price is not None, has_target or event.take_profit is not None
