"""How much of what somebody sent an error message repeats, and in which form."""

from typing import Final

_SHOWN: Final = 80


def cut(text: str, limit: int = _SHOWN) -> str:
    """The text, or its first `limit` characters."""
    return text if len(text) <= limit else f"{text[:limit]}…"


def quoted(value: object, limit: int = _SHOWN) -> str:
    """A value as `repr` shows it, and never long."""
    try:
        return repr(cut(value, limit)) if isinstance(value, str) else cut(repr(value), limit)
    except ValueError:  # an int of thousands of digits has no decimal form
        return "a number too long to show"


def plain(text: str, limit: int = 500) -> str:
    """A neighbour's words as the record can keep them: cut, and without the characters that a database refuses."""
    kept = text[: limit + 1].replace("\x00", "").encode(errors="replace").decode()
    return cut(kept, limit)
