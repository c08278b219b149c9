"""Figures of a proof as people read them."""

import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any, Final

from domain.money import Money

# Whole numbers are minor units, save those whose name ends in what they count.
_COUNTED: Final = frozenset(["days", "minutes", "offence", "orders", "paid", "positions", "required", "seconds"])
_LONG: Final = re.compile(r"-?\d+\.\d{5,}")


def amount(minor: int, currency: str) -> str:
    return str(Money(minor=minor, currency=currency))


def named(name: str) -> str:
    """ "limit_minor" -> "limit"."""
    return name.removesuffix("_minor").replace("_", " ")


def spoken(name: str, value: Any, currency: str) -> str:
    """One figure, as JSON has it: amounts as money, ratios to four places."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number and (name.endswith("_minor") or name.rsplit("_", 1)[-1] not in _COUNTED):
        return amount(value, currency)
    return told(value)


def told(value: Any) -> str:
    """Parameters and other data in one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{named(name)} {told(inner)}" for name, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return "; ".join(map(told, value)) or "none"
    if isinstance(value, str) and _LONG.fullmatch(value):
        return f"{Decimal(value):.4f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def event_told(event: Mapping[str, Any], currency: str) -> str:
    """What an event of `domain.rules.events_json` carries beside its type, number and instant."""
    return ", ".join(
        f"{named(name)} {amount(value, currency) if name.endswith('_minor') else told(value)}"
        for name, value in event.items()
        if name not in ("type", "seq", "at") and value is not None
    )


def offset(minutes: int) -> str:
    """A clock's offset: "UTC+02:00"."""
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
