"""Fields of DXtrade's messages that have no shape of their own."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Final

from ports.venue import Unreadable

_DIGITS: Final = 15  # of a price, on either side of the point


def field(found: Any, name: str) -> Any:
    if not isinstance(found, dict) or name not in found:
        raise Unreadable(f"{name}: is missing")
    return found[name]


def price(event: Any, name: str) -> Decimal:
    """Raises Unreadable for a price of zero or below: no account is judged on one."""
    value = field(event, name)
    if isinstance(value, int) and not isinstance(value, bool):
        value = Decimal(value)
    if not isinstance(value, Decimal) or value <= 0 or abs(value.adjusted()) > _DIGITS:
        raise Unreadable(f"{name}: no price above zero")
    return value


def time_of(text: str) -> datetime:
    """Reads a time with a zone. Raises Unreadable."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise Unreadable(f"time: {text[:40]!r} is no time with a zone")
    return found.astimezone(UTC)
