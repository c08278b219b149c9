"""What a change of thresholds would have done in the past: which alerts it would have raised, and how those ended."""

from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from domain.surveillance.base import Thresholds
from domain.surveillance.casework import ACTED
from domain.surveillance.policy import SurveillancePolicy

Outcome = Literal["confirmed", "false_positive", "inconclusive", "undecided"]


class ReplayCounts(BaseModel):
    """Of one pattern: `flagged`: what the new thresholds find in the last weeks; `unseen`: of these, what was never an
    alert; `confirmed`, `false_positive`: of these, how the cases ended; `lost`: what was confirmed and would not be
    found any more. `cannot_judge`: why the pattern could not judge, or not all of it. `source`: what was judged again.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    pattern: str
    flagged: int = Field(ge=0)
    unseen: int = Field(default=0, ge=0)
    confirmed: int = Field(default=0, ge=0)
    false_positive: int = Field(default=0, ge=0)
    lost: int = Field(default=0, ge=0)
    cannot_judge: str = ""
    source: str


def changed(old: SurveillancePolicy, new: SurveillancePolicy) -> dict[str, dict[str, dict[str, Decimal]]]:
    """Returns the thresholds of `new` for every pattern whose thresholds differ from `old`; all defaults are {}."""
    patterns = sorted({*old.thresholds, *new.thresholds})
    return {
        name: new.thresholds.get(name, {})
        for name in patterns
        if old.thresholds.get(name, {}) != new.thresholds.get(name, {})
    }


def outcome_of(state: str, outcome: str | None) -> Outcome:
    """Returns how a case counts: an appeal that was granted makes it a false one."""
    if state == "overturned":
        return "false_positive"
    if state in ACTED:
        return "confirmed"
    return "inconclusive" if outcome == "inconclusive" else "false_positive" if outcome else "undecided"


def counted(
    pattern: str, found: Collection[str], alerts: Mapping[str, Outcome], *, cannot_judge: str, source: str
) -> ReplayCounts:
    """Returns the counts of one pattern. `found`: keys of what the new thresholds find. `alerts`: those of the same
    weeks, key -> how its case ended."""
    keys = set(found)
    ended = [alerts[key] for key in keys if key in alerts]
    return ReplayCounts(
        pattern=pattern,
        flagged=len(keys),
        unseen=len(keys) - len(ended),
        confirmed=ended.count("confirmed"),
        false_positive=ended.count("false_positive"),
        lost=sum(outcome == "confirmed" for key, outcome in alerts.items() if key not in keys),
        cannot_judge=cannot_judge,
        source=source,
    )


def with_numbers(thresholds: Thresholds, numbers: Mapping[str, Decimal | str]) -> Thresholds:
    """Returns the thresholds of a detector with some numbers or choices changed. Raises ValidationError for one that it
    does not have, or that it cannot be."""
    return type(thresholds).model_validate({**thresholds.model_dump(), **numbers})
