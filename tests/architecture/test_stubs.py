"""Workflows call stubs, workers run classes: both sides agree on every wire name and type, and nothing is left over."""

import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any, cast, get_type_hints

import pytest

import contracts
from activities.deps import Deps
from activities.monitoring import MonitorActivities
from worker import core_activities

DEFINITION = "__temporal_activity_definition"


def _name(function: Callable[..., Any]) -> str:
    return str(getattr(function, DEFINITION).name)


def _stubs() -> dict[str, Callable[..., Any]]:
    found: dict[str, Callable[..., Any]] = {}
    for module in pkgutil.iter_modules(contracts.__path__):
        loaded = importlib.import_module(f"contracts.{module.name}")
        for _, function in inspect.getmembers(loaded, inspect.isfunction):
            if hasattr(function, DEFINITION):
                found[_name(function)] = function
    return found


class _Nothing:
    """Stands in for every dependency: these tests look at signatures and call nothing."""

    name = "nothing"

    def __getattr__(self, _: str) -> None:
        return None


def _implementations() -> dict[str, Callable[..., Any]]:
    nothing = cast("Any", _Nothing())
    deps = Deps(db=nothing, platforms=nothing, payments=nothing)
    return {_name(function): function for function in (*core_activities(deps), *MonitorActivities(deps).all())}


STUBS, IMPLEMENTATIONS = _stubs(), _implementations()


def test_every_stub_is_implemented_and_every_implementation_has_a_stub() -> None:
    assert set(STUBS) == set(IMPLEMENTATIONS)


@pytest.mark.parametrize("name", sorted(STUBS))
def test_both_sides_have_the_same_types(name: str) -> None:
    stub, implementation = STUBS[name], IMPLEMENTATIONS[name]
    assert list(get_type_hints(stub).values()) == list(get_type_hints(implementation).values())
    assert inspect.iscoroutinefunction(implementation)


@pytest.mark.parametrize("name", sorted(STUBS))
def test_names_read_area_verb_noun(name: str) -> None:
    area, verb = name.split(".")
    assert area.isidentifier()
    assert verb.isidentifier()
