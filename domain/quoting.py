"""Input of others in error messages and records: cut to a bounded length."""

from typing import Final

_SHOWN: Final = 80


def cut(text: str, limit: int = _SHOWN) -> str:
    """Returns the text, or its first `limit` characters with an ellipsis."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def quoted(value: object, limit: int = _SHOWN) -> str:
    """Returns the `repr` of a value, cut to `limit` characters."""
    try:
        return repr(cut(value, limit)) if isinstance(value, str) else cut(repr(value), limit)
    except ValueError:  # an int of thousands of digits has no decimal form
        return "a number too long to show"


def storable_text(text: str, limit: int = 500) -> str:
    """Returns a text of another system for the record: cut, and without characters that a database refuses."""
    kept = text[: limit + 1].replace("\x00", "").encode(errors="replace").decode()
    return cut(kept, limit)
