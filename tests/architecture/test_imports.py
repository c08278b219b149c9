"""What a process does not run it does not import: each of them would start later and be larger.

Followed are the imports that are carried out when a module is loaded, through all packages of ours. Those inside a
function wait for its call, and those for a type checker are never carried out.
"""

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.architecture.source import MODULES, PACKAGES, ROOT, tree

_SERVERS = {"fastapi", "starlette", "uvicorn", "jinja2", "api", "console", "front"}
_NUMBERS = {"numba", "numpy", "pandas", "scipy"}
_RECORD = {"sqlalchemy", "psycopg", "store", "firm"}
_CALLS = {"httpx", "stripe", "websockets"}
_TEMPORAL = {"temporalio", "workflows", "activities"}
_JUDGING = {"monitor", "surveillance", "domain.rules", "domain.products"}

_NEVER = {
    "cli.main": _SERVERS | _NUMBERS | _RECORD | _CALLS | _TEMPORAL | _JUDGING | {"adapters", "relay", "sandbox"},
    "cli.compose": _SERVERS | _NUMBERS | _CALLS | _TEMPORAL | {"monitor", "surveillance", "adapters", "relay.service"},
    "cli.run.api": _NUMBERS | {"activities", "workflows", "monitor", "surveillance", "relay.service", "stripe"},
    "cli.run.monitor": _SERVERS | {"pandas", "workflows", "surveillance", "relay.service", "stripe", "sandbox"},
    "cli.run.relay": _SERVERS | _NUMBERS | {"workflows", "monitor", "surveillance", "stripe"},
    "cli.sandbox": _NUMBERS | _RECORD | _TEMPORAL | {"stripe", "monitor", "surveillance", "api", "console"},
    "cli.gateway.process": _NUMBERS | _TEMPORAL | {"sqlalchemy", "psycopg", "stripe", "monitor", "api", "console"},
    "cli.doctor.command": _SERVERS | _NUMBERS | {"workflows", "activities", "monitor", "surveillance", "stripe"},
    "cli.up": _SERVERS | {"numba", "pandas", "scipy", "workflows", "monitor", "surveillance", "stripe"},
    "cli.demo.command": _SERVERS | {"numba", "pandas", "scipy", "workflows", "monitor", "surveillance", "stripe"},
    "worker": _SERVERS | {"monitor", "stripe", "sandbox"},
}


@pytest.mark.parametrize("start", _NEVER)
def test_a_process_imports_only_what_it_runs(start: str) -> None:
    came_from = _loaded(start)
    wrong = {name: _chain(came_from, name) for name in came_from if _is_of(name, _NEVER[start])}
    assert not wrong, next(iter(wrong.values()))


def test_an_import_inside_a_function_waits_for_its_call() -> None:
    assert "cli.demo.command" not in _loaded("cli.main")
    assert {"cli.options", "typer"} <= _loaded("cli.main").keys()
    assert "store.models" in _loaded("cli.run.monitor"), "through modules in between"


def _loaded(start: str) -> dict[str, str]:
    """Returns every module that is loaded with `start`, with the one that imports it first."""
    came_from, waiting = {start: ""}, [start]
    while waiting:
        name = waiting.pop(0)
        for imported in _imports_of(name):
            if imported not in came_from:
                came_from[imported] = name
                waiting.append(imported)
    return came_from


def _chain(came_from: dict[str, str], name: str) -> str:
    steps = [name]
    while came_from[steps[-1]]:
        steps.append(came_from[steps[-1]])
    return " <- ".join(steps)


def _is_of(name: str, packages: set[str]) -> bool:
    return any(name == package or name.startswith(f"{package}.") for package in packages)


@cache
def _imports_of(name: str) -> tuple[str, ...]:
    """Returns what a module of ours imports when it is loaded, with the packages above each; () for others."""
    path = _file(name)
    if path is None:
        return ()
    found: list[str] = []
    for each in _carried_out(tree(path).body):
        parts = each.split(".")
        found += [".".join(parts[: end + 1]) for end in range(len(parts))]
    return tuple(each for each in dict.fromkeys(found) if _file(each) is not None or not _is_ours(each))


def _carried_out(body: list[ast.stmt]) -> Iterator[str]:
    for node in body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.If):
            is_for_checkers = isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"
            yield from _carried_out(node.orelse if is_for_checkers else [*node.body, *node.orelse])
        elif isinstance(node, ast.Try | ast.With | ast.ClassDef):
            yield from _carried_out(node.body)


def _is_ours(name: str) -> bool:
    return name.split(".", maxsplit=1)[0] in {*PACKAGES, *MODULES}


@cache
def _file(name: str) -> Path | None:
    """Returns the file of a module or package of ours."""
    if not _is_ours(name):
        return None
    path = ROOT.joinpath(*name.split("."))
    single, package = path.with_suffix(".py"), path / "__init__.py"
    return single if single.is_file() else package if package.is_file() else None
