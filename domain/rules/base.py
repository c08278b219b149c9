"""What every rule type is made of: sizes, consequences, the context a rule binds in, and the three families.

- An `EquityRule` puts a floor (or a ceiling) on an account's worth. It compiles to a `FloorSpec`; `domain.rules.floors`
  judges it exactly, the monitor judges the same spec on columns.
- A `ConductRule` folds over the account's events and finds violations.
- A `Gate` folds over the same events and says whether a pass or a payout may go ahead.

A rule type is one module in `equity/`, `conduct/` or `gates/`: its schema, its exact evaluator, its words. The registry
finds it there. States are frozen pydantic models, so that a checkpoint can keep them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, Protocol, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from domain.clocks import Clock
from domain.money import from_minor, to_minor
from domain.rules.events import Event
from domain.rules.floors import FloorSpec
from domain.rules.terms import Operator, RuleId, Size, Terms, Where

ConsequenceKind = Literal["fail", "pause_until_reset", "close_position", "deduct_profit", "review", "warn"]


class Consequence(Terms):
    """What one offence leads to.

    fail: the phase ends. pause_until_reset: flattened and disabled until the next reset of the trading day.
    close_position: the offending positions are closed, nothing else. deduct_profit: their profit does not count (losses
    do). review: a person decides. warn: it is recorded and told.
    """

    kind: ConsequenceKind


FAIL = Consequence(kind="fail")

_FOLLOWS: Final[dict[ConsequenceKind, str]] = {
    "fail": "the account is closed",
    "pause_until_reset": "positions are closed and trading is paused until the next reset",
    "close_position": "the position is closed",
    "deduct_profit": "the profit made that way does not count",
    "review": "a person looks at it",
    "warn": "you are warned",
}


def follows(consequences: tuple[Consequence, ...]) -> str:
    """What offences lead to, as a sentence."""
    named = [_FOLLOWS[consequence.kind] for consequence in consequences]
    if len(named) == 1:
        return f"Then {named[0]}."
    told, first = [], 1
    for number, what in enumerate(named[:-1], start=1):
        if what != named[number]:
            told.append(f"offence {number}: {what}" if first == number else f"offences {first} to {number}: {what}")
            first = number + 1
    return f"What follows: {'; '.join([*told, f'from offence {first} on: {named[-1]}'])}."


class Cure(Terms):
    """A violation that is gone again within `minutes` does not count, at most `times` times in a phase."""

    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    times: Annotated[int, Field(ge=1, le=100)] = 1


class VenueCalendar(Protocol):
    """The sessions of a venue that has holidays and early closes (instants in UTC)."""

    def close_on(self, day: date) -> datetime | None:
        """When the session of local date `day` ends; None on a day without one."""
        ...

    def next_open(self, after: datetime) -> datetime:
        """The first session opening strictly after `after`."""
        ...


def spoken(size: Size, context: "Context") -> str:
    """A size for people: "5,000.00 USD", "5 % of the initial balance (5,000.00 USD)"."""
    if size.type == "amount":
        return said(to_minor(size.value, context.currency), context.currency)
    percent = f"{size.value.normalize():f} %"
    if size.type == "pct_of_initial":
        minor = size.minor(initial=context.initial_minor, basis=0, currency=context.currency)
        return f"{percent} of the initial balance ({said(minor, context.currency)})"
    return f"{percent} of the {size.type.removeprefix('pct_of_').replace('_', ' ')}"


def said(minor: int, currency: str) -> str:
    """Minor units for people: "5,000.00 USD"."""
    return f"{from_minor(minor, currency):,f} {currency}"


@dataclass(frozen=True, slots=True)
class Context:
    """Where a rule binds: shared by all accounts of one phase of one product version.

    `phase`: the phase's kind. `calendars`: by venue name. `clocks` has the trading day under "trading_day", and other
    purposes where the product sets them apart. `target_minor`: the profit that reaches the phase's target, where it has
    one.
    """

    initial_minor: int
    currency: str
    clock: Clock
    phase: Literal["evaluation", "funded"] = "evaluation"
    account_type: str = "standard"
    loss_clock: Clock | None = None
    calendars: Mapping[str, VenueCalendar] = field(default_factory=dict)
    target_minor: int | None = None


class RuleBase(Terms):
    """`type` names the module's rule type; `id` the rule within its phase."""

    type: str
    id: RuleId

    @property
    def path(self) -> Where:
        return (self.type,)

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        """(field, what is wrong and the remedy) where the rule contradicts the account it is for."""
        yield from ()

    @abstractmethod
    def words(self, context: Context) -> str:
        """The rule as the trader reads it: plain sentences generated from the definition, amounts in money."""


class BindingRule(RuleBase):
    """A rule that can be broken. `consequences[n]` is what offence n+1 leads to; the last repeats."""

    consequences: Annotated[tuple[Consequence, ...], Field(min_length=1)] = (FAIL,)

    def consequence(self, offence: int) -> Consequence:
        """What offence number `offence` (from 1) leads to; the last one repeats."""
        return self.consequences[min(max(offence, 1), len(self.consequences)) - 1]


class EquityRule(BindingRule):
    """A floor under (or a ceiling over) an account's worth."""

    breach_when: Operator
    cure: Cure | None = None

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        for spec in self.compile(context.initial_minor, context.currency)[:1]:
            if not 0 < spec.allowance(context.initial_minor) < context.initial_minor:
                yield "allowance", "the allowance must lie between zero and the initial balance"

    def when_broken(self, context: Context) -> str:
        """The last sentence of the rule's words: when it is broken and what follows."""
        told = "The rule is broken as soon as your equity stands beyond the limit; exactly at it you are still within."
        if self.breach_when == "equity <= floor":
            told = "The rule is broken as soon as your equity reaches the limit: exactly at it is broken already."
        if self.cure:
            times = "once" if self.cure.times == 1 else f"{self.cure.times} times"
            told += f" Being back within it in {self.cure.minutes} minutes is no offence, {times} in a phase."
        return f"{told} {follows(self.consequences)}"

    @abstractmethod
    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        """The floors that the rule means for an account that starts with `initial_minor`; one, or one per direction."""


class State(BaseModel):
    """Where a rule stands on one account."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Violation:
    """One offence against a conduct rule, at one event. `figures` are what the proof shows: minor units as int,
    instants as datetime, ratios and lots as Decimal."""

    rule_id: str
    offence: int
    consequence: Consequence
    sentence: str
    figures: Mapping[str, Any]
    position_ids: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GateStatus:
    """`outcome` is the gate's own word (satisfied, blocked, target_raised, met, not_met); `sentence` says why."""

    met: bool
    outcome: str
    sentence: str
    figures: Mapping[str, Any]


class HistoryRule(RuleBase, Generic[S]):
    """A rule that judges what has happened, event by event."""

    @abstractmethod
    def start(self, context: Context) -> S:
        """Where the rule stands before anything has happened."""

    @abstractmethod
    def step(self, state: S, event: Event, context: Context) -> tuple[S, tuple[Violation, ...]]:
        """The state after `event`, and the offences it is. Pure; `state` itself when nothing moved."""

    def due(self, state: S, context: Context) -> datetime | None:
        """The next instant at which time alone may decide: a `Clocked` event at or after it must be stepped."""
        return None


class ConductRule(HistoryRule[S], BindingRule):
    """A rule on how the account is traded."""

    def offended(
        self, offence: int, sentence: str, figures: Mapping[str, Any], position_ids: tuple[str, ...] = ()
    ) -> Violation:
        """Offence number `offence` (from 1) with its consequence."""
        return Violation(self.id, offence, self.consequence(offence), sentence, figures, position_ids)

    def deducted_minor(self, state: S, context: Context) -> int:
        """Profit made so far that does not count under this rule; never negative."""
        return 0


class Gate(HistoryRule[S]):
    """`blocks`: what may not go ahead while the gate is not met. `judges_running_day`: it also binds what the day has made
    so far, or a large day could be passed or paid out before it ends; a gate that counts days waits for their end."""

    judges_running_day: ClassVar[bool] = False

    blocks: Annotated[tuple[Literal["pass", "payout"], ...], Field(min_length=1)] = ("payout",)

    @property
    def held_back(self) -> str:
        """What the gate holds back, for people: "a payout", "moving up"."""
        return " and ".join({"pass": "moving up", "payout": "a payout"}[what] for what in dict.fromkeys(self.blocks))

    @abstractmethod
    def status(self, state: S, context: Context) -> GateStatus:
        """Whether the gate is met now."""

    def raised_target(self, state: S, context: Context, target_minor: int) -> int:
        """The profit that the phase asks for, given that it asked for `target_minor` before this gate."""
        return target_minor

    def deducted_minor(self, state: S, context: Context) -> int:
        """The profit that does not count, neither for a pass nor for a payout."""
        return 0
