"""Steps one conduct rule over the events of a case."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import Any, Final, TypeVar

from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.translator import Translator
from domain.money import to_minor
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
    """Steps the rule over every event; a breach does not stop it. A rule that does not bind in the phase, or on the
    account type, finds nothing there."""
    translator = translator or Translator(case)
    state, result, violations = rule.start(context), EngineResult(outcome="pass"), list[Violation]()
    binds, event = _binds(case, case.phase), None
    for raw in case.events:
        if raw.kind == "phase_start":
            context = _of_phase(case, context, raw)
            state, binds = rule.start(context), _binds(case, raw.data.get("phase", case.phase))
        for event in translate(raw) if translate else (translator.event(raw),):
            state, found = rule.step(state, event, context)
            violations += found if binds else ()
        _told(case, result, violations, raw.index)
        result.amounts = {**read(state, violations), "violations": len(violations)}
        result.steps.append(result.amounts)
    while finish and event and (event := finish(state, event)):
        state, found = rule.step(state, event, context)
        violations += found if binds else ()
        _told(case, result, violations, len(case.events) - 1)
        result.amounts = {**read(state, violations), "violations": len(violations)}
        result.steps[-1] = result.amounts
    return result


def _told(case: Case, result: EngineResult, violations: list[Violation], index: int) -> None:
    """Notes the first offence and the severity of the last. `index`: the event at which the newest were found."""
    if not violations:
        return
    if result.at_event is None:
        # openings that count as one happen at the last of them, however late that is known
        result.at_event = violations[0].figures.get("opened_seq", index + 1) - 1
    result.outcome, result.severity = "breach", severity(case, len(violations))


def severity(case: Case, offences: int) -> str | None:
    """Returns the firm's word for the last of so many offences."""
    listed = case.rule.get("severity_by_violation") or ()
    words = list(listed.values() if isinstance(listed, Mapping) else listed)
    return str(words[min(offences, len(words)) - 1]) if words else case.severity


def _binds(case: Case, phase: str | None) -> bool:
    phases, types = case.rule.get("phases"), case.rule.get("account_types")
    return (phases is None or phase is None or phase in phases) and (types is None or case.account_type in types)


def _of_phase(case: Case, context: Context, raw: RawEvent) -> Context:
    """Returns the context of the phase that the event begins."""
    initial = raw.data.get("initial_balance")
    minor = context.initial_minor if initial is None else to_minor(Decimal(initial), case.currency)
    phase = raw.data.get("phase", case.phase)
    return replace(context, initial_minor=minor, phase="funded" if phase == "funded" else "evaluation")
