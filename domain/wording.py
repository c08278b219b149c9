"""How the domain writes figures and lists in text for people. Every sentence of the domain takes them from here."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from decimal import Decimal

from domain.money import Money


def money(minor: int, currency: str) -> str:
    """Returns minor units as an amount: "5,000.00 USD"."""
    return str(Money(minor=minor, currency=currency))


def number(value: Decimal) -> str:
    """Returns a number without trailing zeros: "0.1", "3", "10"."""
    return f"{value.normalize():f}"


def percent(value: Decimal) -> str:
    """Returns "80 %", "0.5 %"."""
    return f"{number(value)} %"


def count(how_many: int, noun: str, plural: str = "") -> str:
    """Returns "1 day", "2 days"."""
    return f"{how_many} {noun if how_many == 1 else plural or f'{noun}s'}"


def times(how_many: int) -> str:
    """Returns "once", "twice", "3 times"."""
    return {1: "once", 2: "twice"}.get(how_many, f"{how_many} times")


def span(seconds: int) -> str:
    """Returns a time in the largest unit that says it exactly: "30 seconds", "5 minutes", "90 minutes", "2 hours"."""
    for unit, size in (("hour", 3600), ("minute", 60)):
        if seconds and seconds % size == 0:
            return count(seconds // size, unit)
    return count(seconds, "second")


def rough(length: timedelta) -> str:
    """Returns a time roughly, in the unit that people would use: "90 s", "45 min", "5 h", "7 d"."""
    seconds = int(length.total_seconds())
    for unit, size, most in (("s", 1, 120), ("min", 60, 7200), ("h", 3600, 172_800)):
        if seconds < most:
            return f"{seconds // size} {unit}"
    return f"{seconds // 86_400} d"


def instant(at: datetime) -> str:
    """Returns an instant to the minute: "2026-03-01 12:00 UTC". `at` is in UTC."""
    return f"{at:%Y-%m-%d %H:%M} UTC"


def name(code: str) -> str:
    """Returns a code or an id of a rule as words: "daily_loss" becomes "daily loss"."""
    return code.replace("_", " ")


def listing(parts: Sequence[str], last: str = "and") -> str:
    """Returns "a", "a and b", "a, b and c"; `last` is the word before the last part."""
    if len(parts) < 2:
        return "".join(parts)
    return f"{', '.join(parts[:-1])} {last} {parts[-1]}"


def capital(text: str) -> str:
    """Returns the text with a capital first letter."""
    return f"{text[:1].upper()}{text[1:]}"


def sentence(text: str) -> str:
    """Returns the text with a full stop at its end."""
    kept = text.strip()
    return kept if kept.endswith((".", "!", "?")) else f"{kept}."


def clause(sentence_text: str) -> str:
    """Returns a sentence as a part of a larger one: a small first letter and no full stop."""
    return f"{sentence_text[:1].lower()}{sentence_text[1:].rstrip('.')}"
