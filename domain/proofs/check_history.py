"""Checks the sheets about an account's history: folds the stored events again."""

from collections.abc import Iterator
from typing import Any

from domain.errors import PropOSError
from domain.products.phase_terms import PhaseTerms
from domain.proofs import money as proof
from domain.proofs.difference import Difference, compare, compare_part, compare_sentence, compare_sentences
from domain.proofs.history import (
    Folded,
    effective,
    event_part,
    gate_fields,
    gate_parts,
    gates_of,
    offence_of,
    pass_rules,
    refold,
    unused_answers,
    violation_verdict,
)
from domain.proofs.sheets import GateSheet, HistoryPart, HistoryRulePart, PassSheet, ViolationSheet
from domain.rules.base import Context, Gate, HistoryRule
from domain.rules.events import Marked
from domain.rules.events_json import json_value

# Errors that a rule may raise for a false event, a missing calendar answer or impossible figures.
_WRONG = (ValueError, LookupError, TypeError, ArithmeticError, PropOSError)


def check_violation(sheet: ViolationSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = next((rule for rule in terms.history_rules if rule.id == sheet.rule.id), None)
    if rule is None:
        yield Difference("rule.id", sheet.rule.id, "a conduct rule of this phase")
        return
    yield from _rule(sheet.rule, rule)
    try:
        folded, context = refold((rule,), terms.context, sheet.history)
        event, found = offence_of(folded, sheet.offence)
    except _WRONG as exc:
        yield Difference("history", f"offence {sheet.offence}", str(exc))
        return
    yield from _needed(sheet.history, folded, context)
    yield from compare_part("event", sheet.event, event_part(event))
    yield from compare("consequence", sheet.consequence, found.consequence.model_dump(mode="json"))
    yield from compare("figures", sheet.figures, json_value(found.figures))
    yield from compare("position_ids", sheet.position_ids, found.position_ids)
    yield from _verdict(sheet.verdict, violation_verdict(found))


def check_gate(sheet: GateSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = next((rule for rule in gates_of(terms) if rule.id == sheet.rule.id), None)
    if rule is None:
        yield Difference("rule.id", sheet.rule.id, "a gate of this phase")
        return
    yield from _rule(sheet.rule, rule)
    now = Marked(**sheet.now.model_dump())
    try:
        folded, context = refold((rule,), terms.context, sheet.history)
        expected = gate_fields(rule, folded, context, now)
    except _WRONG as exc:
        yield Difference("history", sheet.outcome, str(exc))
        return
    yield from _needed(sheet.history, folded, context)
    if folded.moved and folded.moved[-1].at > now.at:
        yield Difference("now.at", str(now.at), f"not before the last event, {folded.moved[-1].at}")
    yield from _verdict(sheet.verdict, expected.pop("verdict"))
    for name, value in expected.items():
        yield from compare(name, getattr(sheet, name), value)


def check_pass_gates(sheet: PassSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rules, target = pass_rules(terms), terms.target_minor
    if sheet.history is None or target is None:
        needed = [rule.id for rule in rules if not isinstance(rule, Gate) or "pass" in rule.blocks]
        if needed:
            yield Difference("history", "none", f"the events that {', '.join(needed)} fold")
        yield from compare("gates", sheet.gates, ())
        yield from compare("target.effective_minor", sheet.target.effective_minor, sheet.target.target_minor)
        return
    event, balance = sheet.event, sheet.balance.balance_minor
    now = Marked(seq=event.seq, at=event.at, balance_minor=balance, equity_minor=sheet.equity_minor)
    try:
        folded, context = refold(rules, terms.context, sheet.history)
        expected = gate_parts(rules, folded, context, now)
        wanted = effective(rules, folded, context, target, now)
    except _WRONG as exc:
        yield Difference("history", "gates", str(exc))
        return
    yield from _needed(sheet.history, folded, context)
    yield from compare_sentences("gates", sheet.gates, expected)
    yield from compare("target.effective_minor", sheet.target.effective_minor, wanted)


def _rule(stated: HistoryRulePart, rule: HistoryRule[Any]) -> Iterator[Difference]:
    yield from compare("rule.type", stated.type, rule.type)
    yield from compare("rule.parameters", stated.parameters, proof.parameters(rule))


def _needed(part: HistoryPart, folded: Folded, context: Context) -> Iterator[Difference]:
    """Every stored event must change a state, and every answer of a calendar must be asked for, so that none can be
    added to a sheet. `folded`: the sheet's own fold, in `context`."""
    yield from compare("history.events", len(part.events), len(folded.moved))
    yield from compare("history.calendars", "unused answers: 0", f"unused answers: {unused_answers(context)}")
    if part.began is None:
        yield from compare("history.point", part.point, None)


def _verdict(stated: str, recomputed: str) -> Iterator[Difference]:
    """Compares "HEAD: SENTENCE": the head exactly, the sentence as `compare_sentence` does."""
    (own_head, _, own), (head, _, sentence) = stated.partition(": "), recomputed.partition(": ")
    if own_head == head:
        yield from compare_sentence("verdict", own, sentence)
    else:
        yield Difference("verdict", stated, recomputed)
