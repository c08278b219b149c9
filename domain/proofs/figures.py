"""Single values of a proof sheet as text: amounts, parameters, instants."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from domain.money import Money

# Whole numbers are minor units, except where the name ends in what is counted.
_COUNTED: Final = frozenset(["days", "minutes", "offence", "orders", "paid", "positions", "required", "seconds"])
_LONG: Final = re.compile(r"-?\d+\.\d{5,}")


def amount_text(minor: int, currency: str) -> str:
    """Returns "95,000.00 USD"."""
    return str(Money(minor=minor, currency=currency))


def label(name: str) -> str:
    """Returns the name of a figure or code as a label: "limit_minor" becomes "Limit"."""
    text = words(name)
    return text[:1].upper() + text[1:]


def words(name: str) -> str:
    """Returns the name of a figure or code in words: "limit_minor" becomes "limit"."""
    return name.removesuffix("_minor").replace("_", " ")


def figure_text(name: str, value: Any, currency: str) -> str:
    """Returns a figure that was stored as JSON: amounts as money, long ratios with four decimals."""
    is_number = isinstance(value, int) and not isinstance(value, bool)
    if is_number and (name.endswith("_minor") or name.rsplit("_", 1)[-1] not in _COUNTED):
        return amount_text(value, currency)
    return data_text(value)


def data_text(value: Any) -> str:
    """Returns a parameter, or any other JSON data, on one line."""
    if isinstance(value, Mapping):
        return ", ".join(f"{words(name)} {data_text(inner)}" for name, inner in value.items() if inner is not None)
    if isinstance(value, list | tuple):
        return "; ".join(map(data_text, value)) or "none"
    if isinstance(value, str) and _LONG.fullmatch(value):
        return f"{Decimal(value):.4f}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)


def event_text(event: Mapping[str, Any], currency: str) -> str:
    """Returns what an event of `domain.rules.events_json` carries besides its type, number and instant."""
    return ", ".join(
        f"{words(name)} {amount_text(value, currency) if name.endswith('_minor') else data_text(value)}"
        for name, value in event.items()
        if name not in ("type", "seq", "at") and value is not None
    )


def instant_text(at: datetime) -> str:
    """Returns "2025-03-06 08:00:00.25 UTC": exact, without trailing zeros."""
    text = at.astimezone(UTC).replace(tzinfo=None).isoformat(sep=" ")
    return f"{text.rstrip('0') if '.' in text else text} UTC"


def offset_text(minutes: int) -> str:
    """Returns a clock's offset: "UTC+02:00"."""
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours:02d}:{rest:02d}"
