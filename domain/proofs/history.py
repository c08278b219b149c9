"""Proofs from an account's history: offences against conduct rules, and the status of gates.

A sheet stores only the events that changed the state of the rule or its day book. Folding them through the code of the
rule results in the same state, because other events change nothing. The answers of venue calendars are stored too.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any, TypeVar

from domain.products.phase_terms import PhaseTerms
from domain.proofs.money import head, parameters, sealed
from domain.proofs.sheets import (
    CalendarPart,
    ContinuesPart,
    EventPart,
    GatePart,
    GateSheet,
    HistoryPart,
    HistoryRulePart,
    NowPart,
    PointPart,
    ViolationSheet,
)
from domain.rules import history
from domain.rules.base import Context, Gate, HistoryRule, RuleBase, VenueCalendar, Violation
from domain.rules.events import Event, Moment
from domain.rules.events_json import from_json, json_value, to_json, type_of
from domain.rules.history import HistoryState

R = TypeVar("R", bound=HistoryRule[Any])


@dataclass(frozen=True, slots=True)
class ProofSubject:
    """The account that a sheet is about."""

    account_id: str
    challenge_id: str
    login: int
    terms: PhaseTerms
    continues: ContinuesPart | None = None


class _Recorder:
    """A venue calendar that records its answers."""

    def __init__(self, calendar: VenueCalendar) -> None:
        self._calendar = calendar
        self.closes: dict[date, datetime | None] = {}
        self.opens: dict[datetime, datetime] = {}
        self.early: dict[date, bool] = {}

    def close_on(self, day: date) -> datetime | None:
        if day not in self.closes:
            self.closes[day] = self._calendar.close_on(day)
        return self.closes[day]

    def next_open(self, after: datetime) -> datetime:
        if after not in self.opens:
            self.opens[after] = self._calendar.next_open(after)
        return self.opens[after]

    def closes_early(self, day: date) -> bool:
        if day not in self.early:
            self.early[day] = self._calendar.closes_early(day)
        return self.early[day]


class _Recorders(Mapping[str, VenueCalendar]):
    """Calendars that record their answers, each created when a rule asks for it: a source may know a hundred."""

    def __init__(self, calendars: Mapping[str, VenueCalendar]) -> None:
        self._calendars = calendars
        self._made: dict[str, _Recorder] = {}

    def __getitem__(self, name: str) -> _Recorder:
        if name not in self._made:
            self._made[name] = _Recorder(self._calendars[name])
        return self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._calendars)

    def __len__(self) -> int:
        return len(self._calendars)

    @property
    def parts(self) -> tuple[CalendarPart, ...]:
        """The answers of each calendar that was asked."""
        return tuple(
            CalendarPart(
                name=name,
                closes=tuple(asked.closes.items()),
                opens=tuple(asked.opens.items()),
                early=tuple(asked.early.items()),
            )
            for name, asked in self._made.items()
            if asked.closes or asked.opens or asked.early
        )


class _Answers:
    """A calendar of recorded answers. Raises LookupError for a question without one. `unused`: the answers to questions
    that nobody has asked yet."""

    def __init__(self, part: CalendarPart) -> None:
        self._closes, self._opens, self._early = dict(part.closes), dict(part.opens), dict(part.early)
        self.unused: set[object] = {*self._closes, *self._opens, *(("early", day) for day in self._early)}

    def close_on(self, day: date) -> datetime | None:
        self.unused.discard(day)
        return self._closes[day]

    def next_open(self, after: datetime) -> datetime:
        self.unused.discard(after)
        return self._opens[after]

    def closes_early(self, day: date) -> bool:
        self.unused.discard(("early", day))
        return self._early[day]


def unused_answers(context: Context) -> int:
    """Returns the number of calendar answers of a sheet that its fold in this `context` did not ask for."""
    return sum(len(calendar.unused) for calendar in context.calendars.values() if isinstance(calendar, _Answers))


@dataclass(frozen=True, slots=True)
class Folded:
    """Rules after a history: their state, the events that changed it, and every offence with its event."""

    state: HistoryState
    moved: list[Event] = field(default_factory=list)
    found: list[tuple[Event, Violation]] = field(default_factory=list)


def fold(
    rules: Sequence[HistoryRule[Any]],
    context: Context,
    events: Iterable[Event],
    *,
    midway: bool = False,
    until: int | None = None,
    began: HistoryState | None = None,
) -> Folded:
    """Folds `events`, in order, through the rules. `until`: stop at the event of this offence number. `began`: the
    state before the events, when it is not the start of the rules."""
    state = began or history.start(rules, context, midway=midway)
    moved: list[Event] = []
    found: list[tuple[Event, Violation]] = []
    for event in events:
        after, violations = history.step(state, event, rules, context)
        if after is not state or violations:
            moved.append(event)
        state = after
        found += [(event, violation) for violation in violations]
        if any(violation.offence == until for violation in violations):
            break
    return Folded(state, moved, found)


def history_part(
    rules: Sequence[HistoryRule[Any]],
    context: Context,
    events: Iterable[Event],
    *,
    midway: bool,
    until: int | None = None,
    began: HistoryState | None = None,
    point: PointPart | None = None,
) -> tuple[Folded, HistoryPart]:
    """Folds `events` and returns the result with everything that a second fold needs: the events that changed the
    rules, and calendar answers. `until`, `began`: as of `fold`; `point` names the state `began`."""
    folded, asked = _recorded(rules, context, events, midway=midway, until=until, began=began)
    if asked.parts:
        # an event that changed nothing may have asked, too: a second fold will not
        folded, asked = _recorded(rules, context, folded.moved, midway=midway, until=None, began=began)
    return folded, HistoryPart(
        joined_midway=midway,
        events=tuple(map(to_json, folded.moved)),
        calendars=asked.parts,
        began=None if began is None else _states_of(began, rules).model_dump(mode="json"),
        point=point,
    )


def _recorded(
    rules: Sequence[HistoryRule[Any]],
    context: Context,
    events: Iterable[Event],
    *,
    midway: bool,
    until: int | None,
    began: HistoryState | None,
) -> tuple[Folded, _Recorders]:
    """Folds `events`, and asks for the status of gates. Returns the result, and the calendars with their answers."""
    asked = _Recorders(context.calendars)
    recorded_context = replace(context, calendars=asked)
    folded = fold(rules, recorded_context, events, midway=midway, until=until, began=began)
    for rule in rules:
        if isinstance(rule, Gate):
            rule.status(history.state_of(rule, folded.state, recorded_context), recorded_context)
    return folded, asked


def _states_of(began: HistoryState, rules: Sequence[HistoryRule[Any]]) -> HistoryState:
    """Returns the part of `began` that belongs to `rules`."""
    kept = {rule.id: began.rules[rule.id] for rule in rules if rule.id in began.rules}
    return HistoryState(book=began.book, rules=kept, offending=began.offending)


def refold(rules: Sequence[HistoryRule[Any]], context: Context, part: HistoryPart) -> tuple[Folded, Context]:
    """Folds the events of a sheet with the calendar answers of the sheet. Raises ValueError for false events,
    LookupError for a missing answer."""
    answers: Mapping[str, VenueCalendar] = {calendar.name: _Answers(calendar) for calendar in part.calendars}
    recorded_context = replace(context, calendars=answers)
    began = None if part.began is None else HistoryState.model_validate(part.began)
    events = [from_json(data) for data in part.events]
    return fold(rules, recorded_context, events, midway=part.joined_midway, began=began), recorded_context


def rule_part(rule: RuleBase) -> HistoryRulePart:
    return HistoryRulePart(id=rule.id, type=rule.type, parameters=parameters(rule))


def event_part(event: Event) -> EventPart:
    return EventPart.model_validate(
        {"kind": type_of(event), "seq": event.seq, "at": event.at, "symbol": getattr(event, "symbol", None)}
    )


def violation_verdict(violation: Violation) -> str:
    return f"offence {violation.offence}: {violation.sentence}"


def gate_verdict(met: bool, outcome: str, sentence: str) -> str:
    return f"{'met' if met else 'not met'} ({outcome}): {sentence}"


def violation_sheet(
    proof_id: str,
    subject: ProofSubject,
    rule_id: str,
    offence: int,
    events: Iterable[Event],
    *,
    midway: bool = False,
    began: HistoryState | None = None,
    point: PointPart | None = None,
) -> dict[str, Any]:
    """Returns the sealed proof of offence number `offence` against a conduct rule. `events`: all events of the
    phase, at least up to the offence, or those since the state `began`, which `point` names. `midway`: they start in
    the middle of a day. Raises ValueError when the events contain no such offence."""
    rule, context = _named(subject.terms.history_rules, rule_id), subject.terms.context
    folded, part = history_part((rule,), context, events, midway=midway, until=offence, began=began, point=point)
    event, found = offence_of(folded, offence)
    return sealed(
        ViolationSheet(
            **head_of("violation", proof_id, subject, event.at),
            event=event_part(event),
            rule=rule_part(rule),
            history=part,
            offence=found.offence,
            consequence=found.consequence.model_dump(mode="json"),
            figures=json_value(found.figures),
            position_ids=found.position_ids,
            verdict=violation_verdict(found),
        )
    )


def offence_of(folded: Folded, offence: int) -> tuple[Event, Violation]:
    """Returns the offence with its event. Raises ValueError when there is none, or when events follow it."""
    for event, violation in folded.found:
        if violation.offence == offence and event is folded.moved[-1]:
            return event, violation
    raise ValueError(f"the events do not end in offence {offence}")


def gate_sheet(
    proof_id: str,
    subject: ProofSubject,
    rule_id: str,
    now: Moment,
    events: Iterable[Event],
    *,
    midway: bool = False,
    began: HistoryState | None = None,
    point: PointPart | None = None,
) -> dict[str, Any]:
    """Returns the sealed proof of the status of a gate. `now`: the money of the account at that moment. `events`: all
    events of the phase until then, or those since the state `began`, which `point` names."""
    rule, context = _named(gates_of(subject.terms), rule_id), subject.terms.context
    folded, part = history_part((rule,), context, events, midway=midway, began=began, point=point)
    return sealed(
        GateSheet(
            **head_of("gate", proof_id, subject, now.at),
            now=now_part(now),
            rule=rule_part(rule),
            history=part,
            **gate_fields(rule, folded, context, now),
        )
    )


def now_part(now: Moment) -> NowPart:
    return NowPart(seq=now.seq, at=now.at, balance_minor=now.balance_minor, equity_minor=now.equity_minor)


def gate_fields(rule: Gate[Any], folded: Folded, context: Context, now: Moment) -> dict[str, Any]:
    """Returns the fields of a gate sheet that follow from the fold."""
    ((_, status),) = history.gates(folded.state, (rule,), context, now)
    target, deducted = context.target_minor, history.deducted_minor(folded.state, (rule,), context, now)
    raised = None
    if target is not None:
        raised = effective((rule,), folded, context, target, now) - deducted
    return {
        "met": status.met,
        "outcome": status.outcome,
        "figures": json_value(status.figures),
        "raised_target_minor": raised,
        "deducted_minor": deducted,
        "verdict": gate_verdict(status.met, status.outcome, status.sentence),
    }


def pass_history(
    terms: PhaseTerms,
    events: Iterable[Event],
    now: Moment,
    *,
    midway: bool = False,
    began: HistoryState | None = None,
    point: PointPart | None = None,
) -> tuple[HistoryPart, tuple[GatePart, ...], int]:
    """Returns the history, the gates and the required profit of a pass. `now`: the money of the account. `events`,
    `began`, `point`: as of `gate_sheet`. Raises ValueError for a phase without a target."""
    if terms.target_minor is None:
        raise ValueError("a phase without a target cannot be passed")
    rules, context = pass_rules(terms), terms.context
    folded, part = history_part(rules, context, events, midway=midway, began=began, point=point)
    return part, gate_parts(rules, folded, context, now), effective(rules, folded, context, terms.target_minor, now)


def pass_rules(terms: PhaseTerms) -> tuple[HistoryRule[Any], ...]:
    """Returns the rules that decide about a pass besides the target: gates, and rules that leave profit out."""
    return tuple(rule for rule in terms.history_rules if history.leaves_out(rule))


def gates_of(terms: PhaseTerms) -> tuple[Gate[Any], ...]:
    return tuple(rule for rule in terms.history_rules if isinstance(rule, Gate))


def gate_parts(
    rules: Sequence[HistoryRule[Any]], folded: Folded, context: Context, now: Moment
) -> tuple[GatePart, ...]:
    statuses = history.gates(folded.state, rules, context, now)
    return tuple(
        GatePart(rule_id=gate.id, met=status.met, outcome=status.outcome, sentence=status.sentence)
        for gate, status in statuses
        if "pass" in gate.blocks
    )


def effective(
    rules: Sequence[HistoryRule[Any]], folded: Folded, context: Context, target_minor: int, now: Moment
) -> int:
    return history.effective_target(folded.state, rules, context, target_minor, now)


def _named(rules: Sequence[R], rule_id: str) -> R:
    rule = next((rule for rule in rules if rule.id == rule_id), None)
    if rule is None:
        raise ValueError(f"{rule_id} is not one of {', '.join(rule.id for rule in rules) or 'no rules at all'}")
    return rule


def head_of(kind: str, proof_id: str, subject: ProofSubject, at: datetime) -> dict[str, Any]:
    """Returns the first fields of every sheet about `subject`. `at`: the instant for the clock part."""
    return head(
        kind,
        proof_id,
        subject.terms,
        at,
        account_id=subject.account_id,
        challenge_id=subject.challenge_id,
        login=subject.login,
        continues=subject.continues,
    )
