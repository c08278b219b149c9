"""An account as it is loaded from the record."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Protocol

from domain.products.phase_terms import PhaseTerms
from domain.proofs.departure import Place
from domain.proofs.money import Movement
from domain.rules.floors import NO_COSTS, Costs
from domain.rules.marking import Position
from domain.rules.state import AccountRules, fresh
from monitor.columns.conduct_state import ConductState
from ports.platform import AccountState


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """An account as of a stored batch."""

    balance_minor: int
    positions: tuple[Position, ...]
    rules: AccountRules
    opening_minor: int
    opening_at: datetime | None
    opening_seq: int
    movements: tuple[Movement, ...]
    trading_days: tuple[date, ...]
    offences: dict[str, int]
    judged: bool
    ended: bool
    synced: int
    costs: Costs = NO_COSTS
    stated: AccountState | None = None  # the venue's last state, for an account that it values itself
    conduct: ConductState | None = None
    place: Place | None = None  # of an account that came from another platform
    exits: Mapping[str, tuple[float, float]] = field(default_factory=dict)  # stop loss and take profit by position


@dataclass(frozen=True, slots=True)
class Pending:
    """The terms of another version, which bind an account from its next reset on, and the move that asked for it."""

    move_id: str
    terms: PhaseTerms


@dataclass(frozen=True, slots=True)
class OpenDoubt:
    """An open review of a doubtful breach: its key, its market time and its detail."""

    key: str
    at: datetime
    detail: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """An account as the record has it. `breaches`: (rule id, sequence number) of all breaches of this phase.
    `doubtful`: its open reviews of doubtful breaches."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    status: str
    breaches: tuple[tuple[str, int], ...]
    checkpoint: Checkpoint | None
    pending: Pending | None = None
    ended_seq: int = 0
    doubtful: tuple[OpenDoubt, ...] = ()
    marks: str = "quotes"  # or "states": the venue states the equity itself
    trader_id: str = ""

    def trades_at(self, seq: int) -> bool:
        """Returns whether the account may trade at event `seq`. An account that a later verdict ended was still active
        when the stream is read again from an earlier batch."""
        return self.status == "active" or seq < self.ended_seq

    def has_ended_before(self, seq: int) -> bool:
        """Returns whether nothing may be open on the account at event `seq` any more."""
        return self.status in ("locked", "closed") and not self.trades_at(seq)

    def offences_before(self, seq: int) -> dict[str, int]:
        """Returns the number of breaches per rule before `seq`; later ones will be judged again."""
        counts: dict[str, int] = {}
        for rule_id, at_seq in self.breaches:
            if at_seq < seq:
                counts[rule_id] = counts.get(rule_id, 0) + 1
        return counts

    def at_the_start(self) -> Checkpoint:
        return Checkpoint(0, (), fresh(self.terms.specs), 0, None, 0, (), (), {}, False, False, 0)


@dataclass(frozen=True, slots=True)
class Left:
    """An account that was at this login once. `at`: the market time at which it left."""

    account_id: str
    at: datetime


class AccountSource(Protocol):
    """Loads accounts when the stream names a login for the first time, or enables one."""

    def load(self, login: int) -> Loaded | None:
        """Returns None when the login is no account of this shard."""
        ...
