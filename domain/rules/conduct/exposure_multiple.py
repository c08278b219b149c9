"""Exposure multiple: the value or the margin of open positions is limited to a multiple of the account's money."""

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Annotated, Final, Literal, Self

from pydantic import Field, model_validator

from domain.money import ExactDecimal
from domain.rules.base import ConductRule, Context, Cure, State, Violation
from domain.rules.events import DayEnded, Event, News
from domain.rules.holdings import Holdings, held_after
from domain.rules.terms import RuleId
from domain.wording import number, times

_BASIS_WORDS: Final = {"balance": "balance", "equity": "equity", "initial": "initial balance"}


class MultipleState(State):
    """`over_since`: since when the limit is exceeded. `told`: this excess is already counted as an offence."""

    holdings: Holdings = ()
    over_since: datetime | None = None
    told: bool = False
    cured: int = 0
    offences: int = 0


class ExposureMultiple(ConductRule[MultipleState]):
    """The notional (or the margin: notional / leverage) of all open positions must not exceed `multiple` times the
    basis.

    A position of unknown value is left out. With `cure`, an excess that ends in time is no offence, a limited number
    of times.
    """

    type: Literal["exposure_multiple"]
    id: RuleId = "exposure_multiple"
    measure: Literal["notional", "margin"]
    leverage: Annotated[ExactDecimal, Field(gt=0)] | None = None
    multiple: Annotated[ExactDecimal, Field(gt=0)]
    basis: Literal["balance", "equity", "initial"] = "balance"
    cure: Cure | None = None

    @model_validator(mode="after")
    def _margin_has_leverage(self) -> Self:
        if (self.measure == "margin") != (self.leverage is not None):
            raise ValueError("leverage: margin is notional / leverage and needs it; notional has none")
        return self

    def start(self, context: Context) -> MultipleState:
        return MultipleState()

    def step(self, state: MultipleState, event: Event, context: Context) -> tuple[MultipleState, tuple[Violation, ...]]:
        if isinstance(event, News | DayEnded):
            return state, ()
        deadline = self._deadline(state)
        late = deadline is not None and event.at > deadline
        used_before = self.used_minor(state)
        holdings = held_after(state.holdings, event)
        state = state if holdings is state.holdings else state.model_copy(update={"holdings": holdings})
        limit = self._limit(event, context)
        if late:
            return self._after_late(state, used_before, limit, context)
        if limit is None:
            return state, ()
        if self.used_minor(state) <= limit:
            return self._within(state), ()
        if state.over_since is not None:
            return state, ()
        state = state.model_copy(update={"over_since": event.at})
        if self.cure is not None and state.cured < self.cure.times:
            return state, ()
        return self._offence(state, self.used_minor(state), limit, context)

    def _after_late(
        self, state: MultipleState, used: Decimal, limit: Decimal | None, context: Context
    ) -> tuple[MultipleState, tuple[Violation, ...]]:
        """The time of the cure ran out before this event, so the excess is an offence whatever the event does."""
        state, found = self._offence(state, used, limit, context)
        within = limit is not None and self.used_minor(state) <= limit
        return (self._within(state) if within else state), found

    def _within(self, state: MultipleState) -> MultipleState:
        if state.over_since is None:
            return state
        cured = state.cured + (not state.told)
        return state.model_copy(update={"over_since": None, "told": False, "cured": cured})

    def _offence(
        self, state: MultipleState, used: Decimal, limit: Decimal | None, context: Context
    ) -> tuple[MultipleState, tuple[Violation, ...]]:
        state = state.model_copy(update={"told": True, "offences": state.offences + 1})
        sentence = f"The {self.measure} of the open positions was {context.money(int(used))}, more than"
        sentence += f" {number(self.multiple)} times the {_BASIS_WORDS[self.basis]}"
        sentence += ", for longer than allowed." if self.cure and state.over_since else "."
        figures = {"used_minor": int(used), "limit_minor": limit if limit is None else int(limit)}
        ids = tuple(holding.position_id for holding in state.holdings)
        return state, (self.offended(state.offences, sentence, figures | {"over_since": state.over_since}, ids),)

    def used_minor(self, state: MultipleState) -> Decimal:
        """Returns the notional or the margin of the open positions, in (fractions of) minor units."""
        notional = Decimal(sum(holding.value_minor or 0 for holding in state.holdings))
        return notional / self.leverage if self.leverage is not None else notional

    def _limit(self, event: Event, context: Context) -> Decimal | None:
        money = {"balance": event.balance_minor, "equity": event.equity_minor, "initial": context.initial_minor}
        basis = money[self.basis]
        return None if basis is None else self.multiple * basis

    def _deadline(self, state: MultipleState) -> datetime | None:
        if self.cure is None or state.over_since is None or state.told:
            return None
        return state.over_since + timedelta(minutes=self.cure.minutes)

    def due(self, state: MultipleState, context: Context) -> datetime | None:
        deadline = self._deadline(state)
        return None if deadline is None else deadline + timedelta(microseconds=1)

    def words(self, context: Context) -> str:
        what = "total value"
        if self.leverage is not None:
            what = f"margin (total value divided by {number(self.leverage)})"
        words = f"Exposure. The {what} of your open positions must not exceed {number(self.multiple)} times your"
        words += f" {_BASIS_WORDS[self.basis]}."
        if self.cure is not None:
            words += f" It is no offence if you are back within the limit after {self.cure.minutes} minutes at most;"
            words += f" this is allowed {times(self.cure.times)}."
        return f"{words} {self.consequence_words}"
