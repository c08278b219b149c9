"""The base classes of rule types: consequences, the context of a rule, and the three families.

- An `EquityRule` sets a floor (or a ceiling) for the worth of an account. It compiles to `FloorSpec`s, which
  `domain.rules.floors` judges exactly and the monitor judges on columns.
- A `ConductRule` folds over the events of the account and finds violations.
- A `Gate` folds over the same events and says whether a pass or a payout may go ahead.

A rule type is one module in `equity/`, `conduct/` or `gates/`: its schema, its exact evaluator and its words. The
registry finds it there. Rule states are frozen pydantic models, so that checkpoints can store them.
"""

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Annotated, Any, ClassVar, Final, Generic, Literal, Protocol, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from domain import wording
from domain.clocks import Clock
from domain.money import ExactDecimal
from domain.rules.events import Event
from domain.rules.floors import FloorSpec
from domain.rules.terms import ANCHOR, LATER, NO_LIMIT, PEAK, Operator, RuleId, Size, Terms, Where, size_words

ConsequenceKind = Literal[
    "fail", "pause_until_reset", "close_position", "deduct_profit", "lower_split", "reset_balance", "review", "warn"
]


class Consequence(Terms):
    """The consequence of one offence.

    fail: the phase ends. pause_until_reset: all positions are closed and trading is disabled until the next reset of
    the trading day. close_position: only the offending positions are closed. deduct_profit: what each of them makes in
    all does not count if it is a profit. lower_split: the trader's share of later payouts becomes `split_pct`.
    reset_balance: all positions are closed, and the balance becomes the initial balance again. review: a person
    decides. warn: the offence is recorded and the trader is warned.
    """

    kind: ConsequenceKind
    split_pct: Annotated[ExactDecimal | None, Field(ge=0, le=100), LATER] = None

    @model_validator(mode="after")
    def _share_belongs_to_its_kind(self) -> Self:
        if self.kind == "lower_split" and self.split_pct is None:
            raise ValueError("split_pct: say what the trader's share becomes, in percent")
        if self.kind != "lower_split" and self.split_pct is not None:
            raise ValueError("split_pct: it needs the consequence lower_split; change the kind or remove split_pct")
        return self

    @property
    def words(self) -> str:
        """The consequence as a clause: "the account is closed"."""
        if self.split_pct is not None:
            return f"your share of later payouts becomes {wording.percent(self.split_pct)}"
        return _CONSEQUENCE_WORDS[self.kind]


_CONSEQUENCE_WORDS: Final[dict[ConsequenceKind, str]] = {
    "fail": "the account is closed",
    "pause_until_reset": "all positions are closed and trading is paused until the next reset",
    "close_position": "the position is closed",
    "deduct_profit": "the profit made that way is deducted",
    "reset_balance": "all positions are closed and the balance becomes the initial balance again",
    "review": "a person reviews it",
    "warn": "you receive a warning",
}


FAIL = Consequence(kind="fail")


def _consequence_words(consequences: tuple[Consequence, ...]) -> str:
    """Returns the consequences of the offences as a sentence, equal ones in a row together."""
    named = [consequence.words for consequence in consequences]
    if len(named) == 1:
        return f"Consequence: {named[0]}."
    parts, first = [], 1
    for offence, words in enumerate(named[:-1], start=1):
        if words != named[offence]:
            which = f"offence {offence}" if first == offence else f"offences {first} to {offence}"
            parts.append(f"{which}: {words}")
            first = offence + 1
    return f"Consequences: {'; '.join([*parts, f'from offence {first} on: {named[-1]}'])}."


class Cure(Terms):
    """A violation that ends within `minutes` does not count, at most `times` times in a phase."""

    minutes: Annotated[int, Field(ge=1, le=24 * 60)]
    times: Annotated[int, Field(ge=1, le=100)] = 1


class VenueCalendar(Protocol):
    """The sessions of a venue with holidays and early closes (instants in UTC). What follows from one is found once, so
    it is hashable."""

    def __hash__(self) -> int: ...

    def close_on(self, day: date) -> datetime | None:
        """Returns the end of the session of local date `day`; None on a day without one."""
        ...

    def next_open(self, after: datetime) -> datetime:
        """Returns the first session opening strictly after `after`."""
        ...

    def closes_early(self, day: date) -> bool:
        """Whether the session of local date `day` ends earlier than usual."""
        ...


@dataclass(frozen=True, slots=True)
class Context:
    """What a rule knows about its account. All accounts of one phase of one product version share it.

    `clock` ends the trading day; `loss_clock` is set where anchors and end-of-day peaks follow another clock.
    `calendars`: by venue name. `target_minor`: the profit that reaches the target of the phase; None without a target.
    """

    initial_minor: int
    currency: str
    clock: Clock
    phase: Literal["evaluation", "funded"] = "evaluation"
    account_type: str = "standard"
    loss_clock: Clock | None = None
    calendars: Mapping[str, VenueCalendar] = field(default_factory=dict)
    target_minor: int | None = None

    def money(self, minor: int) -> str:
        """Returns minor units for people: "5,000.00 USD"."""
        return wording.money(minor, self.currency)

    def size(self, size: Size, *, anchor: str = ANCHOR, peak: str = PEAK) -> str:
        """Returns a size for people: "5,000.00 USD", "5 % of the initial balance (5,000.00 USD)". `anchor`, `peak`: the
        rule's own, in words."""
        return size_words(size, self.initial_minor, self.currency, anchor=anchor, peak=peak)


class RuleBase(Terms):
    """`type` is the rule type of the module; `id` identifies the rule within its phase."""

    type: str
    id: RuleId

    @property
    def path(self) -> Where:
        return (self.type,)

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        """Yields (field, problem and remedy) for each contradiction between the rule and its account."""
        yield from ()

    @abstractmethod
    def words(self, context: Context) -> str:
        """Returns the rule as the trader reads it: sentences generated from the definition, sizes as amounts."""


class BindingRule(RuleBase):
    """A rule that can be broken. `consequences[n]` is the consequence of offence n+1; the last one repeats."""

    consequences: Annotated[tuple[Consequence, ...], Field(min_length=1)] = (FAIL,)

    def consequence(self, offence: int) -> Consequence:
        """Returns the consequence of offence number `offence` (from 1)."""
        return self.consequences[min(max(offence, 1), len(self.consequences)) - 1]

    @property
    def consequence_words(self) -> str:
        """The consequences as a sentence: "Consequence: the account is closed."."""
        return _consequence_words(self.consequences)


class EquityRule(BindingRule):
    """A floor (or a ceiling) for the worth of an account."""

    size_field: ClassVar[str] = "allowance"  # the field with the size of the limit

    breach_when: Operator
    cure: Cure | None = None

    def problems(self, context: Context) -> Iterator[tuple[str, str]]:
        if self.cure is not None and getattr(self, "judged_at", "every_event") == "eod":
            yield "cure", "it is compared at resets only, so that no minutes can cure it; remove the cure"
        initial = context.initial_minor
        for spec in self.compile(initial, context.currency)[:1]:
            size = spec.allowance(0 if spec.source == "zero" else initial)
            if size == NO_LIMIT:
                continue
            if initial and not 0 < size < initial:
                yield self.size_field, f"the {self.size_field} must lie between zero and the initial balance"
            elif not initial and size <= 0:
                problem = f"the account starts at zero, so that this {self.size_field} is zero; use an amount"
                yield self.size_field, problem

    def breach_words(self, context: Context) -> str:
        """Returns the last sentences of the rule's words: when it is broken, and the consequences."""
        strict = self.breach_when == "equity <= floor"
        if getattr(self, "judged_at", "every_event") == "eod":
            words = f"You break the rule if your equity is {'at or ' if strict else ''}beyond the limit then;"
        else:
            words = f"You break the rule as soon as your equity {'reaches' if strict else 'goes beyond'} the limit;"
        words += f" equity exactly at the limit is {'a breach' if strict else 'allowed'}."
        return f"{words}{self.cure_words('your equity')}{self.once_words('you go')} {self.consequence_words}"

    def cure_words(self, what: str) -> str:
        """Returns what a cure allows, as sentences after a space. `what`: what must be back within the limit."""
        if self.cure is None:
            return ""
        back = f" It does not count if {what} is back within the limit after {wording.span(60 * self.cure.minutes)}"
        return f"{back} at most; this is allowed {wording.times(self.cure.times)} per phase."

    def once_words(self, what: str) -> str:
        """Returns that an offence counts once, as a sentence after a space; empty where the first ends the phase."""
        if all(consequence.kind == "fail" for consequence in self.consequences):
            return ""
        period = getattr(self, "period", "day")
        until = "the next reset" if period == "day" else f"the next {period} begins"
        return f" It counts once until {until}, however often {what} beyond the limit until then."

    @property
    def consequence_words(self) -> str:
        words = super().consequence_words
        if getattr(self, "per", "account") == "account":
            words = words.replace("the position is closed", "all positions are closed")
        return words

    @abstractmethod
    def compile(self, initial_minor: int, currency: str) -> tuple[FloorSpec, ...]:
        """Returns the floors of the rule for an account that starts with `initial_minor`: one for each direction."""


class State(BaseModel):
    """The state of a rule on one account."""

    model_config = ConfigDict(frozen=True, extra="forbid")


S = TypeVar("S", bound=State)


@dataclass(frozen=True, slots=True)
class Violation:
    """One offence against a conduct rule, at one event. `figures` are the figures of the proof: minor units as int,
    instants as datetime, ratios and lots as Decimal. `closed_ids`: those of its positions that were closed for good
    before this event, `closed_profit_minor`: what these made, each only if it is a profit."""

    rule_id: str
    offence: int
    consequence: Consequence
    sentence: str
    figures: Mapping[str, Any]
    position_ids: tuple[str, ...] = ()
    closed_ids: tuple[str, ...] = ()
    closed_profit_minor: int = 0


@dataclass(frozen=True, slots=True)
class GateStatus:
    """`outcome`: satisfied, blocked, target_raised, met or not_met, depending on the gate. `sentence`: the reason."""

    met: bool
    outcome: str
    sentence: str
    figures: Mapping[str, Any]


class HistoryRule(RuleBase, Generic[S]):
    """A rule that judges the events of an account one by one."""

    @abstractmethod
    def start(self, context: Context) -> S:
        """Returns the state before the first event."""

    @abstractmethod
    def step(self, state: S, event: Event, context: Context) -> tuple[S, tuple[Violation, ...]]:
        """Returns the state after `event`, and the offences of that event. Pure; returns `state` itself when it did
        not change."""

    @property
    def follows_equity(self) -> bool:
        """Whether the equity alone may break the rule."""
        return False

    def equity_range(self, state: S) -> tuple[int, int]:
        """Returns (least, most), for a rule that follows the equity: while the equity is from `least` to `most`, it
        changes nothing. Beyond that the caller steps a `Marked` event."""
        return -NO_LIMIT, NO_LIMIT

    def due(self, state: S, context: Context) -> datetime | None:
        """Returns the next instant at which time alone may decide: the caller then steps a `Clocked` event. None: no
        such instant."""
        return None


class ConductRule(HistoryRule[S], BindingRule):
    """A rule about how the account is traded."""

    def offended(
        self, offence: int, sentence: str, figures: Mapping[str, Any], position_ids: tuple[str, ...] = ()
    ) -> Violation:
        """Returns offence number `offence` (from 1) with its consequence."""
        return Violation(self.id, offence, self.consequence(offence), sentence, figures, position_ids)

    def deducted_minor(self, state: S, context: Context) -> int:
        """Returns the profit so far that does not count because of this rule; never negative."""
        return 0


class Gate(HistoryRule[S]):
    """A condition for a pass or a payout. `blocks`: what the gate holds back while it is not met.

    `judges_running_day`: the gate also counts the result of the running day. Otherwise a trader could pass, or be paid,
    on a large day before it ends. A gate that counts days waits for their end.
    """

    judges_running_day: ClassVar[bool] = False

    blocks: Annotated[tuple[Literal["pass", "payout"], ...], Field(min_length=1)] = ("payout",)

    @property
    def blocked_words(self) -> str:
        """What the gate holds back, for people: "a payout", "passing the phase"."""
        names = {"pass": "passing the phase", "payout": "a payout"}
        return " and ".join(names[blocked] for blocked in dict.fromkeys(self.blocks))

    @abstractmethod
    def status(self, state: S, context: Context) -> GateStatus:
        """Returns whether the gate is met now, and why."""

    def asked(self, state: S, amount_minor: int | None) -> S:
        """Returns the state when a payout of this amount is asked for (None: the amount is not known)."""
        return state

    def raised_target(self, state: S, context: Context, target_minor: int) -> int:
        """Returns the profit target with this gate, given the target `target_minor` without it."""
        return target_minor

    def deducted_minor(self, state: S, context: Context) -> int:
        """Returns the profit that counts neither for a pass nor for a payout."""
        return 0
