"""Sizes as the floors need them: money that is fixed from the start, or a percentage of a basis that moves."""

from decimal import Decimal

from domain.products import Size


def allowance(size: Size, initial_minor: int, currency: str) -> tuple[int | None, Decimal | None]:
    """(fixed minor units, None) or (None, percent of the anchor or peak)."""
    if size.type in ("pct_of_anchor", "pct_of_peak"):
        return None, size.value
    return size.minor(initial=initial_minor, basis=initial_minor, currency=currency), None
