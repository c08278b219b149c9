"""What a shard has found and not stored yet, in the order of the stream."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Final

from domain import keys
from domain.proofs.points import PointFact
from domain.rules.base import ConsequenceKind
from monitor.columns.minute_bars import Bars
from ports.platform import BalanceOperation, Correction, Deal, PendingOrder, StopsChanged
from store.version_moves import MoveOutcome

MANY: Final = 100  # verdicts that are stored together while others of the same batch are judged


class ReviewKind(StrEnum):
    """Kinds of reviews. The first six also make a breach doubtful. Stored: never rename one."""

    BAD_TICK = "bad_tick"  # crossed, not positive, or a jump
    OUT_OF_ORDER = "out_of_order"  # older than the last quote of its symbol
    STALE = "stale"  # a symbol that is held is silent while others tick
    STALE_FEED = "stale_feed"  # no ticks while market time continues
    GAP = "gap"  # events were lost, and the symbol has not been quoted since
    ESTIMATED = "estimated"  # the venue's figures are uncertain, or a quote is missing
    EQUITY_DRIFT = "equity_drift"
    MISSED_RESET = "missed_reset"
    MOVE_REFUSED = "move_refused"
    UNKNOWN_SYMBOL = "unknown_symbol"
    LEFT_PLACE = "left_place"  # money moved at a platform that its account has left
    DOUBTFUL_BREACH = "doubtful_breach"
    VENUE_LOCKED = "venue_locked"  # by a loss limit of the venue, while our rules do not end the account
    OFFENCE = "offence"  # a rule was broken whose consequence is that a person looks at it
    EXPOSURE_LIMIT = "exposure_limit"  # what the traders hold together is beyond a limit


@dataclass(frozen=True, slots=True)
class ReviewNote:
    """A row for table `reviews`. The same key again updates its detail while the review is open. `settled`: why the
    review is closed by this note, if it is."""

    key: str
    kind: ReviewKind
    at: datetime
    detail: dict[str, Any]
    account_id: str | None = None
    settled: str | None = None


@dataclass(frozen=True, slots=True)
class WarningFact:
    """A row for table `warnings`. The same warning again in a `period` changes nothing."""

    account_id: str
    kind: str
    rule_id: str
    period: str
    at: datetime
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True)
class BreachFact:
    """A confirmed breach with its proof sheet. `cause`: the first in rule order at its event; it ends the phase."""

    account_id: str
    challenge_id: str
    login: int
    phase_index: int
    rule_id: str
    offence: int
    proof_id: str
    proof: dict[str, Any]
    seq: int
    at: datetime
    floor_minor: int | None  # None: a rule of conduct has none
    equity_minor: int
    cause: bool

    @property
    def breach_id(self) -> str:
        return keys.breach_id(self.account_id, self.phase_index, self.rule_id, self.offence)


@dataclass(frozen=True, slots=True)
class OffenceFact:
    """A rule was broken without ending the phase; `consequence` follows."""

    account_id: str
    challenge_id: str
    login: int
    phase_index: int
    rule_id: str
    offence: int
    consequence: ConsequenceKind
    sentence: str
    deducted_minor: int
    position_ids: tuple[str, ...]
    proof_id: str
    proof: dict[str, Any]
    seq: int
    at: datetime

    @property
    def offence_id(self) -> str:
        return keys.offence_id(self.account_id, self.phase_index, self.rule_id, self.offence)


@dataclass(frozen=True, slots=True)
class GateFact:
    """A gate has another outcome than at the end of the day before. `blocks`: what it prevents while not met."""

    account_id: str
    rule_id: str
    met: bool
    outcome: str
    sentence: str
    blocks: tuple[str, ...]
    proof_id: str
    proof: dict[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class ResumeFact:
    """The reset that ends the pause of an account. `offence_id`: the offence it was paused for."""

    account_id: str
    login: int
    offence_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class StrayFact:
    """A deal opened a position on an account that has ended: at a venue that cannot disable trading, or by an order
    that the venue filled late."""

    account_id: str
    login: int
    deal_id: str
    position_id: str


@dataclass(frozen=True, slots=True)
class PassFact:
    account_id: str
    challenge_id: str
    login: int
    phase_index: int
    proof_id: str
    proof: dict[str, Any]
    seq: int
    at: datetime
    balance_minor: int

    @property
    def pass_id(self) -> str:
        return keys.pass_id(self.account_id, self.phase_index)


@dataclass(frozen=True, slots=True)
class SnapshotFact:
    account_id: str
    day: date
    reset_at: datetime
    balance_minor: int
    equity_minor: int
    floors: dict[str, int]


VerdictFact = BreachFact | PassFact | OffenceFact


@dataclass(slots=True)
class UnstoredFacts:
    """Verdicts, resumes, gates, points and strays are stored with the batch, the others with the next checkpoint.
    `points` may be named by the proofs of any later batch."""

    verdicts: list[VerdictFact] = field(default_factory=list)
    resumes: list[ResumeFact] = field(default_factory=list)
    gates: list[GateFact] = field(default_factory=list)
    points: list[PointFact] = field(default_factory=list)
    strays: list[StrayFact] = field(default_factory=list)
    deals: list[tuple[str, Deal]] = field(default_factory=list)  # with the account's id
    order_events: list[tuple[str, PendingOrder]] = field(default_factory=list)  # likewise, as the stops
    stop_changes: list[tuple[str, StopsChanged]] = field(default_factory=list)
    operations: list[tuple[str, BalanceOperation]] = field(default_factory=list)
    snapshots: list[SnapshotFact] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    reviews: list[ReviewNote] = field(default_factory=list)
    warnings: list[WarningFact] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    version_moves: list[MoveOutcome] = field(default_factory=list)
    store_many: Callable[[], None] | None = None  # takes the verdicts while a batch is still judged

    def offer(self) -> None:
        """Called between two accounts: many verdicts are not kept until the batch is judged to its end."""
        if self.store_many is not None and len(self.verdicts) >= MANY:
            self.store_many()

    def take_verdicts(
        self,
    ) -> tuple[list[VerdictFact], list[ResumeFact], list[GateFact], list[PointFact], list[StrayFact]]:
        """Removes and returns what must be committed at once."""
        taken = self.verdicts, self.resumes, self.gates, self.points, self.strays
        self.verdicts, self.resumes, self.gates, self.points, self.strays = [], [], [], [], []
        return taken

    def take_for_checkpoint(self) -> "UnstoredFacts":
        """Removes and returns what a checkpoint stores."""
        taken = UnstoredFacts()
        for name in (
            *("deals", "order_events", "stop_changes", "operations", "snapshots", "bars", "reviews", "warnings"),
            *("corrections", "version_moves"),
        ):
            setattr(taken, name, getattr(self, name))
            setattr(self, name, [])
        return taken
