"""Steps one conduct rule over the events of a case."""

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from typing import Any, Final, TypeVar

from cli.conformance import binding
from cli.conformance.case import Case, EngineResult, RawEvent, Value
from cli.conformance.translator import Translator
from domain.rules import history
from domain.rules.base import ConductRule, Context, State, Violation
from domain.rules.events import Event

S = TypeVar("S", bound=State)
Reads = Callable[[Any, list[Violation]], dict[str, Value]]
Translates = Callable[[RawEvent], Iterable[Event]]
# what is judged after the last event: the state and the last event, to the next event to step; None: nothing more
Finishes = Callable[[Any, Event], Event | None]

# parameters that every rule about positions has
COMMON: Final = ("day", *binding.PARAMS)


def only(given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Returns the parameters of `given` that are in `known`."""
    return {name: given[name] for name in known if name in given}


def terms(case: Case, given: Mapping[str, Any], known: Iterable[str]) -> dict[str, Any]:
    """Returns the fields of the engine's rule: the parameters in `known`, under their own names, and the
    consequences."""
    return {"type": case.kind, **only(given, known), **binding.consequences(case)}


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
    account type), it sees no event."""
    translator = translator or Translator(case)
    life, result, event = history.start((rule,), context), EngineResult(outcome="pass"), None
    violations, told_at, bound = list[Violation](), list[int](), binding.binds(case)

    def step(event: Event, index: int) -> None:
        nonlocal life
        life, found = history.step(life, event, (rule,), context)
        violations.extend(found)
        told_at.extend(_index(violation, index) for violation in found)
        if any(violation.consequence.kind == "reset_balance" for violation in found):
            translator.balance = translator.equity = context.initial_minor

    def figures() -> dict[str, Value]:
        named = read(history.state_of(rule, life, context), violations)
        return named | _of_consequences(case, rule, violations, life, context)

    for raw in case.events:
        for event in translate(raw) if translate else (translator.event(raw),):
            if bound:
                step(event, raw.index)
        money = {"balance": case.major(translator.balance), "equity": case.major(translator.equity)}
        result.steps.append({**money, **figures()})
    while bound and finish and event and (event := finish(history.state_of(rule, life, context), event)):
        step(event, case.events[-1].index)
        result.steps[-1] |= figures()
    for raw, shown in zip(case.events, result.steps, strict=True):
        shown["violations"] = sum(1 for index in told_at if index <= raw.index)
        left_out = shown.get("deducted")
        result.left_out += [left_out] if isinstance(left_out, Decimal) else []
    result.amounts = result.steps[-1] if result.steps else {"violations": 0}
    if told_at:
        result.outcome, result.at_event, result.severity = "breach", min(told_at), binding.severity(case, len(told_at))
    return result


def _of_consequences(
    case: Case, rule: ConductRule[Any], violations: list[Violation], life: history.HistoryState, context: Context
) -> dict[str, Value]:
    """Returns the figures that follow from offences: the profit that is deducted, and the trader's share."""
    named: dict[str, Value] = {}
    if any(consequence.kind == "deduct_profit" for consequence in rule.consequences):
        named["deducted"] = case.major(history.deducted_minor(life, (rule,), context))
    lowered = [violation.consequence.split_pct for violation in violations if violation.consequence.split_pct]
    split_pct = lowered[-1] if lowered else case.rule.get("split_pct")
    return named if split_pct is None else named | {"split_pct": Decimal(split_pct)}


def _index(violation: Violation, found_at: int) -> int:
    """Returns the index of the event of an offence. Openings that count as one happen at the last of them, however late
    that is known."""
    opened_seq: int = violation.figures.get("opened_seq", found_at + 1)
    return opened_seq - 1
