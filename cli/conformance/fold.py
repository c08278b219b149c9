"""Steps one conduct rule over the events of a case."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.translator import Translator
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event

S = TypeVar("S", bound=State)
Reads = Callable[[Any, list[Violation]], dict[str, Value]]
Translates = Callable[[RawEvent], Iterable[Event]]


def only(given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Returns the parameters of `given` that are in `known`."""
    return {name: given[name] for name in known if name in given}


def fold(
    case: Case,
    rule: ConductRule[S],
    context: Context,
    read: Reads,
    translator: Translator | None = None,
    translate: Translates | None = None,
) -> EngineResult:
    """Steps the rule over every event; a breach does not stop it."""
    translator = translator or Translator(case)
    state, result, violations = rule.start(context), EngineResult(outcome="pass"), list[Violation]()
    for raw in case.events:
        for event in translate(raw) if translate else (translator.event(raw),):
            state, found = rule.step(state, event, context)
            violations += found
        if violations and result.at_event is None:
            result.outcome, result.at_event, result.severity = "breach", raw.index, case.severity
        result.amounts = {**read(state, violations), "violations": len(violations)}
        result.steps.append(result.amounts)
    return result
