"""Recomputes a proof sheet from itself alone and reports every difference."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from pydantic import ValidationError

from domain.products.phase_terms import PhaseTerms, phase_terms
from domain.products.product import Product
from domain.proofs import money as proof
from domain.proofs.check_departure import check_carried, check_departure
from domain.proofs.check_history import check_gate, check_pass_gates, check_violation
from domain.proofs.check_money import check_breach, check_money, check_pass
from domain.proofs.check_payout import check_refusal
from domain.proofs.difference import Difference, compare, compare_part
from domain.proofs.sheets import (
    AnySheet,
    BreachSheet,
    DepartureSheet,
    GateSheet,
    MoneySheet,
    PassSheet,
    PayoutRefusalSheet,
    ViolationSheet,
    read,
)

__all__ = ["Difference", "check"]

Check = Callable[[Any, PhaseTerms], Iterator[Difference]]
_CHECKS: Final[dict[type, tuple[Check, ...]]] = {
    BreachSheet: (check_money, check_breach),
    PassSheet: (check_money, check_pass, check_pass_gates),
    ViolationSheet: (check_violation,),
    GateSheet: (check_gate,),
    PayoutRefusalSheet: (check_refusal,),
    DepartureSheet: (check_money, check_departure),
}


def check(data: Mapping[str, Any]) -> list[Difference]:
    """Returns every difference between the values of a sheet and the values that follow from it; empty: the sheet is
    right.

    Needs no database. `data`: JSON data as `sealed` returns it. Never raises for bad content.
    """
    found = []
    try:
        actual = proof.digest(data)
    except (TypeError, ValueError, RecursionError) as exc:
        return [Difference("hash", str(data.get("hash")), f"no hash can be taken of it: {exc}")]
    if data.get("hash") != actual:
        found.append(Difference("hash", str(data.get("hash")), actual))
    try:
        sheet = read(dict(data))
        known = _known(json.dumps(sheet.product.terms, sort_keys=True))
    except ValidationError as exc:
        return [*found, *_misshapen(exc, str(data.get("kind")))]
    except RecursionError:
        return [*found, Difference("sheet", "nested too deep", "a proof sheet")]
    if not 1 <= sheet.account.phase_index <= known.product.funded_index:
        return [*found, Difference("account.phase_index", str(sheet.account.phase_index), "a phase of the product")]
    initial_minor = sheet.account.initial_minor
    if not known.product.has_size(sheet.account.phase_index, initial_minor):
        size = str(known.product.initial_of(sheet.account.phase_index))
        return [*found, Difference("account.initial_minor", str(initial_minor), size)]
    terms = phase_terms(known.product, sheet.account.phase_index, initial_minor=initial_minor)
    parts: tuple[Check, ...] = (_written, *_CHECKS[type(sheet)])
    differences = [*found, *_identity(sheet, terms, known), *check_carried(sheet)]
    differences += [difference for part in parts for difference in part(sheet, terms)]
    return differences + list(_as_text(data, sheet, differences))


@dataclass(frozen=True, slots=True)
class _Known:
    """The product of a sheet, with its terms as data and their hash."""

    product: Product
    terms: dict[str, Any]
    content_hash: str


@lru_cache(maxsize=32)
def _known(terms: str) -> _Known:
    """Returns the product with these terms, written as JSON. A file of sheets is mostly about one product."""
    product = Product.model_validate(json.loads(terms))
    return _Known(product, product.model_dump(mode="json"), product.content_hash)


def _misshapen(exc: ValidationError, kind: str) -> Iterator[Difference]:
    for error in exc.errors():
        where = [str(step) for step in error["loc"]]
        field = ".".join(where[1:] if where[:1] == [kind] else where)
        yield Difference(field or "kind", str(error["input"])[:60], error["msg"])


def _as_text(data: Mapping[str, Any], sheet: AnySheet, found: list[Difference]) -> Iterator[Difference]:
    """The text of the sheet must be the only way to write it: no field left out, no other form of a figure."""
    again = sheet.model_dump(mode="json")
    if not found:
        for name, value in again.items():
            if isinstance(value, str) and data.get(name) == value:
                continue
            yield from compare(name, json.dumps(data.get(name), sort_keys=True), json.dumps(value, sort_keys=True))


def _written(sheet: AnySheet, terms: PhaseTerms) -> Iterator[Difference]:
    at = sheet.event.at if isinstance(sheet, MoneySheet | ViolationSheet) else None
    if isinstance(sheet, GateSheet):
        at = sheet.now.at
    if at is not None:
        yield from compare_part("clock", sheet.clock, proof.clock_part(terms.product.clock, at))


def _identity(sheet: AnySheet, terms: PhaseTerms, known: _Known) -> Iterator[Difference]:
    product = terms.product
    yield from compare("product.ref", sheet.product.ref, product.ref)
    yield from compare("product.content_hash", sheet.product.content_hash, known.content_hash)
    yield from compare("product.terms", sheet.product.terms, known.terms)
    yield from compare("account.phase_name", sheet.account.phase_name, terms.phase.name)
    yield from compare("account.currency", sheet.account.currency, product.currency)
