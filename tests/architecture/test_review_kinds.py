"""Every kind of review that any code opens stands in one table: its words, who closes it, which payouts it holds."""

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from domain.reviews import KINDS, holding
from firm import payment_reviews, reviews
from monitor.facts import ReviewKind
from tests.architecture.source import PACKAGES, ROOT, files, tree, where

# whoever writes the table `reviews`; the others call these
WRITERS: Final = (
    "firm/payment_reviews.py",
    "firm/payouts/stray.py",
    "firm/reviews.py",
    "monitor/record/",
    "store/exposure.py",
    "store/daily_close.py",
)
# functions that take a kind and open a review of it -> where the kind stands: a position, or a keyword
OPENERS: Final[dict[str, int | str]] = {
    "open_review": 1,
    "report": "kind",
    "ReviewNote": 1,
    "Doubt": 0,
    "write_changes": "kind",
}
_CONSTANTS: Final = {"reviews": vars(reviews), "payment_reviews": vars(payment_reviews)}


def _kind_of(node: ast.expr, path: Path) -> str | None:
    """The kind that an expression names; None for a parameter that hands one on."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "ReviewKind":
        return str(ReviewKind[node.attr])
    if isinstance(node, ast.Attribute) and ast.unparse(node.value) in _CONSTANTS:
        return str(_CONSTANTS[ast.unparse(node.value)][node.attr])
    if isinstance(node, ast.Name) and node.id.isupper():
        return str(_CONSTANTS[path.stem][node.id])
    return None


def _opened() -> Iterator[tuple[str, str]]:
    """(kind, place) of every call that opens a review."""
    for path in files(*PACKAGES):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call):
                kind = _argument(node)
                found = kind and _kind_of(kind, path)
                if found:
                    yield found, where(path, node.lineno)


def _argument(call: ast.Call) -> ast.expr | None:
    name = ast.unparse(call.func).rsplit(".", 1)[-1]
    named = {keyword.arg: keyword.value for keyword in call.keywords}
    if name == "review" and call.args and "ReviewKind." in ast.unparse(call.args[0]):  # of a shard's state
        return call.args[0]
    if name == "values" and ast.unparse(call.func).startswith("insert(Review)"):
        return named.get("kind")
    place = OPENERS.get(name)
    if isinstance(place, int):
        return call.args[place] if len(call.args) > place else named.get("kind")
    return named.get(place) if place else None


def test_every_kind_that_is_opened_is_in_the_table_and_no_other() -> None:
    opened = dict(_opened())
    assert {kind: place for kind, place in opened.items() if kind not in KINDS} == {}
    assert set(KINDS) - set(opened) == set()
    assert set(map(str, ReviewKind)) <= set(KINDS)


def test_reviews_are_written_in_few_places() -> None:
    """Nowhere else, or a kind could be opened past the table."""
    wrong = [
        where(path, node.lineno)
        for path in files(*PACKAGES)
        if not str(path.relative_to(ROOT)).startswith(WRITERS)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node).startswith(("insert(Review)", "Review("))
    ]
    assert wrong == []


def test_what_holds_every_payout_of_a_trader_says_what_happened() -> None:
    assert set(payment_reviews.HAPPENED) == holding("trader")
