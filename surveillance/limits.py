"""The thresholds of a firm: by pattern, and by product where a product differs.

    copy_trading: {matches: 6}
    products:
      two-step-100k:
        tick_scalping: {brief_seconds: 10}

What is not said keeps the default of the pattern. What a product does not say keeps what the firm said.
"""

from collections.abc import Mapping
from typing import Any, Final

from pydantic import ValidationError

from domain.file_errors import ThresholdsInvalid
from domain.surveillance.base import Thresholds
from surveillance.pattern import Limits, Pattern
from surveillance.registry import pattern_types

_PRODUCTS: Final = "products"


def patterns_with(told: Mapping[str, Any], name: str) -> dict[str, Pattern[Any]]:
    """Returns every pattern with the firm's thresholds. `told`: the content of the file `name`.

    Raises ThresholdsInvalid for a pattern or a threshold that there is none of, or a value that it cannot have.
    """
    by_product = told.get(_PRODUCTS, {})
    if not isinstance(by_product, Mapping) or not all(isinstance(each, Mapping) for each in by_product.values()):
        raise _invalid(
            name, _PRODUCTS, "is no list of products with their patterns", "Write patterns below each product."
        )
    own = {key: value for key, value in told.items() if key != _PRODUCTS}
    for where, named in ((name, own), *((f"{name}: {product}", each) for product, each in by_product.items())):
        _check_names(where, named)
    found = {}
    for pattern, kind in pattern_types().items():
        default = _thresholds(name, pattern, kind.thresholds, own.get(pattern), {})
        products = {
            str(product): _thresholds(
                f"{name}: {product}", pattern, kind.thresholds, each[pattern], own.get(pattern) or {}
            )
            for product, each in by_product.items()
            if pattern in each
        }
        found[pattern] = kind(Limits(default, products))
    return found


def product_section(told: object, name: str) -> Mapping[str, Any]:
    """Returns the thresholds of a file. Those of a product are in its section `surveillance`, and bind accounts that
    name the product by its key, with or without its version, or by its name. Raises ThresholdsInvalid."""
    if not isinstance(told, Mapping):
        raise _invalid(name, "the file", "holds no thresholds", "Write the names of patterns, with thresholds below.")
    if "product" not in told:
        return told
    section = told.get("surveillance") or {}
    key = str(told["product"])
    names = {key, f"{key}@{told.get('version', 1)}", str(told.get("name", key))}
    return {_PRODUCTS: dict.fromkeys(sorted(names), section)}


def _check_names(where: str, named: Mapping[str, Any]) -> None:
    known = pattern_types()
    for pattern in named:
        if pattern not in known:
            raise _invalid(where, str(pattern), "is no pattern", f"Name one of {', '.join(known)}.")


def _thresholds(where: str, pattern: str, kind: type[Thresholds], told: object, firm: Mapping[str, Any]) -> Thresholds:
    if told is None:
        return kind(**firm)
    if not isinstance(told, Mapping):
        raise _invalid(where, pattern, "has no thresholds", f"Write names and values: {_fields(kind)}.")
    for field in told:
        if field not in kind.model_fields:
            raise _invalid(where, f"{pattern}.{field}", "is no threshold", f"Name one of {_fields(kind)}.")
    try:
        return kind.model_validate({**firm, **told})
    except ValidationError as exc:
        first = exc.errors()[0]
        field = ".".join(str(part) for part in (pattern, *first["loc"]))
        raise _invalid(where, field, f"cannot be: {first['msg']}", "Correct the value.") from exc


def _fields(kind: type[Thresholds]) -> str:
    return ", ".join(kind.model_fields)


def _invalid(where: str, field: str, fault: str, remedy: str) -> ThresholdsInvalid:
    return ThresholdsInvalid(f"{where}: {field} {fault}.", field=field, remedy=remedy)
