"""What an account has beside its levels: conduct rules and gates, the offences of its limits, a pause. Stored as
JSON."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pydantic import Field

from domain.products.phase_terms import PhaseTerms
from domain.proofs.points import RecentHistory
from domain.rules.base import State
from domain.rules.events import News
from domain.rules.limits import LimitState


class ToldRelease(State):
    """A scheduled release as it was announced to the rules of an account."""

    released_at: datetime
    ends_at: datetime | None
    symbols: tuple[str, ...]
    impact: str

    @classmethod
    def of(cls, news: News) -> "ToldRelease":
        return cls(released_at=news.released_at, ends_at=news.ends_at, symbols=news.symbols, impact=news.impact)

    @property
    def over_at(self) -> datetime:
        return max(self.released_at, self.ends_at or self.released_at)


class ConductState(RecentHistory):
    """Only accounts whose rules need it have it. The field names are stored: never rename one.

    `limits`: the offences of the limits, by rule id; the number of offences in it is taken from the account at every
    step. `paused`: the offence for which the venue has paused the account. `resetting`: the offence for which the venue
    is to bring the balance back to the initial one: until it has, the account cannot pass. `gates`: the last recorded
    outcome of each gate. `told`: the scheduled releases that the rules know, by id.
    """

    limits: dict[str, LimitState] = Field(default_factory=dict)
    paused: str | None = None
    resetting: str | None = None
    gates: dict[str, str] = Field(default_factory=dict)
    told: dict[str, ToldRelease] = Field(default_factory=dict)

    @property
    def curing(self) -> bool:
        """Whether a broken limit may still be cured."""
        return any(state.curing for state in self.limits.values())

    @property
    def waits_for_venue(self) -> bool:
        """Whether a pause is to end, or a balance is to be brought back, whatever the rules are by then."""
        return self.paused is not None or self.resetting is not None

    def counted(self, rule_id: str, key: str) -> bool:
        """Returns whether limit `key` of a rule was an offence since its last reset."""
        state = self.limits.get(rule_id)
        return state is not None and key in state.counted

    def come_back(self, *, fresh: bool) -> None:
        """A wrong end was overturned: no cure is running any more, because the positions were closed, and nothing from
        before is still to be done at the venue. `fresh`: a day has begun meanwhile, so limits count anew."""
        anew: dict[str, Any] = {"curing": {}} | ({"counted": ()} if fresh else {})
        self.limits = {rule_id: state.model_copy(update=anew) for rule_id, state in self.limits.items()}
        self.paused = self.resetting = None

    def keep_limits_of(self, terms: PhaseTerms) -> None:
        """Forgets the limits that `terms` do not have."""
        keys = {spec.key for spec in terms.specs}
        self.limits = {
            rule_id: state.model_copy(
                update={
                    "counted": tuple(key for key in state.counted if key.partition("/")[0] in keys),
                    "curing": {key: window for key, window in state.curing.items() if key.partition("/")[0] in keys},
                }
            )
            for rule_id, state in self.limits.items()
            if any(spec.rule_id == rule_id for spec in terms.specs)
        }


def needs_conduct_state(terms: PhaseTerms) -> bool:
    """Returns whether the terms have more than levels that end the phase."""
    soft = any(c.kind != "fail" for rule in terms.phase.equity_rules for c in rule.consequences)
    return bool(terms.history_rules) or soft or any(rule.cure for rule in terms.phase.equity_rules)


def fresh_conduct_state(terms: PhaseTerms) -> ConductState:
    return ConductState.fresh(terms)


def stored_conduct_state(data: Mapping[str, Any], terms: PhaseTerms) -> ConductState:
    """Reads back a stored state. Earlier checkpoints have `muted`, `curing` and `cured` by rule, in place of `limits`:
    a muted rule has been an offence with each of its limits; a rule that may be cured is broken at its first limit.
    They have the known releases among `events`, in place of `told`."""
    kept = dict(data)
    muted, curing, cured = (kept.pop(name, {}) for name in ("muted", "curing", "cured"))
    if muted or curing or cured:
        levels: dict[str, list[str]] = {}
        for spec in terms.specs:
            levels.setdefault(spec.rule_id, []).append(spec.key)
        kept["limits"] = {
            rule_id: {
                "counted": keys if rule_id in muted else [],
                "curing": {keys[0]: curing[rule_id]} if rule_id in curing else {},
                "cured": cured.get(rule_id, 0),
            }
            for rule_id, keys in levels.items()
        }
    conduct = ConductState.model_validate(kept)
    if "told" not in kept:
        conduct.told = {event.news_id: ToldRelease.of(event) for event in conduct.events if isinstance(event, News)}
    return conduct
