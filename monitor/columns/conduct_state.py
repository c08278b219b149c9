"""What an account has beside its levels: conduct rules and gates, cures, muted limits, a pause. Stored as JSON."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from domain.products.phase_terms import PhaseTerms
from domain.rules import events_json, history
from domain.rules.history import HistoryState

StoredEvent = Annotated[
    Any,
    BeforeValidator(lambda data: events_json.from_json(data) if isinstance(data, dict) else data),
    PlainSerializer(events_json.to_json, return_type=dict),
]


class CureWindow(BaseModel):
    """A limit that is broken and may be cured until `until`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: datetime


class ConductState(BaseModel):
    """Only accounts whose rules need it have it. The field names are stored: never rename one.

    `events`: those that changed the history; proof sheets fold them again. `began`: the history at the moment when the
    account changed to other terms, if it did. `muted`: limits that were broken since the last reset; one reset period
    is one offence. `paused`: the offence for which the venue has paused the account. `curing` and `cured`: see `Cure`.
    `gates`: the last recorded outcome of each gate.
    """

    model_config = ConfigDict(extra="forbid")

    history: HistoryState
    events: list[StoredEvent] = Field(default_factory=list)
    began: HistoryState | None = None
    muted: list[str] = Field(default_factory=list)
    paused: str | None = None
    curing: dict[str, CureWindow] = Field(default_factory=dict)
    cured: dict[str, int] = Field(default_factory=dict)
    gates: dict[str, str] = Field(default_factory=dict)


def needs_conduct_state(terms: PhaseTerms) -> bool:
    """Returns whether the terms have more than levels that end the phase."""
    soft = any(c.kind != "fail" for rule in terms.phase.equity_rules for c in rule.consequences)
    return bool(terms.history_rules) or soft or any(rule.cure for rule in terms.phase.equity_rules)


def fresh_conduct_state(terms: PhaseTerms) -> ConductState:
    return ConductState(history=history.start(terms.history_rules, terms.context))
