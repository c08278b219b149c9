"""What a shard has found and not yet stored, in the order of the stream."""

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from domain.ids import derived_id
from domain.rules.base import ConsequenceKind
from monitor.columns.minute_bars import Bars
from monitor.judging.feed_quality import ReviewNote
from monitor.judging.warnings import WarningFact
from ports.platform import BalanceOperation, Correction, Deal
from store.version_moves import CarriedOut


@dataclass(frozen=True, slots=True)
class BreachFact:
    """A confirmed breach with its proof sheet. `cause`: the first in rule order at its event, which ends the phase."""

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
    floor_minor: int | None  # a rule of conduct has none
    equity_minor: int
    cause: bool

    @property
    def breach_id(self) -> str:
        return derived_id("brc", self.account_id, self.phase_index, self.rule_id, self.offence)


@dataclass(frozen=True, slots=True)
class OffenceFact:
    """A rule was broken without ending the phase; what follows is `consequence`."""

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
        return derived_id("off", self.account_id, self.phase_index, self.rule_id, self.offence)


@dataclass(frozen=True, slots=True)
class GateFact:
    """A gate has another outcome than at the end of the day before; `blocks`: what it holds back while not met."""

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
    """The reset came for which a paused account was waiting: `offence_id` is what it was paused for."""

    account_id: str
    login: int
    offence_id: str
    at: datetime


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
        return derived_id("psg", self.account_id, self.phase_index)


@dataclass(frozen=True, slots=True)
class SnapshotFact:
    account_id: str
    day: date
    reset_at: datetime
    balance_minor: int
    equity_minor: int
    floors: dict[str, int]


Verdict = BreachFact | PassFact | OffenceFact


@dataclass(slots=True)
class Harvest:
    """Verdicts, resumes and gates leave with the batch; the rest with the next checkpoint."""

    verdicts: list[Verdict] = field(default_factory=list)
    resumes: list[ResumeFact] = field(default_factory=list)
    gates: list[GateFact] = field(default_factory=list)
    deals: list[tuple[str, Deal]] = field(default_factory=list)
    operations: list[tuple[str, BalanceOperation]] = field(default_factory=list)
    snapshots: list[SnapshotFact] = field(default_factory=list)
    bars: list[Bars] = field(default_factory=list)
    reviews: list[ReviewNote] = field(default_factory=list)
    warnings: list[WarningFact] = field(default_factory=list)
    corrections: list[Correction] = field(default_factory=list)
    version_moves: list[CarriedOut] = field(default_factory=list)

    def take_found(self) -> tuple[list[Verdict], list[ResumeFact], list[GateFact]]:
        """What is to be committed at once."""
        taken = self.verdicts, self.resumes, self.gates
        self.verdicts, self.resumes, self.gates = [], [], []
        return taken

    def take_rest(self) -> "Harvest":
        """All that may wait for a checkpoint."""
        taken = Harvest()
        for name in ("deals", "operations", "snapshots", "bars", "reviews", "warnings", "corrections", "version_moves"):
            setattr(taken, name, getattr(self, name))
            setattr(self, name, [])
        return taken
