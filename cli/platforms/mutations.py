"""Wrong versions of one recorded message: what networks, venues and their next releases make of it."""

import json
import re
from collections.abc import Callable, Iterator
from decimal import Decimal, InvalidOperation
from typing import Any, Final

_MOST_LEAVES: Final = 200
_TIME: Final = re.compile(r"\d{4}-\d{2}-\d{2}[T ]\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:?\d{2})?")
_ADDED: Final = "propos_unknown"
Path = tuple[str | int, ...]


def mutations(body: bytes) -> Iterator[tuple[str, bytes]]:
    """Yields (what was done, the bytes)."""
    for share in (0, 1, 3):
        yield f"cut off after {share} quarters", body[: len(body) * share // 4]
    yield "with one byte more", body + b"\x00"
    yield "with a broken byte", body[: len(body) // 2] + b"\xff\xfe" + body[len(body) // 2 + 1 :]
    found = _document(body)
    if found is None:
        return
    head, document, tail = found
    for words, changed in _changes(document):
        yield words, head + json.dumps(changed).encode() + tail


def shape(body: bytes) -> str:
    """Returns what a message is made of, so that of many of the same kind a few are enough."""
    found = _document(body)
    if found is None:
        return f"{len(body) // 8} {body[:2]!r}"
    names = [f"{path}={value if _is_word(value) else type(value).__name__}" for path, value in _leaves(found[1])]
    return " ".join(names[:40])


def _document(body: bytes) -> tuple[bytes, Any, bytes] | None:
    """Returns (bytes before, the first JSON document in it, bytes after); None for a message without one."""
    try:
        text = body.decode()
        start = min(place for place in (text.find("{"), text.find("[")) if place >= 0)
        document, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError):
        return None
    return text[:start].encode(), document, text[end:].encode()


def _changes(document: Any) -> Iterator[tuple[str, Any]]:
    for path, value in list(_objects(document))[:_MOST_LEAVES]:
        yield f"with an unknown field in {_words(path)}", _with(document, path, value | {_ADDED: {"a": [1]}})
        for name in value:
            rest = {key: each for key, each in value.items() if key != name}
            yield f"without {_words((*path, name))}", _with(document, path, rest)
    for path, value in list(_leaves(document))[:_MOST_LEAVES]:
        for words, other in _others(value):
            yield f"with {words} in {_words(path)}", _with(document, path, other)


def _others(value: Any) -> Iterator[tuple[str, Any]]:
    """Yields other values for one leaf."""
    wrong: tuple[Any, ...] = (None, True, [1], {"a": 1}, "", "not a number" if _number(value) is not None else 17, 1.5)
    for each in wrong:
        if each != value:
            yield f"a wrong type ({json.dumps(each)})", each
    if isinstance(value, str) and _is_word(value):
        yield "an unknown word", "PROPOS_UNKNOWN"
    if isinstance(value, str) and _TIME.fullmatch(value):
        plain = re.sub(r"(Z|[+-]\d{2}:?\d{2})$", "", value)
        yield "a time of another zone", f"{plain}+05:30"
        yield "a time without a zone", plain
    if (number := _number(value)) is not None:
        as_given: Callable[[Any], Any] = str if isinstance(value, str) else lambda each: each
        for words, other in (("zero", 0), ("a negative number", -1), ("a huge number", 10**30)):
            if other != number:
                yield words, as_given(other)
        yield "no number at all", "NaN" if isinstance(value, str) else float("nan")


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _is_word(value: Any) -> bool:
    return isinstance(value, str) and len(value) <= 40 and value.replace("_", "").replace("-", "").isalpha()


def _leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else None
    if children is None:
        yield path, value
        return
    for name, child in children:
        yield from _leaves(child, (*path, name))


def _objects(value: Any, path: Path = ()) -> Iterator[tuple[Path, dict[str, Any]]]:
    if isinstance(value, dict):
        yield path, value
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        yield from _objects(child, (*path, name))


def _with(document: Any, path: Path, value: Any) -> Any:
    """Returns a copy in which `value` is at `path`."""
    if not path:
        return value
    copy: Any = dict(document) if isinstance(document, dict) else list(document)
    copy[path[0]] = _with(document[path[0]], path[1:], value)
    return copy


def _words(path: Path) -> str:
    return ".".join(map(str, path)) or "the message"
