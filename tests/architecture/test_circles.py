"""No module imports another that imports it again, directly or through others. Imports for type checking count."""

import ast
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter

from tests.architecture.source import MODULES, PACKAGES, ROOT, files, tree


def _imported(module: ast.Module, ours: set[str]) -> Iterator[str]:
    """The modules of ours that a module imports: `from a import b` means `a.b` where that is a module, else `a`."""
    for node in ast.walk(module):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in ours)
        elif isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                yield from [name for name in (f"{node.module}.{alias.name}", node.module) if name in ours][:1]


def _circle(graph: dict[str, set[str]]) -> list[str]:
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle
    return []


def test_no_module_is_part_of_an_import_circle() -> None:
    paths = {}
    for path in files(*PACKAGES, *MODULES):
        parts = path.relative_to(ROOT).with_suffix("").parts
        paths[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    graph = {name: set(_imported(tree(path), set(paths))) - {name} for name, path in paths.items()}
    assert len(graph) > 400
    assert "monitor.state" in graph["monitor.shard"]
    assert _circle(graph) == []


def test_the_search_for_circles_finds_one() -> None:
    assert set(_circle({"a": {"b"}, "b": {"c"}, "c": {"a"}})) == {"a", "b", "c"}
