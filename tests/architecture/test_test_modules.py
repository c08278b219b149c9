"""Test modules hold tests; what several of them share lives in a helper module beside them."""

from pathlib import Path
from typing import Final

import pytest
from hypothesis import settings

from tests.architecture.source import ROOT, imports, where

TESTS: Final = sorted((ROOT / "tests").rglob("*.py"))


def _test_module(name: str) -> bool:
    return name.startswith("tests.") and any(part.startswith("test_") for part in name.split(".")) and _exists(name)


def _exists(name: str) -> bool:
    """Whether it is a module: `from a.helper import test_data` names none."""
    return (ROOT / Path(*name.split("."))).with_suffix(".py").is_file()


def test_nothing_is_imported_from_a_module_of_tests() -> None:
    """It would run what that module does when it is loaded, and a test renamed there would break one here."""
    wrong = [
        f"{where(path, line)} imports {name}" for path in TESTS for name, line in imports(path) if _test_module(name)
    ]
    assert wrong == []


@pytest.mark.parametrize(
    ("name", "found"),
    [("tests.unit.test_money", True), ("tests.unit.oracle", False), ("tests.unit.test_money.AMOUNTS", False)],
)
def test_the_search_knows_a_module_of_tests(name: str, found: bool) -> None:
    assert _test_module(name) is found


def test_no_property_has_a_deadline() -> None:
    """A busy machine is no bug: how long an example takes says nothing about the code."""
    assert settings().deadline is None
