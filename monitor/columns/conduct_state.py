"""Where an account stands beyond its floors: its conduct rules and gates, what it has been let off, what mutes a rule."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from domain.rules import events_json, history
from domain.rules.history import HistoryState
from domain.rules.state import PhaseTerms

Kept = Annotated[
    Any,
    BeforeValidator(lambda data: events_json.from_json(data) if isinstance(data, dict) else data),
    PlainSerializer(events_json.to_json, return_type=dict),
]


class Curing(BaseModel):
    """A limit that is broken and may still be cured: until when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: datetime


class Standing(BaseModel):
    """Only accounts whose rules need one have it.

    `events`: those that moved the history, which proof sheets fold again; since `began`, where the history stood when the
    account came under other terms, if it did. `muted`: limits that were broken since the
    last reset; one reset period is one offence. `paused`: the offence for which the venue has stopped the account.
    `curing` and `cured`: see `Cure`. `gates`: the outcome last told of each gate.
    """

    model_config = ConfigDict(extra="forbid")

    history: HistoryState
    events: list[Kept] = Field(default_factory=list)
    began: HistoryState | None = None
    muted: list[str] = Field(default_factory=list)
    paused: str | None = None
    curing: dict[str, Curing] = Field(default_factory=dict)
    cured: dict[str, int] = Field(default_factory=dict)
    gates: dict[str, str] = Field(default_factory=dict)


def needs_standing(terms: PhaseTerms) -> bool:
    """Whether anything but floors that end the phase binds its accounts."""
    soft = any(c.kind != "fail" for rule in terms.phase.equity_rules for c in rule.consequences)
    return bool(terms.history_rules) or soft or any(rule.cure for rule in terms.phase.equity_rules)


def fresh_standing(terms: PhaseTerms) -> Standing:
    return Standing(history=history.start(terms.history_rules, terms.context))
