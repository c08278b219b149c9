"""Exposure multiple: the value or the margin of open positions is limited to a multiple of the account's money."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal, half_up
from domain.rules.base import ConductRule, Context, Cure, State, Violation
from domain.rules.events import Closed, DayEnded, Event, News, Opened, StopChanged
from domain.rules.holdings import NOTHING_HELD, Holding, Holdings, held_after
from domain.rules.positions.exposure import (
    ACCOUNT,
    Only,
    Per,
    classes_words,
    counted_words,
    counts,
    in_words,
    limit_for,
    limit_words,
    moved,
    sum_of,
)
from domain.rules.terms import LATER, NO_LIMIT, RuleId
from domain.wording import number, span, times

Multiple = Annotated[ExactDecimal, Field(gt=0)]

_BASIS_WORDS: Final = {"balance": "balance", "equity": "equity", "initial": "initial balance"}


class Excess(State):
    """A sum has been above its limit since `since`. `told`: it is already counted as an offence."""

    since: datetime
    told: bool = False


class MultipleState(State):
    """`sums`: the value of what is open, by the name of the sum; None in a state of an earlier version. `over`: the
    sums above their limits. `largest_minor`: the largest value or margin so far."""

    holdings: Holdings = NOTHING_HELD
    sums: dict[str, int] | None = None
    over: dict[str, Excess] = Field(default_factory=dict)
    cured: int = 0
    offences: int = 0
    largest_minor: int = 0

    @model_validator(mode="before")
    @classmethod
    def _from_one_sum(cls, data: Any) -> Any:
        """Reads a state of an earlier version, which had one sum only."""
        if not isinstance(data, Mapping) or "over_since" not in data:
            return data
        kept = {name: value for name, value in data.items() if name not in ("over_since", "told")}
        since, told = data["over_since"], data.get("told", False)
        return kept | {"over": {} if since is None else {ACCOUNT: {"since": since, "told": told}}}


class ExposureMultiple(ConductRule[MultipleState]):
    """The notional (or the margin: notional / leverage) of open positions must not exceed `multiple` times the basis.

    `per`: one sum of the account, or a sum of each symbol or class, with one multiple for all or one by name (no limit
    for the others). `only`: the sum leaves all other positions out. A position of unknown value is left out. A sum is
    one offence each time it rises above its limit. With `cure`, an excess that ends in time is no offence, a limited
    number of times.
    """

    type: Literal["exposure_multiple"]
    id: RuleId = "exposure_multiple"
    measure: Literal["notional", "margin"]
    leverage: Annotated[ExactDecimal, Field(gt=0)] | None = None
    multiple: Multiple | Mapping[str, Multiple]
    basis: Literal["balance", "equity", "initial"] = "balance"
    cure: Cure | None = None
    per: Annotated[Per, LATER] = "account"
    classes: Annotated[Mapping[str, str], LATER] = Field(default_factory=dict)
    only: Annotated[Only | None, LATER] = None

    @model_validator(mode="after")
    def _margin_has_leverage(self) -> Self:
        if (self.measure == "margin") != (self.leverage is not None):
            raise ValueError("leverage: margin is notional / leverage and needs it; notional has none")
        if isinstance(self.multiple, Mapping) and (not self.multiple or self.per == "account"):
            raise ValueError("multiple: multiples by name need at least one name, and `per` symbol or class")
        return self

    def start(self, context: Context) -> MultipleState:
        return MultipleState(sums={})

    def step(self, state: MultipleState, event: Event, context: Context) -> tuple[MultipleState, tuple[Violation, ...]]:
        if isinstance(event, News | DayEnded):
            return state, ()
        before = self._sums(state)
        late = [name for name, excess in state.over.items() if self._is_late(excess, event.at)]
        state = self._after(state, before, event)
        basis = self._basis_minor(event, context)
        found: list[Violation] = []
        for name in sorted(late, key=lambda name: state.over[name].since):
            # the time of the cure ran out before this event, so it is an offence whatever the event does
            state, offence = self._offence(state, name, before.get(name, 0), basis, context)
            found.append(offence)
        for name in () if basis is None else sorted({*state.over, *self._sums(state)}):
            state, offences = self._compared(state, name, basis, event, context)
            found += offences
        return state, tuple(found)

    def _after(self, state: MultipleState, sums: Mapping[str, int], event: Event) -> MultipleState:
        """Returns the state with the positions and the sums after the event."""
        holdings = held_after(state.holdings, event)
        if holdings is state.holdings or not isinstance(event, Opened | Closed | StopChanged):
            return state
        taken = self._part(state.holdings.get(event.position_id))
        sums = moved(sums, taken, self._part(holdings.get(event.position_id)))
        largest = max(state.largest_minor, *(self.used_minor(value) for value in sums.values()), 0)
        return state.model_copy(update={"holdings": holdings, "sums": sums, "largest_minor": largest})

    def _part(self, holding: Holding | None) -> tuple[str, int] | None:
        if holding is None or not counts(holding, self.only) or holding.open_value_minor is None:
            return None
        return sum_of(holding.symbol, self.per, self.classes), holding.open_value_minor

    def _sums(self, state: MultipleState) -> Mapping[str, int]:
        if state.sums is not None:
            return state.sums
        sums: Mapping[str, int] = {}
        for holding in state.holdings:
            sums = moved(sums, None, self._part(holding))
        return sums

    def _compared(
        self, state: MultipleState, name: str, basis: int | None, event: Event, context: Context
    ) -> tuple[MultipleState, tuple[Violation, ...]]:
        limit, excess = self._limit_minor(name, basis), state.over.get(name)
        value = self._sums(state).get(name)
        if limit is None or value is None or self.used_minor(value) <= limit:
            return (state if excess is None else self._within(state, name, excess)), ()
        if excess is not None:
            return state, ()
        state = state.model_copy(update={"over": {**state.over, name: Excess(since=event.at)}})
        curing = sum(not one.told for one in state.over.values())
        if self.cure is not None and state.cured + curing <= self.cure.times:
            return state, ()
        state, offence = self._offence(state, name, value, basis, context)
        return state, (offence,)

    def _within(self, state: MultipleState, name: str, excess: Excess) -> MultipleState:
        over = {other: one for other, one in state.over.items() if other != name}
        return state.model_copy(update={"over": over, "cured": state.cured + (not excess.told)})

    def _offence(
        self, state: MultipleState, name: str, value: int, basis: int | None, context: Context
    ) -> tuple[MultipleState, Violation]:
        excess, used, limit = state.over[name], self.used_minor(value), self._limit_minor(name, basis)
        over = {**state.over, name: excess.model_copy(update={"told": True})}
        state = state.model_copy(update={"over": over, "offences": state.offences + 1})
        multiple = limit_for(self.multiple, name)
        sentence = f"The {self.measure} of the open positions{in_words(self.per, name)} was {context.money(used)},"
        sentence += f" more than {number(multiple or Decimal(0))} times the {_BASIS_WORDS[self.basis]}"
        sentence += ", for longer than allowed." if self.cure else "."
        figures: dict[str, Any] = {"used_minor": used, "limit_minor": limit, "over_since": excess.since}
        figures |= {} if self.per == "account" else {"per": name}
        ids = tuple(h.position_id for h in state.holdings if (part := self._part(h)) and part[0] == name)
        return state, self.offended(state.offences, sentence, figures, ids)

    def used_minor(self, value_minor: int) -> int:
        """Returns the value or the margin of a sum in minor units."""
        return value_minor if self.leverage is None else half_up(Decimal(value_minor) / self.leverage)

    def used(self, state: MultipleState) -> int:
        """Returns the largest value or margin of a sum now, in minor units."""
        return max((self.used_minor(value) for value in self._sums(state).values()), default=0)

    def _basis_minor(self, event: Event, context: Context) -> int | None:
        money = {"balance": event.balance_minor, "equity": event.equity_minor, "initial": context.initial_minor}
        return money[self.basis]

    def _limit_minor(self, name: str, basis: int | None) -> int | None:
        multiple = limit_for(self.multiple, name)
        return None if multiple is None or basis is None else half_up(multiple * basis)

    def _is_late(self, excess: Excess, at: datetime) -> bool:
        return self.cure is not None and not excess.told and at > excess.since + timedelta(minutes=self.cure.minutes)

    @property
    def follows_equity(self) -> bool:
        return self.basis == "equity"

    def equity_range(self, state: MultipleState) -> tuple[int, int]:
        least, most = -NO_LIMIT, NO_LIMIT
        for name, value in self._sums(state).items():
            multiple = limit_for(self.multiple, name)
            if multiple is None:
                continue
            level = int(self.used_minor(value) / multiple)  # above its limit at an equity of about this, or less
            least, most = (least, min(most, level - 1)) if name in state.over else (max(least, level + 2), most)
        return least, most

    def due(self, state: MultipleState, context: Context) -> datetime | None:
        waiting = [excess.since for excess in state.over.values() if not excess.told]
        if self.cure is None or not waiting:
            return None
        return min(waiting) + timedelta(minutes=self.cure.minutes, microseconds=1)

    def words(self, context: Context) -> str:
        what = "total value"
        if self.leverage is not None:
            what = f"margin (total value divided by {number(self.leverage)})"
        words = f"Exposure. The {what} of your {counted_words(self.per, self.only)} must not exceed"
        words += f" {limit_words(self.multiple, f' times your {_BASIS_WORDS[self.basis]}')}."
        words += " There is no limit for any other." if isinstance(self.multiple, Mapping) else ""
        words += classes_words(self.classes)
        if self.cure is not None:
            words += f" It is no offence if you are back within the limit after {span(60 * self.cure.minutes)} at most;"
            words += f" this is allowed {times(self.cure.times)}."
        return f"{words} {self.consequence_words}"
