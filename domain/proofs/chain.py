"""Checks the points of an account's history: each follows from the point before, back to the start of the phase."""

from collections.abc import Callable, Iterator, Mapping

from domain.errors import PropOSError
from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs.difference import Difference, compare
from domain.proofs.history import fold, pass_rules
from domain.proofs.points import Point, same_state
from domain.proofs.sheets import AnySheet, GateSheet, PassSheet, ViolationSheet
from domain.rules.carry import carried_history
from domain.rules.events_json import from_json
from domain.rules.floors import Mark
from domain.rules.history import HistoryState

TermsOf = Callable[[str, int, int, int], PhaseTerms]  # of (product, version, phase, size of the account)

# Errors that a rule may raise for a false event or impossible figures.
_WRONG = (ValueError, LookupError, TypeError, ArithmeticError, PropOSError)


def check_points(points: Mapping[str, Point], terms_of: TermsOf) -> Iterator[tuple[Point, Difference]]:
    """Yields every point that does not follow from the one before, with what differs. `points`: of one account, by the
    hash that the record has for each."""
    for name, point in points.items():
        for difference in _point(name, point, points, terms_of):
            yield point, difference


def check_beginning(sheet: AnySheet, points: Mapping[str, Point]) -> Iterator[Difference]:
    """Compares the state from which the history of a proof sheet begins with the point that it names. Sheets of levels
    and sheets of an earlier version name none."""
    if not isinstance(sheet, ViolationSheet | GateSheet | PassSheet):
        return
    part = sheet.history
    if part is None or part.point is None:
        return
    point = points.get(part.point.hash)
    if point is None:
        yield Difference("history.point.hash", part.point.hash, "a recorded point of the account")
        return
    yield from compare("history.point.number", part.point.number, point.number)
    if isinstance(sheet, PassSheet):
        terms = phase_terms(Product.model_validate(sheet.product.terms), sheet.account.phase_index)
        rules = [rule.id for rule in pass_rules(terms)]
    else:
        rules = [sheet.rule.id]
    states = point.state.get("rules", {})
    expected = {**point.state, "rules": {rule_id: states[rule_id] for rule_id in rules if rule_id in states}}
    yield from compare("history.began", part.began, expected)


def _point(name: str, point: Point, points: Mapping[str, Point], terms_of: TermsOf) -> Iterator[Difference]:
    yield from compare("hash", name, point.digest)
    previous = None
    if point.previous is not None:
        previous = points.get(point.previous)
        if previous is None:
            yield Difference("previous", point.previous, "a recorded point of the account")
            return
    yield from compare("number", point.number, previous.number + 1 if previous else 1)
    if point.kind == "found":
        return
    try:
        terms = terms_of(point.product, point.version, point.phase_index, point.initial_minor)
        expected = _state_after(previous, point, terms, terms_of)
        same = same_state(HistoryState.model_validate(point.state), expected, terms)
    except _WRONG as exc:
        yield Difference("state", "events that can be folded", str(exc))
        return
    if not same:
        yield from compare("state", point.state, expected.model_dump(mode="json"))


def _state_after(previous: Point | None, point: Point, terms: PhaseTerms, terms_of: TermsOf) -> HistoryState:
    """Returns the state that follows from the point before and the events since."""
    change = point.change
    before = terms
    if change is not None:
        before = terms_of(change.product, change.version, point.phase_index, change.initial_minor)
    began = None if previous is None else HistoryState.model_validate(previous.state)
    events = [from_json(event) for event in point.events]
    state = fold(before.history_rules, before.context, events, began=began).state
    if change is None:
        return state
    mark = Mark(change.balance_minor, change.equity_minor, point.seq, point.at)
    kept = state if change.kept else None
    return carried_history(kept, before.history_rules, terms.history_rules, terms.context, mark)
