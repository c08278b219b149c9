"""Where an account stands beyond its floors: its conduct rules and gates, what it has been let off, what mutes a rule."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from domain.rules import history
from domain.rules.history import HistoryState
from domain.rules.state import PhaseTerms


class Curing(BaseModel):
    """A limit that is broken and may still be cured: until when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    until: datetime


class Standing(BaseModel):
    """Only accounts whose rules need one have it.

    `offences`: how often each rule was broken without ending the phase. `muted`: rules that were broken since the last
    reset; one reset period is one offence. `paused`: the offence for which the venue has stopped the account. `curing`
    and `cured`: see `Cure`.
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=False)

    history: HistoryState
    offences: dict[str, int] = Field(default_factory=dict)
    muted: Annotated[list[str], Field(default_factory=list)]
    paused: str | None = None
    curing: dict[str, Curing] = Field(default_factory=dict)
    cured: dict[str, int] = Field(default_factory=dict)

    def offence(self, rule_id: str) -> int:
        """The number the next offence against this rule gets, from 1."""
        return self.offences.get(rule_id, 0) + 1


def needs_standing(terms: PhaseTerms) -> bool:
    """Whether anything but floors that end the phase binds its accounts."""
    soft = any(c.kind != "fail" for rule in terms.phase.equity_rules for c in rule.consequences)
    return bool(terms.history_rules) or soft or any(rule.cure for rule in terms.phase.equity_rules)


def fresh_standing(terms: PhaseTerms) -> Standing:
    return Standing(history=history.start(terms.history_rules, terms.context), muted=[])
