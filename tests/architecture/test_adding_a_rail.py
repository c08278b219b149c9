"""What docs/adding-a-rail.md shows is true: another package's rail is found, configured, and passes the contract."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from cli.adapters import build_payments
from domain.errors import BadInput
from settings import load
from tests.architecture.source import ROOT

THIRD_PARTY: Final = ROOT / "tests" / "third_party"
_PAGE: Final = (ROOT / "docs" / "adding-a-rail.md").read_text()
_FENCES: Final = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
_BLOCKS: Final = _FENCES.findall(_PAGE)
_NAMED, _WORLD = (text for kind, text in _BLOCKS if kind == "python")
_ENVIRONMENT: Final = dict(line.split("=", 1) for kind, text in _BLOCKS if not kind for line in text.splitlines())
# The rest of a firm: what the page does not speak of.
_FIRM: Final = {"PROPOS_SANDBOX_TOKEN": "made-by-up", "PROPOS_WEBHOOK_SECRET": "also"} | {
    f"PROPOS_{group}__CARDS__{field}": value
    for group in ("ACQUIRERS", "STATEMENTS")
    for field, value in (("ADAPTER", "sandbox"), ("URL", "http://cards"), ("TOKEN", "t"), ("WEBHOOK_SECRET", "w"))
}
_IMPORTS: Final = """
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from pydantic import SecretStr
from toy_rail import ToyRail, ToySettings

from ports.rail import Beneficiary
from tests.contract.rail_contract import Fault, RailContract, RailWorld

"""


@pytest.fixture(autouse=True)
def firm(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A firm where the toy's distribution is installed and configured as the page says."""
    for variable in [name for name in os.environ if name.startswith("PROPOS_") and name != "PROPOS_OPEN_PARENTS"]:
        monkeypatch.delenv(variable)
    monkeypatch.setenv("PROPOS_DATA", str(tmp_path))
    monkeypatch.syspath_prepend(str(THIRD_PARTY))
    for name, value in (_FIRM | _ENVIRONMENT).items():
        monkeypatch.setenv(name, value)


async def test_the_rail_is_found_and_configured_without_an_edit_elsewhere() -> None:
    payments = build_payments(load())
    assert payments.rails.default == "wallets"
    assert await payments.rails.of("wallets").healthy() == "toy wire at https://toywire.example"
    assert await payments.statements.of("wallets").entries(None) == []
    ours = [path for path in ROOT.rglob("*.py") if path.is_relative_to(ROOT) and ".venv" not in path.parts]
    named = [path for path in ours if "tests" not in path.parts and "toywire" in path.read_text()]
    assert named == [], "no core file knows it"


def test_a_rail_without_a_statement_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in _ENVIRONMENT:
        if name.startswith("PROPOS_STATEMENTS"):
            monkeypatch.delenv(name)
    with pytest.raises(BadInput, match="'wallets' moves money"):
        build_payments(load())


def test_the_page_shows_this_rail() -> None:
    source = set((THIRD_PARTY / "toy_rail.py").read_text().splitlines())
    assert [line for line in _NAMED.splitlines() if line not in source] == []
    points = next(text for kind, text in _BLOCKS if kind == "toml")
    words = re.findall(r'"(propos\.\w+)"|(\w+) = "(\S+)"', points)
    installed = (THIRD_PARTY / "toy_rail-1.0.dist-info" / "entry_points.txt").read_text()
    assert [f"[{group}]" if group else f"{name} = {target}" for group, name, target in words] == [
        line for line in installed.splitlines() if line
    ]


def test_the_pages_own_test_module_passes_the_contract(tmp_path: Path) -> None:
    module = tmp_path / "test_toy_rail.py"
    module.write_text(_IMPORTS + _WORLD)
    environment = os.environ | {"PYTHONPATH": f"{THIRD_PARTY}{os.pathsep}{ROOT}"}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-n",
        "0",
        "-p",
        "no:cacheprovider",
        "-c",
        str(ROOT / "pyproject.toml"),
    ]
    command += ["--rootdir", str(tmp_path), str(module)]
    answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr
    passed = re.search(r"(\d+) passed", answer.stdout)
    assert passed is not None and int(passed[1]) >= 18 and "skipped" not in answer.stdout
