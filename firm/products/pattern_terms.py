"""Checks what a product says of patterns of abuse: there is such a pattern, and it can judge by such a value."""

from pydantic import ValidationError

from domain.file_errors import ProductInvalid
from domain.products.product import Product
from domain.surveillance.thresholds import with_numbers


def check_pattern_terms(product: Product) -> None:
    """Raises ProductInvalid with a row for each value of the section `surveillance` that cannot be."""
    if not product.surveillance:
        return
    from surveillance.registry import pattern_types  # patterns bring scipy, which only this needs

    known, rows = pattern_types(), list[str]()
    for name, values in product.surveillance.items():
        if name not in known:
            rows.append(f"surveillance.{name}: there is no such pattern; name one of {', '.join(known)}")
            continue
        default = known[name].thresholds()
        for field, value in values.items():
            if field not in type(default).model_fields:
                names = ", ".join(type(default).model_fields)
                rows.append(f"surveillance.{name}.{field}: there is no such threshold; name one of {names}")
                continue
            try:
                with_numbers(default, {field: value})
            except ValidationError as exc:
                rows.append(f"surveillance.{name}.{field}: {exc.errors(include_input=False)[0]['msg']}")
    if rows:
        raise ProductInvalid("\n".join(rows), field="surveillance")
