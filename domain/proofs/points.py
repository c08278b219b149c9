"""Points of an account's history: states of its rules with a hash, so that no verdict looks further back than a few
events.

A history keeps its last events and the state before them. After some events a point is made: the state of all rules,
the events since the point before, and a hash over both and over the hash of the point before. The events before the
point before are then dropped. So a proof has at most `MOST` events, however long the account has traded. It names the
point from which it begins, and whoever has the points can fold them from the start of the phase (see
`domain.proofs.chain`).
"""

import zlib
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer

from domain.products.phase_terms import PhaseTerms
from domain.proofs.money import digest
from domain.proofs.sheets import PointPart
from domain.rules import events_json, history
from domain.rules.base import State
from domain.rules.events import Event, Moment
from domain.rules.history import HistoryState

_LEAST: Final = 32
# Points come after 32 to 63 events: at different times for the accounts of a shard, which all have a reset at once.
_SPREAD: Final = 32
MOST: Final = 2 * (_LEAST + _SPREAD - 1)

PointKind = Literal["events", "terms", "found", "place"]
StoredEvent = Annotated[
    Any,
    BeforeValidator(lambda data: events_json.from_json(data) if isinstance(data, dict) else data),
    PlainSerializer(events_json.to_json, return_type=dict),
]


class TermsChange(State):
    """A change to other terms at a point: `product`, `version` and `initial_minor` are those from before. `kept`: under
    those the account had rules with a history. The money is that of the account at the change."""

    product: str
    version: int
    initial_minor: int
    kept: bool
    balance_minor: int
    equity_minor: int


class Point(State):
    """One point. `product`, `version` and `initial_minor` (the size of the account) are the terms from here on.

    events: `state` is the state before, after `events`. terms: then the account changed its terms, see `change`.
    found: an account of an earlier version of this software had this state; what was before it cannot be folded again.
    place: after `events` the account left its platform; numbers of later events are those of another one.
    """

    account_id: str
    phase_index: int
    number: int
    previous: str | None
    kind: PointKind
    product: str
    version: int
    initial_minor: int
    seq: int
    at: datetime
    change: TermsChange | None = None
    events: tuple[dict[str, Any], ...]
    state: dict[str, Any]

    @property
    def digest(self) -> str:
        return digest(self.model_dump(mode="json"))


@dataclass(frozen=True, slots=True)
class PointFact:
    """A point to be stored."""

    point: Point
    name: PointPart


@dataclass(frozen=True, slots=True)
class PointSubject:
    """The account of a history."""

    account_id: str
    terms: PhaseTerms


class RecentHistory(BaseModel):
    """The state of all rules of an account, its last events, and the state before them.

    The field names are stored: never rename one. `events`: those that changed the history, from `began` on; from the
    start of the phase when it is None. `point` names `began`. `middle`: the state after the first `settled` events,
    which `middle_point` names.
    """

    model_config = ConfigDict(extra="forbid")

    history: HistoryState
    events: list[StoredEvent] = Field(default_factory=list)
    began: HistoryState | None = None
    point: PointPart | None = None
    middle: HistoryState | None = None
    middle_point: PointPart | None = None
    settled: int = 0

    @classmethod
    def fresh(cls, terms: PhaseTerms) -> Self:
        return cls(history=history.start(terms.history_rules, terms.context))

    @property
    def _last(self) -> PointPart | None:
        return self.middle_point or self.point

    def take(self, event: Event, after: HistoryState, of: PointSubject) -> PointFact | None:
        """Adds an event that changed the history to `after`. Returns the point that was made by it, if one was."""
        self.history = after
        self.events.append(event)
        number = self._last.number + 1 if self._last else 1
        if len(self.events) - self.settled < _LEAST + zlib.crc32(f"{of.account_id}/{number}".encode()) % _SPREAD:
            return None
        made = self._made(of, "events", event)
        if self.middle is not None:
            self.began, self.point = self.middle, self.middle_point
        self.events = self.events[self.settled :]
        self.middle, self.middle_point, self.settled = after, made.name, len(self.events)
        return made

    def change_terms(self, after: HistoryState, of: PointSubject, change: TermsChange, now: Moment) -> PointFact:
        """Continues from the state `after` under the terms of `of`. Returns the point of the change."""
        self.history = after
        made = self._made(of, "terms", now, change)
        self._begin(made)
        return made

    def change_place(self, of: PointSubject, now: Moment) -> PointFact:
        """Continues with the same state at another platform. Returns the point at which it left."""
        made = self._made(of, "place", now)
        self._begin(made)
        return made

    @property
    def behind(self) -> bool:
        """Whether `catch_up` has to be called before the next event."""
        unnamed = self.began is not None and self.point is None
        return unnamed or len(self.events) - self.settled >= _LEAST + _SPREAD

    def catch_up(self, of: PointSubject, now: Moment) -> list[PointFact]:
        """Makes the points of a history that an earlier version of this software stored with all its events. Returns
        them in order."""
        made: list[PointFact] = []
        current, events, terms = self.history, self.events, of.terms
        self.events = []
        if self.began is not None and self.point is None:
            self.history = self.began
            made.append(self._made(of, "found", now))
            self.point = made[0].name
        state = self.began or history.start(terms.history_rules, terms.context)
        for event in events:
            state, _ = history.step(state, event, terms.history_rules, terms.context)
            point = self.take(event, state, of)
            made += [] if point is None else [point]
        self.history = current
        if not same_state(current, state, terms):  # the rules judge differently today: what was found is kept
            self.events, self.settled = [], 0
            made.append(self._made(of, "found", now))
            self._begin(made[-1])
        return made

    def _begin(self, made: PointFact) -> None:
        self.began, self.point, self.events = self.history, made.name, []
        self.middle, self.middle_point, self.settled = None, None, 0

    def _made(self, of: PointSubject, kind: PointKind, now: Moment, change: TermsChange | None = None) -> PointFact:
        """Makes a point of the current state and the events since the last point."""
        last, product = self._last, of.terms.product
        point = Point(
            account_id=of.account_id,
            phase_index=of.terms.phase_index,
            number=last.number + 1 if last else 1,
            previous=last.hash if last else None,
            kind=kind,
            product=product.product,
            version=product.version,
            initial_minor=of.terms.context.initial_minor,
            seq=now.seq,
            at=now.at,
            change=change,
            events=tuple(map(events_json.to_json, self.events[self.settled :])),
            state=self.history.model_dump(mode="json"),
        )
        return PointFact(point, PointPart(number=point.number, hash=point.digest))


def same_state(one: HistoryState, other: HistoryState, terms: PhaseTerms) -> bool:
    """Whether two states say the same under `terms`. A state that was stored before its rule had a new field is read
    with the field's default."""
    if (one.book, one.offending) != (other.book, other.offending):
        return False
    return all(
        history.state_of(rule, one, terms.context) == history.state_of(rule, other, terms.context)
        for rule in terms.history_rules
    )
