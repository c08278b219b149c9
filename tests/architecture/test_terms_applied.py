"""Every field of a product's definition is applied to live accounts, or the product check refuses it."""

import ast
from collections.abc import Iterator
from dataclasses import fields as dataclass_fields
from functools import cache
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple, get_args, get_origin

import pytest

from domain.fees import FeeTerms
from domain.payouts import PayoutTerms
from domain.products.checks import NOT_APPLIED
from domain.products.phase import Phase
from domain.products.product import Product
from domain.rules.base import Context
from domain.rules.conduct.news_window import NewsWindow
from domain.rules.terms import Terms
from tests.architecture.source import ROOT, files, imports, tree

# what judges, pays and follows accounts while the firm runs
LIVE: Final = ("domain", "monitor", "firm", "activities", "store", "relay")
# what describes, checks, compares or recomputes a definition: nothing happens to an account because of it
DESCRIBING: Final = (
    "domain/charges.py",
    "domain/histories/",
    "domain/proofs/",
    "domain/products/checks.py",
    "domain/products/diff.py",
    "domain/products/words.py",
    "domain/payouts/words.py",
    "firm/products/",
)
# the same inside a module that also applies it
DESCRIBING_METHODS: Final = {"amounts", "canonical", "path", "problems", "when_broken", "words"}
# modules that hand on a product, or what binds a phase, to code that does not import its class
HANDED_ON_BY: Final = frozenset({"domain.products.phase_terms", "domain.payouts", "firm.challenges", "monitor.state"})
# a field that nothing applies -> the part that has a field of the same name, which is read
SAME_NAME: Final[dict[tuple[type[Terms], str], type[Terms]]] = {
    (FeeTerms, "extension"): Phase,
    (FeeTerms, "add_ons"): Product,
}
# what the rules can ask of an account and no product ever says -> the field that nothing can apply because of that
NEVER_SAID: Final = {"account_type": (NewsWindow, "account_types")}


class Read(NamedTuple):
    """One attribute that a live function reads. `owner`: the class, where it is read from `self`."""

    name: str
    owner: str | None
    path: Path


def _describes(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    validates = any("validator" in ast.unparse(decorator) for decorator in function.decorator_list)
    return validates or function.name in DESCRIBING_METHODS


@cache
def _live_files() -> tuple[Path, ...]:
    named = ((path, str(path.relative_to(ROOT))) for path in files(*LIVE))
    return tuple(path for path, name in named if not name.startswith(DESCRIBING))


@cache
def _used_names() -> frozenset[str]:
    """Every name that a live file loads: a function without a place here is called by nobody."""
    nodes = (node for path in _live_files() for node in ast.walk(tree(path)))
    return frozenset(
        node.id if isinstance(node, ast.Name) else node.attr
        for node in nodes
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load)
    )


def _reads_in(node: ast.AST, owner: str | None, path: Path) -> Iterator[Read]:
    for child in ast.iter_child_nodes(node):
        inside = child.name if isinstance(child, ast.ClassDef) else owner
        if isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef) and _skipped(child):
            continue
        if isinstance(child, ast.Attribute) and isinstance(child.ctx, ast.Load):
            from_self = isinstance(child.value, ast.Name) and child.value.id == "self"
            yield Read(child.attr, owner if from_self else None, path)
        yield from _reads_in(child, inside, path)


def _skipped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    if _describes(function):
        return True
    decorated = bool(function.decorator_list) or function.name.startswith("__")
    return not decorated and function.name not in _used_names()


@cache
def _reads() -> tuple[Read, ...]:
    return tuple(read for path in _live_files() for read in _reads_in(tree(path), None, path))


@cache
def _loaded_from(path: Path) -> frozenset[str]:
    """The modules that a file imports from, and itself."""
    own = ".".join(path.relative_to(ROOT).with_suffix("").parts)
    return frozenset({own, *(name for name, _ in imports(path))})


def _parts(annotation: Any) -> Iterator[type[Terms]]:
    """The parts of a definition that a field of this type holds."""
    if isinstance(annotation, type) and issubclass(annotation, Terms):
        yield annotation
    else:
        for inner in get_args(annotation):
            yield from _parts(inner)


def _schemas() -> dict[type[Terms], frozenset[str]]:
    """Every part of a product's definition -> the modules through which code gets hold of one: those of its classes and
    of what contains it."""
    found: dict[type[Terms], frozenset[str]] = {}

    def visit(part: type[Terms], around: frozenset[str]) -> None:
        known = around | {each.__module__ for each in part.__mro__ if issubclass(each, Terms) and each is not Terms}
        if part in found and known <= found[part]:
            return
        found[part] = found.get(part, frozenset()) | known
        for name, field in part.model_fields.items():
            for inner in _parts(field.annotation) if (part, name) not in NOT_APPLIED else ():
                visit(inner, found[part])

    visit(Product, HANDED_ON_BY)
    return found


def _has_one_value(annotation: Any) -> bool:
    return get_origin(annotation) is Literal and len(get_args(annotation)) == 1


def _is_read(part: type[Terms], field: str, modules: frozenset[str]) -> bool:
    owners = {each.__name__ for each in part.__mro__ if field in getattr(each, "model_fields", {})}
    for read in _reads():
        if read.name == field and (read.owner in owners or (read.owner is None and modules & _loaded_from(read.path))):
            return True
        if read.name == "model_fields" and _names_fields_of(owners, read.path):
            return True
    return False


def _names_fields_of(owners: set[str], path: Path) -> bool:
    """Whether a file goes through all fields of one of these classes."""
    return any(f"{owner}.model_fields" in path.read_text() for owner in owners)


SCHEMAS: Final = _schemas()
FIELDS: Final = [(part, field) for part in SCHEMAS for field in part.model_fields]


@pytest.mark.parametrize(("part", "field"), FIELDS, ids=lambda each: each if isinstance(each, str) else each.__name__)
def test_a_field_of_a_definition_is_applied_or_refused(part: type[Terms], field: str) -> None:
    if _has_one_value(part.model_fields[field].annotation):
        return  # it says nothing that could be applied
    applied = _is_read(part, field, SCHEMAS[part])
    assert applied or (part, field) in NOT_APPLIED


@pytest.mark.parametrize(
    ("part", "field"), NOT_APPLIED, ids=lambda each: each if isinstance(each, str) else each.__name__
)
def test_a_refused_field_is_one_that_nothing_applies(part: type[Terms], field: str) -> None:
    assert field in part.model_fields
    known = (part, field) in NEVER_SAID.values() or field in getattr(SAME_NAME.get((part, field)), "model_fields", {})
    assert not _is_read(part, field, SCHEMAS[part]) or known


def test_the_rules_ask_only_what_a_product_says() -> None:
    """A rule that asks for something else binds on nobody, or on everybody."""
    calls = (
        node
        for node in ast.walk(tree(ROOT / "domain/products/product.py"))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Context"
    )
    said = {keyword.arg for call in calls for keyword in call.keywords}
    assert {field.name for field in dataclass_fields(Context)} - said == set(NEVER_SAID)
    assert set(NEVER_SAID.values()) <= set(NOT_APPLIED)


def test_the_search_for_readers_knows_a_class_from_another() -> None:
    """`type` and `name` are read everywhere; a field counts only where its class can be at hand."""
    assert len(FIELDS) > 200
    assert _is_read(PayoutTerms, "first_after", SCHEMAS[PayoutTerms])
    assert not _is_read(PayoutTerms, "first_after", frozenset({"domain.keys"}))
    assert not _is_read(PayoutTerms, "goodwill_pct", SCHEMAS[PayoutTerms])
