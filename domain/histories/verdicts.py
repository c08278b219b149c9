"""What the replay of a history gives: its outcome, each offence, each day with its levels, and what stayed open."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

from domain.histories.known_floors import Knowledge
from domain.rules.base import Consequence, Gate, GateStatus
from domain.rules.events import Event
from domain.rules.floors import FloorSpec, Mark, RuleState

Outcome = Literal["breach", "pass", "expired", "in_progress", "undecided"]
Witness = Callable[["Scenery"], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class Scenery:
    """The moment of a verdict, for whoever writes its proof. Of a loss limit `spec` and `state` are set, of a conduct
    rule `rule_id` alone; without it the phase was passed. `history`: the events that moved conduct rules and gates."""

    event: Event
    mark: Mark
    history: tuple[Event, ...]
    rule_id: str | None = None
    offence: int = 1
    spec: FloorSpec | None = None
    state: RuleState | None = None
    trading_days: tuple[date, ...] = ()


@dataclass(frozen=True, slots=True)
class Breach:
    """One offence. Of a loss limit: what the account was worth and the level it went through. `certain` is False
    when the level is known from one side only. `proof`: a sealed sheet, where one can be written."""

    rule_id: str
    family: Literal["equity", "conduct"]
    at: datetime
    seq: int
    event: str
    offence: int
    consequence: Consequence
    sentence: str
    worth_minor: int | None = None
    level_minor: int | None = None
    level_is: Knowledge = "exact"
    figures: dict[str, Any] = field(default_factory=dict)
    position_ids: tuple[str, ...] = ()
    proof: dict[str, Any] | None = None

    @property
    def fails(self) -> bool:
        return self.consequence.kind == "fail"


@dataclass(frozen=True, slots=True)
class Level:
    """A floor or ceiling as it bound at the end of a day. `least_room_minor`: of the day's moments that are known."""

    key: str
    level_minor: int
    level_is: Knowledge
    least_room_minor: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """One trading day; `equity_minor` at its end, None when not known. `ended_at` None: the history ends on it."""

    day: date
    ended_at: datetime | None
    balance_minor: int
    equity_minor: int | None
    closed_minor: int
    positions_opened: int
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A rule whose verdict needs floating equity: since when, at how many events, and why."""

    rule_id: str
    since: datetime
    moments: int
    reason: str


@dataclass(frozen=True, slots=True)
class Passed:
    at: datetime
    seq: int
    balance_minor: int
    required_minor: int
    proof: dict[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Replay:
    """`on_balance`: the outcome by what is certain alone; `outcome` is `undecided` where prices could change it.
    `gates` with their status at the end of the history."""

    outcome: Outcome
    on_balance: Outcome
    breaches: tuple[Breach, ...]
    passed: Passed | None
    expired_at: datetime | None
    days: tuple[Day, ...]
    trading_days: tuple[date, ...]
    gates: tuple[tuple[Gate[Any], GateStatus], ...]
    unpriced: tuple[Unpriced, ...]
    balance_minor: int
    target_minor: int | None
    deducted_minor: int
