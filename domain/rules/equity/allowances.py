"""The allowance of a rule as fields of its levels, and what it may be."""

from decimal import Decimal
from typing import TypedDict

from domain.rules.terms import MovingSize, Size, SizeType


class Allowance(TypedDict):
    """The fields of a `FloorSpec` that a size fills: fixed minor units, percent of the basis, or a size that needs
    other figures of the account."""

    allowance_minor: int | None
    allowance_pct: Decimal | None
    allowance_size: MovingSize | None


def allowance(size: Size, initial_minor: int, currency: str, own: SizeType | None = None) -> Allowance:
    """Returns a size as fields of a `FloorSpec`. `own`: the size type that is a percentage of the rule's own basis."""
    if size.is_plain and size.type == own:
        return {"allowance_minor": None, "allowance_pct": size.value, "allowance_size": None}
    if size.is_plain and size.type in ("amount", "pct_of_initial"):
        fixed = size.minor(initial=initial_minor, basis=initial_minor, currency=currency)
        return {"allowance_minor": fixed, "allowance_pct": None, "allowance_size": None}
    return {"allowance_minor": None, "allowance_pct": None, "allowance_size": MovingSize(size, currency)}


def allowance_problem(size: Size, name: str = "allowance") -> str:
    """Returns why a size cannot limit the worth of an account; empty when it can."""
    if size.type == "pct_of_trade_value":
        return f"{name}: a limit of the account is no percentage of the value of a trade; use another type"
    return ""
