"""Recompute the sheets on an account's history by folding the events that they keep."""

from collections.abc import Iterator, Sequence
from typing import Any

from domain.errors import PropOSError
from domain.rules import history, proof
from domain.rules.base import Context, HistoryRule
from domain.rules.difference import Difference, compare, compare_part
from domain.rules.events_json import plain
from domain.rules.proof_history import (
    Folded,
    effective,
    event_part,
    gate_parts,
    gate_verdict,
    gates_of,
    offence_of,
    refold,
    violation_verdict,
)
from domain.rules.sheets import GateSheet, HistoryPart, HistoryRulePart, PassSheet, ViolationSheet
from domain.rules.state import PhaseTerms

# What an event that is none, a calendar that lacks an answer, or figures that make no sense may raise in a rule's own code.
_WRONG = (ValueError, LookupError, TypeError, ArithmeticError, PropOSError)


def check_violation(sheet: ViolationSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = next((rule for rule in terms.history_rules if rule.id == sheet.rule.id), None)
    if rule is None:
        yield Difference("rule.id", sheet.rule.id, "a conduct rule of this phase")
        return
    yield from _rule(sheet.rule, rule)
    yield from _needed(sheet.history, (rule,), terms.context)
    try:
        folded, _ = refold((rule,), terms.context, sheet.history)
        event, found = offence_of(folded, sheet.offence)
    except _WRONG as exc:
        yield Difference("history", f"offence {sheet.offence}", str(exc))
        return
    yield from compare_part("event", sheet.event, event_part(event))
    yield from compare("consequence", sheet.consequence, found.consequence.model_dump(mode="json"))
    yield from compare("figures", sheet.figures, plain(found.figures))
    yield from compare("position_ids", sheet.position_ids, found.position_ids)
    yield from compare("verdict", sheet.verdict, violation_verdict(found))


def check_gate(sheet: GateSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rule = next((rule for rule in gates_of(terms) if rule.id == sheet.rule.id), None)
    if rule is None:
        yield Difference("rule.id", sheet.rule.id, "a gate of this phase")
        return
    yield from _rule(sheet.rule, rule)
    yield from _needed(sheet.history, (rule,), terms.context)
    try:
        folded, context = refold((rule,), terms.context, sheet.history)
        own = history.state_of(rule, folded.state, context)
        status, target = rule.status(own, context), context.target_minor
        raised = None if target is None else rule.raised_target(own, context, target)
        deducted = rule.deducted_minor(own, context)
    except _WRONG as exc:
        yield Difference("history", sheet.outcome, str(exc))
        return
    if folded.moved and folded.moved[-1].at > sheet.at:
        yield Difference("at", str(sheet.at), f"not before the last event, {folded.moved[-1].at}")
    yield from compare("met", sheet.met, status.met)
    yield from compare("outcome", sheet.outcome, status.outcome)
    yield from compare("figures", sheet.figures, plain(status.figures))
    yield from compare("raised_target_minor", sheet.raised_target_minor, raised)
    yield from compare("deducted_minor", sheet.deducted_minor, deducted)
    yield from compare("verdict", sheet.verdict, gate_verdict(status.met, status.outcome, status.sentence))


def check_pass_gates(sheet: PassSheet, terms: PhaseTerms) -> Iterator[Difference]:
    rules, target = gates_of(terms), terms.target_minor
    if sheet.history is None or target is None:
        needed = [rule.id for rule in rules if "pass" in rule.blocks]
        if needed:
            yield Difference("history", "none", f"the events that {', '.join(needed)} fold")
        yield from compare("gates", sheet.gates, ())
        yield from compare("target.effective_minor", sheet.target.effective_minor, sheet.target.target_minor)
        return
    yield from _needed(sheet.history, rules, terms.context)
    try:
        folded, context = refold(rules, terms.context, sheet.history)
        stand, wanted = gate_parts(rules, folded, context), effective(rules, folded, context, target)
    except _WRONG as exc:
        yield Difference("history", "gates", str(exc))
        return
    yield from compare("gates", sheet.gates, stand)
    yield from compare("target.effective_minor", sheet.target.effective_minor, wanted)


def _rule(stated: HistoryRulePart, rule: HistoryRule[Any]) -> Iterator[Difference]:
    yield from compare("rule.type", stated.type, rule.type)
    yield from compare("rule.parameters", stated.parameters, proof.parameters(rule))


def _needed(part: HistoryPart, rules: Sequence[HistoryRule[Any]], context: Context) -> Iterator[Difference]:
    """Every event that is kept moved something, so that none can be slipped in."""
    try:
        folded: Folded = refold(rules, context, part)[0]
    except _WRONG:
        return  # said where the verdict is recomputed
    yield from compare("history.events", len(part.events), len(folded.moved))
