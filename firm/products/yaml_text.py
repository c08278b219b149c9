"""Reads YAML that people send: small, shallow, and without the parts that expand a few bytes to gigabytes."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from domain.file_errors import YamlInvalid
from domain.quoting import cut

MAX_BYTES: Final = 100_000
MAX_DEPTH: Final = 30
MAX_VALUES: Final = 10_000  # with every alias counted as what it repeats
MAX_TEXT: Final = 2_000  # characters of one value or key


def read_text(path: Path) -> str:
    """Returns the text of a YAML file, read up to the size limit. Raises YamlInvalid."""
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
        if len(raw) > MAX_BYTES:
            raise _too_long(path.name)
        return raw.decode()
    except (OSError, ValueError) as exc:  # ValueError: bytes that are no UTF-8
        raise YamlInvalid(f"{path.name}: cannot be read: {cut(str(exc), 200)}", field=path.name) from exc


def read_yaml(text: str, name: str) -> tuple[yaml.Node | None, Any]:
    """(the document with its lines, its data); (None, None) when it is empty. Raises YamlInvalid that begins with
    `name:line`."""
    if len(text.encode(errors="replace")) > MAX_BYTES:
        raise _too_long(name)
    try:
        _check(text)
        loader = yaml.SafeLoader(text)
        try:
            root = loader.get_single_node()
            return root, None if root is None else loader.construct_document(root)
        finally:
            loader.dispose()
    except yaml.YAMLError as exc:
        mark = getattr(exc, "problem_mark", None)
        line = mark.line + 1 if mark else 1
        problem = cut(str(getattr(exc, "problem", None) or exc), 200)
        raise YamlInvalid(f"{name}:{line} is not YAML: {problem}", field=name, line=line) from exc
    except (ValueError, OverflowError) as exc:  # a date that does not exist, a number without an end
        raise YamlInvalid(f"{name}: cannot be read: {cut(str(exc), 200)}", field=name) from exc


def _too_long(name: str) -> YamlInvalid:
    return YamlInvalid(
        f"{name}: cannot be read: it is longer than {MAX_BYTES:,} bytes",
        field=name,
        remedy="Send only the definition; leave out comments if need be.",
    )


class _TooMuch(yaml.YAMLError):
    """The document is larger or deeper than we allow."""

    def __init__(self, problem: str, event: yaml.Event) -> None:
        super().__init__(problem)
        self.problem, self.problem_mark = problem, event.start_mark


@dataclass
class _Size:
    """The number of values in a part of the document after expanding aliases, and their depth."""

    values: int = 1
    height: int = 1
    anchor: str | None = None

    def add(self, part: "_Size") -> None:
        self.values += part.values
        self.height = max(self.height, part.height + 1)


@dataclass
class _Measure:
    open: list[_Size] = field(default_factory=lambda: [_Size()])  # the parts that have begun, the document first
    anchors: dict[str, _Size] = field(default_factory=dict)


def _check(text: str) -> None:
    """Raises _TooMuch before anything is built: events are read one by one, whatever they would grow to."""
    measure = _Measure()
    for event in yaml.parse(text, Loader=yaml.SafeLoader):
        if getattr(event, "tag", None) is not None:
            raise _TooMuch("a tag (!) is not allowed here; write the storable_text value", event)
        if isinstance(event, yaml.ScalarEvent):
            if len(event.value) > MAX_TEXT:
                raise _TooMuch(f"a value is longer than {MAX_TEXT:,} characters", event)
            _end(measure, _Size(anchor=event.anchor), event)
        elif isinstance(event, yaml.AliasEvent):
            _repeat(measure, event)
        elif isinstance(event, yaml.CollectionStartEvent):
            measure.open.append(_Size(anchor=event.anchor))
            if len(measure.open) > MAX_DEPTH:
                raise _TooMuch(f"it is nested more than {MAX_DEPTH} levels deep", event)
        elif isinstance(event, yaml.CollectionEndEvent):
            _end(measure, measure.open.pop(), event)


def _repeat(measure: _Measure, event: yaml.AliasEvent) -> None:
    if any(part.anchor == event.anchor for part in measure.open):
        raise _TooMuch("an alias (*) is inside the value that it repeats", event)
    named = measure.anchors.get(str(event.anchor), _Size())  # an unknown name is refused by the reader
    _end(measure, _Size(named.values, named.height), event)


def _end(measure: _Measure, part: _Size, event: yaml.Event) -> None:
    """Adds a finished part to its parent, and remembers its size for the aliases of its anchor."""
    if part.anchor is not None:
        measure.anchors[part.anchor] = part
    measure.open[-1].add(part)
    if measure.open[-1].values > MAX_VALUES or len(measure.open) - 1 + part.height > MAX_DEPTH:
        raise _TooMuch(
            f"it has more than {MAX_VALUES:,} values or more than {MAX_DEPTH} levels"
            " once its aliases (*) are written out",
            event,
        )
