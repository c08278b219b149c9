"""What docs/adding-a-rule.md shows is true: its module is found, its test passes, a product may use it."""

import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from domain.rules import conduct, registry
from domain.rules.base import RuleBase
from tests.architecture.source import ROOT

_BLOCKS = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "adding-a-rule.md").read_text(), re.MULTILINE | re.DOTALL
)
_NAME = "domain.rules.conduct.max_positions"


@pytest.fixture
def module(tmp_path: Path) -> Iterator[type[RuleBase]]:
    """The document's module, lying in the conduct rules' folder as far as imports can tell."""
    (tmp_path / "max_positions.py").write_text(_BLOCKS[0])
    conduct.__path__.append(str(tmp_path))
    registry.rule_types.cache_clear()
    importlib.invalidate_caches()
    try:
        yield registry.rule_types()["max_positions"]
    finally:
        conduct.__path__.remove(str(tmp_path))
        sys.modules.pop(_NAME, None)
        registry.rule_types.cache_clear()


def test_a_new_module_is_found_without_an_edit_elsewhere(module: type[RuleBase]) -> None:
    rule = module.model_validate({"type": "max_positions", "limit": 2})
    assert rule.id == "max_positions"
    assert "max_positions" not in (ROOT / "domain" / "rules" / "registry.py").read_text()


def test_the_documents_test_passes(module: type[RuleBase]) -> None:
    shown: dict[str, Any] = {"MaxPositions": module}
    exec(compile(_BLOCKS[1], "adding-a-rule.md", "exec"), shown)
    tests = [value for name, value in shown.items() if name.startswith("test_")]
    assert len(tests) == 1
    tests[0]()


def test_the_module_is_gone_again() -> None:
    assert "max_positions" not in registry.rule_types()
