"""The result of a replay: its outcome, each offence, each day with its levels, and what could not be decided."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Literal

from domain.histories.known_floors import Knowledge
from domain.proofs.sheets import PointPart
from domain.rules.base import Consequence, Gate, GateStatus
from domain.rules.events import Event
from domain.rules.floors import FloorSpec, Mark, RuleState
from domain.rules.history import HistoryState

ReplayOutcome = Literal["breach", "pass", "expired", "in_progress", "undecided"]
ProofWriter = Callable[["DecidingMoment"], dict[str, Any] | None]


@dataclass(frozen=True, slots=True)
class DecidingMoment:
    """The deciding moment, for the writer of its proof. A loss limit has `spec` and `state`, and the `subject` that
    loses too much where each symbol or position is a limit of its own; a conduct rule has only `rule_id`; without it
    the phase was passed. `history`: the last events that changed conduct rules and gates, since the state `began` that
    `point` names; from the start of the phase when it is None."""

    event: Event
    mark: Mark
    history: Sequence[Event]
    rule_id: str | None = None
    offence: int = 1
    spec: FloorSpec | None = None
    state: RuleState | None = None
    trading_days: tuple[date, ...] = ()
    subject: str | None = None
    began: HistoryState | None = None
    point: PointPart | None = None


@dataclass(frozen=True, slots=True)
class ReplayedBreach:
    """One offence. `worth_minor` and `level_minor` are those of a loss limit; `level_is`: how well the level is known.
    `deducted_minor`: the profit above a ceiling that does not count. `proof`: a sealed sheet, where one can be
    written."""

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
    deducted_minor: int = 0
    figures: dict[str, Any] = field(default_factory=dict)
    position_ids: tuple[str, ...] = ()
    proof: dict[str, Any] | None = None

    @property
    def fails(self) -> bool:
        return self.consequence.kind == "fail"


@dataclass(frozen=True, slots=True)
class Level:
    """A floor or ceiling at the end of a day. `least_room_minor`: the smallest known room of the day."""

    key: str
    level_minor: int
    level_is: Knowledge
    least_room_minor: int | None


@dataclass(frozen=True, slots=True)
class Day:
    """One trading day. `equity_minor`: at its end; None: unknown. `ended_at` None: the history ends on this day."""

    day: date
    ended_at: datetime | None
    balance_minor: int
    equity_minor: int | None
    closed_minor: int
    positions_opened: int
    levels: tuple[Level, ...]


@dataclass(frozen=True, slots=True)
class Unpriced:
    """A rule that could not be judged without prices: since when, at how many events, and why."""

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
    """The result of a replay. `on_balance`: the outcome by certain facts only; `outcome` is `undecided` where prices
    could change it. `gates`: with their status at the end of the history."""

    outcome: ReplayOutcome
    on_balance: ReplayOutcome
    breaches: tuple[ReplayedBreach, ...]
    passed: Passed | None
    expired_at: datetime | None
    days: tuple[Day, ...]
    trading_days: tuple[date, ...]
    gates: tuple[tuple[Gate[Any], GateStatus], ...]
    unpriced: tuple[Unpriced, ...]
    balance_minor: int
    target_minor: int | None
    deducted_minor: int

    @property
    def lowered_split_pct(self) -> Decimal | None:
        """The share that an offence lowered last; None: the share of the terms."""
        shares = (breach.consequence.split_pct for breach in reversed(self.breaches))
        return next((share for share in shares if share is not None), None)
