"""Things that are made in one place: business keys, workflow ids, messages, the sentence that asks for a reason."""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_type_hints

import workflows
from contracts import ids
from contracts.messages import SIGNALS, STARTS
from tests.architecture.source import MODULES, PACKAGES, ROOT, files, tree, where

_SOURCE = [path for name in (*PACKAGES, *MODULES) for path in files(name)]
_SENDERS = {"signal_workflow", "start_workflow", "start_again", "enqueue"}
_KINDS = (
    *("case/", "challenge/", "chargeback/", "daily-close/", "dispute/"),
    *("payout/", "reconciliation/", "shard/", "surveillance/"),
)


def _calls(path: Path) -> Iterator[tuple[str, int]]:
    """(name, line) of every call, without the module before it."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func).rpartition(".")[2], node.lineno


def _is(path: Path, *names: str) -> bool:
    return str(path.relative_to(ROOT)) in names


def test_derived_ids_are_named_in_the_module_of_keys() -> None:
    wrong = [
        where(path, line)
        for path in _SOURCE
        if not _is(path, "domain/keys.py") and not path.is_relative_to(ROOT / "cli" / "bench")
        for name, line in _calls(path)
        if name == "derived_id"
    ]
    assert wrong == []


def test_workflow_ids_are_built_in_the_contracts() -> None:
    """Keys may begin with the same word; those are in `domain/keys.py`. So may the names under which a platform knows
    the readers of its stream, in `ports/platform.py`."""
    wrong = [
        where(path, node.lineno)
        for path in _SOURCE
        if not _is(path, "contracts/ids.py", "domain/keys.py", "ports/platform.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.JoinedStr | ast.Constant) and _is_workflow_id(node)
    ]
    assert wrong == []


def _is_workflow_id(node: ast.JoinedStr | ast.Constant) -> bool:
    if isinstance(node, ast.Constant):
        return node.value in (ids.SURVEILLANCE_WORKFLOW, ids.SURVEILLANCE_WINDOWS_WORKFLOW, ids.RECONCILIATION_WORKFLOW)
    first, *rest = node.values or [ast.Constant("")]
    return isinstance(first, ast.Constant) and first.value in _KINDS and bool(rest)


def test_messages_are_sent_through_the_firm() -> None:
    """So that each has a type, and no payload is written by hand."""
    allowed = ("firm/messages.py", "store/outbox.py")
    wrong = [
        where(path, node.lineno)
        for path in _SOURCE
        if not _is(path, *allowed)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and node.func.attr in _SENDERS
        and ast.unparse(node.func.value) == "outbox"
    ]
    assert wrong == []


def test_a_reason_is_asked_for_in_one_place() -> None:
    found = [
        where(path, node.lineno)
        for path in _SOURCE
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and node.value == "Say why."
    ]
    assert [place.partition(":")[0] for place in found] == ["domain/approvals.py"]


def test_decisions_are_recorded_through_the_guard() -> None:
    wrong = [
        where(path, node.lineno)
        for path in _SOURCE
        if not _is(path, "firm/decide.py")
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "decisions.record"
    ]
    assert wrong == []


def _workflows() -> dict[str, Any]:
    """Wire name -> class."""
    found = {}
    for module in pkgutil.iter_modules(workflows.__path__):
        loaded = importlib.import_module(f"workflows.{module.name}")
        for _, kind in inspect.getmembers(loaded, inspect.isclass):
            definition = kind.__dict__.get("__temporal_workflow_definition")
            if definition is not None and kind.__module__ == loaded.__name__:
                found[definition.name] = kind
    return found


def test_every_workflow_takes_the_input_that_is_sent() -> None:
    taken = {name: next(iter(get_type_hints(kind.run).values())) for name, kind in _workflows().items()}
    assert taken == dict(STARTS)


def test_every_signal_is_taken_as_the_type_that_is_sent() -> None:
    taken: dict[str, set[Any]] = {}
    for kind in _workflows().values():
        for name, handler in kind.__temporal_workflow_definition.signals.items():
            taken.setdefault(name, set()).add(next(iter(get_type_hints(handler.fn).values())))
    assert taken == {name: {message} for name, message in SIGNALS.items()}
