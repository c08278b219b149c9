"""The exact evaluator on a frozen account with other money: its limits, their cures and consequences, and the rules of
conduct that follow the equity."""

from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Literal

from domain.rules import history, limits
from domain.rules.base import EquityRule
from domain.rules.evaluate import compared, judge
from domain.rules.events import Marked, OpenResult
from domain.rules.floors import Mark
from monitor.exposure.frozen import Frozen


@dataclass(frozen=True, slots=True)
class Verdict:
    """`rule`: the first one that is broken, in the order of the product; those that end the phase come first."""

    kind: Literal["breach", "offence", ""]
    rule: str = ""


def judged_exactly(
    frozen: Frozen, row: int, balance_minor: int, equity_minor: int, positions: tuple[OpenResult, ...] | None
) -> Verdict:
    """Returns what the live judge would find at this money. `positions`: what each open one makes; None where no rule
    of the account asks."""
    terms, conduct = frozen.terms_of(row), frozen.conduct.get(row)
    mark = Mark(balance_minor, equity_minor, 0, frozen.at, frozen.costs_of(row), positions)
    after, found = judge(frozen.rules_of(row), mark)
    if conduct is None:
        return Verdict("breach", found[0].spec.rule_id) if found else Verdict("")
    kinds: dict[str, str] = {}
    for rule_id, levels in compared(after.specs, found).items():
        rule = terms.rule(rule_id)
        assert isinstance(rule, EquityRule)
        known = conduct.limits.get(rule_id, limits.FRESH)
        offences = frozen.offences.get(row, {}).get(rule_id, 0)
        state = known if known.offences == offences else known.model_copy(update={"offences": offences})
        for offence in limits.step(state, rule, levels, frozen.at)[1]:
            if levels.get(offence.key):
                kinds.setdefault(rule_id, offence.consequence.kind)
    return _ended_by(frozen, row, balance_minor, equity_minor, kinds)


def judged_by_conduct(frozen: Frozen, row: int, balance_minor: int, equity_minor: int) -> Verdict:
    """Returns the same for an account of which no level breaks: only its rules of conduct may say something."""
    return _ended_by(frozen, row, balance_minor, equity_minor, {})


def alike(frozen: Frozen, row: int, broken: int) -> Hashable | None:
    """Returns what decides about an account whose levels of the mask `broken` break: accounts of which it is equal have
    one verdict, whatever their money. None: its own money or past decides, too."""
    number, conduct = int(frozen.terms[row]), frozen.conduct[row]
    if history.follows_equity(frozen.table[number].history_rules):
        return None
    specs = frozen.levels.specs[number]
    rules = {spec.rule_id for index, spec in enumerate(specs) if broken >> index & 1}
    if any(conduct.limits.get(rule, limits.FRESH) != limits.FRESH for rule in rules):
        return None
    counted = frozen.offences.get(row, {})
    return number, broken, tuple(sorted((rule, counted.get(rule, 0)) for rule in rules))


def _ended_by(frozen: Frozen, row: int, balance_minor: int, equity_minor: int, kinds: dict[str, str]) -> Verdict:
    """`kinds`: the consequences of broken levels by rule. Those of rules of conduct are added."""
    terms = frozen.terms_of(row)
    kinds |= {rule: kind for rule, kind in _conduct(frozen, row, balance_minor, equity_minor) if rule not in kinds}
    ordered = [rule.id for rule in terms.phase.rules if rule.id in kinds]
    ending = [rule for rule in ordered if kinds[rule] == "fail"]
    if ending:
        return Verdict("breach", ending[0])
    return Verdict("offence", ordered[0]) if ordered else Verdict("")


def _conduct(frozen: Frozen, row: int, balance_minor: int, equity_minor: int) -> Iterator[tuple[str, str]]:
    """Yields (rule, consequence) of the conduct rules that the equity alone breaks."""
    terms, conduct = frozen.terms_of(row), frozen.conduct[row]
    if not history.follows_equity(terms.history_rules):
        return
    event = Marked(seq=0, at=frozen.at, balance_minor=balance_minor, equity_minor=equity_minor)
    _, violations = history.step(conduct.history, event, terms.history_rules, terms.context)
    for violation in violations:
        yield violation.rule_id, violation.consequence.kind
