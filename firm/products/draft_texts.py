"""Texts of product definitions: to start a draft from, checked as a draft, and compared line by line."""

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass, replace
from difflib import unified_diff
from functools import cache
from typing import Any, Final

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from domain.errors import NotFound
from domain.file_errors import Fault, ProductInvalid
from domain.products.product import Product
from domain.products.publishing import check_applied, check_next_version
from firm.products.pattern_terms import check_pattern_terms
from firm.products.shelf import EXAMPLES, Venues, line_of, load_products, read_product
from firm.products.yaml_text import read_text

NAME: Final = "definition"  # what messages call the text
_KIND: Final = "type"  # tells apart what else a field can hold
_MOST_LINES: Final = 3_000  # that are compared; to compare more takes too long
_VERSION: Final = re.compile(r"^version:.*$", re.MULTILINE)
_PRODUCT: Final = re.compile(r"^product:.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Example:
    """A product to copy. `file`: its name among the examples."""

    file: str
    family: str
    name: str


@dataclass(frozen=True, slots=True)
class Checked:
    """A text that was checked: the product when it is one, and everything that is wrong with it."""

    product: Product | None
    faults: tuple[Fault, ...]


@cache
def examples() -> tuple[Example, ...]:
    """Returns the examples of the installation, by file."""
    return tuple(
        Example(f"{each.product}.v{each.version}.yaml", each.family, each.name) for each in load_products(EXAMPLES)
    )


def example_text(file: str) -> str:
    """Returns the text of an example, with its comments. Raises NotFound."""
    if file not in {each.file for each in examples()}:
        raise NotFound(f"There is no example {file[:80]}.")
    return read_text(EXAMPLES / file)


def named_anew(text: str, product: str) -> str:
    """Returns a definition as version 1 of another product."""
    return _VERSION.sub("version: 1", _PRODUCT.sub(f"product: {product}", text, count=1), count=1)


def text_of(product: Product) -> str:
    """Returns the definition of a version as YAML: what it states, without the fields that have their default."""
    return _yaml(_stated(product.model_dump(mode="json"), product))


def next_text(product: Product, version: int) -> str:
    """Returns the definition of a version as that of a later one, without what a new version can no longer say."""
    body = _stated(product.model_dump(mode="json"), product) | {"version": version}
    body["payout"].pop("bands", None)  # of how many people approve a payout: the payout policy's now
    return _yaml(body)


def _yaml(body: dict[str, Any]) -> str:
    return yaml.safe_dump(body, sort_keys=False, allow_unicode=True, width=100)


def _stated(dumped: Any, value: Any) -> Any:
    """Returns what a person has to write of a dumped value: its fields that have no default or another value."""
    if isinstance(value, BaseModel) and isinstance(dumped, dict):
        return {
            name: _stated(dumped[name], getattr(value, name))
            for name, field in type(value).model_fields.items()
            if name in dumped and (field.is_required() or name == _KIND or getattr(value, name) != _default(field))
        }
    if isinstance(value, list | tuple) and isinstance(dumped, list):
        return [_stated(part, own) for part, own in zip(dumped, value, strict=True)]
    if isinstance(value, dict) and isinstance(dumped, dict) and value.keys() == dumped.keys():
        return {name: _stated(dumped[name], own) for name, own in value.items()}
    return dumped


def _default(field: FieldInfo) -> Any:
    return field.get_default(call_default_factory=True, validated_data={})


def check(text: str, venues: Venues | None) -> Checked:
    """Checks a text as if it were proposed; the number of its version is not checked."""
    try:
        product = read_product(text, NAME, venues)
    except ProductInvalid as refused:
        return Checked(None, refused.faults)
    return Checked(product, (*_refusals(text, product, check_applied), *_refusals(text, product, check_pattern_terms)))


def with_version(found: Checked, text: str, known: Collection[int]) -> Checked:
    """Adds that the number of the version does not follow `known`, the published versions of its product."""
    if found.product is None:
        return found
    follows = _refusals(text, found.product, lambda product: check_next_version(product, max(known, default=None)))
    return replace(found, faults=(*found.faults, *follows))


def _refusals(text: str, product: Product, checks: Callable[[Product], None]) -> list[Fault]:
    try:
        checks(product)
    except ProductInvalid as refused:
        return _placed(text, refused)
    return []


def _placed(text: str, refused: ProductInvalid) -> list[Fault]:
    """Finds the lines of errors that a definition has although it can be read."""
    root = yaml.compose(text, Loader=yaml.SafeLoader)
    found = []
    for row in refused.message.splitlines():
        field, parted, problem = row.partition(": ")
        if not parted:
            field, problem = refused.field or "", row
        steps = tuple(int(step) if step.isdecimal() else step for step in field.split("."))
        found.append(Fault(line_of(root, steps) if root else None, field, f"{problem} {refused.remedy or ''}".strip()))
    return found


def line_changes(before: str, after: str) -> tuple[str, ...] | None:
    """Returns the lines of a unified diff; None when the texts are too long to compare."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) > _MOST_LINES or len(new) > _MOST_LINES:
        return None
    return tuple(line for line in unified_diff(old, new, lineterm="", n=2) if not line.startswith(("---", "+++")))
