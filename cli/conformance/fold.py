"""Steps one conduct rule over the events of a case."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.translator import Translator
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event

S = TypeVar("S", bound=State)
Reads = Callable[[Any, list[Violation]], dict[str, Value]]
Translates = Callable[[RawEvent], Iterable[Event]]
# what is judged after the last event: the state and the last event, to the next event to step; None: nothing more
Finishes = Callable[[Any, Event], Event | None]

# parameters that every conduct rule of the format has
COMMON: Final = ("day", "severity_by_violation", "consequences", "phases", "account_types")


def only(given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Returns the parameters of `given` that are in `known`."""
    return {name: given[name] for name in known if name in given}


def terms(case: Case, given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Returns the fields of the engine's rule: the parameters in `known`, under their own names, and the
    consequences."""
    return {"type": case.kind, **only(given, (*known, "consequences"))}


def fold(
    case: Case,
    rule: ConductRule[S],
    context: Context,
    read: Reads,
    translator: Translator | None = None,
    translate: Translates | None = None,
    finish: Finishes | None = None,
) -> EngineResult:
    """Steps the rule over every event; a breach does not stop it. Where the rule does not bind (another phase or
    account type), it finds nothing."""
    translator = translator or Translator(case)
    state, result, event = rule.start(context), EngineResult(outcome="pass"), None
    violations, told_at = list[Violation](), list[int]()
    for raw in case.events:
        for event in translate(raw) if translate else (translator.event(raw),):
            state, found = rule.step(state, event, context)
            violations += found
            told_at += [_index(violation, raw.index) for violation in found]
        result.steps.append(read(state, violations))
    while finish and event and (event := finish(state, event)):
        state, found = rule.step(state, event, context)
        violations += found
        told_at += [_index(violation, case.events[-1].index) for violation in found]
        result.steps[-1] = read(state, violations)
    told_at = told_at if _binds(case) else []
    for raw, step in zip(case.events, result.steps, strict=True):
        step["violations"] = sum(1 for index in told_at if index <= raw.index)
    result.amounts = result.steps[-1] if result.steps else {"violations": 0}
    if told_at:
        result.outcome, result.at_event, result.severity = "breach", min(told_at), severity(case, len(told_at))
    return result


def _index(violation: Violation, found_at: int) -> int:
    """Returns the index of the event of an offence. Openings that count as one happen at the last of them, however late
    that is known."""
    opened_seq: int = violation.figures.get("opened_seq", found_at + 1)
    return opened_seq - 1


def severity(case: Case, offences: int) -> str | None:
    """Returns the firm's word for the last of so many offences."""
    listed = case.rule.get("severity_by_violation") or ()
    words = list(listed.values() if isinstance(listed, Mapping) else listed)
    return str(words[min(offences, len(words)) - 1]) if words else case.severity


def _binds(case: Case) -> bool:
    phases, types = case.rule.get("phases"), case.rule.get("account_types")
    in_phase = phases is None or case.phase is None or case.phase in phases
    return in_phase and (types is None or case.account_type in types)
