"""`./propos` on machines that differ in what they have: uv, pipx, only Python, not even the whole of Python."""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests import servers

_ROOT: Final = Path(__file__).parents[2]
_DEBIAN: Final = Path("/usr/bin/python3")  # the system's Python, not the one of these tests
_INDEX: Final = ("PIP_", "UV_", "SSL_", "HTTP", "http", "NO_PROXY", "no_proxy", "REQUESTS_CA")

pytestmark = pytest.mark.timeout(1800)  # it downloads the packages, also over a slow line


@pytest.fixture(scope="module")
def clone() -> Iterator[Path]:
    with servers.scratch_dir("starter") as folder:
        subprocess.run(["git", "clone", "--quiet", str(_ROOT), str(folder / "clone")], check=True)
        yield folder / "clone"


def _run(clone: Path, *arguments: str, path: str, python: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """Runs `./propos` in an empty home, with no more of this environment than where packages come from."""
    home = clone.parent / "home"
    home.mkdir(exist_ok=True)
    kept = {name: value for name, value in os.environ.items() if name.startswith(_INDEX)}
    env = kept | {"HOME": str(home), "PATH": path, "UV_CACHE_DIR": str(clone.parent / "cache"), **more}
    env.pop("UV_PROJECT_ENVIRONMENT", None)
    command = [str(python), str(clone / "propos"), *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=1500, check=False)


def _fake(folder: Path, name: str) -> str:
    """A folder with a program that prints what it was called with."""
    folder.mkdir()
    (folder / name).write_text('#!/bin/sh\necho "$0" "$@"\n')
    (folder / name).chmod(0o755)
    return str(folder)


def _without(folder: Path, *modules: str) -> str:
    """A PYTHONPATH on which these modules cannot be imported, as in Debian's smaller packages."""
    folder.mkdir()
    for module in modules:
        (folder / f"{module}.py").write_text(f"raise ImportError('no {module} here')")
    return str(folder)


@pytest.fixture
def debian() -> Path:
    if not [*Path("/usr/lib").glob("python3*/EXTERNALLY-MANAGED")] or not _DEBIAN.exists():
        pytest.skip("the system has no Python that is marked externally managed")
    return _DEBIAN


def test_uv_on_the_path_runs_the_command_without_development_packages(clone: Path, tmp_path: Path) -> None:
    path = _fake(tmp_path / "bin", "uv")
    ran = _run(clone, "demo", "--accounts", "35", path=path, python=Path(sys.executable))
    run = f"{path}/uv run --project {clone} --frozen"
    assert ran.stdout == f"{run} --no-dev propos demo --accounts 35\n"
    tests = _run(clone, "test", "-k", "floor", path=path, python=Path(sys.executable))
    assert tests.stdout == f"{run} pytest -k floor\n"
    assert not (clone / ".tools").exists()


def test_pipx_brings_uv(clone: Path, tmp_path: Path) -> None:
    path = _fake(tmp_path / "bin", "pipx")
    ran = _run(clone, "version", path=path, python=Path(sys.executable))
    assert ran.stdout == f"{path}/pipx run uv run --project {clone} --frozen --no-dev propos version\n"


def test_a_python_that_is_externally_managed_is_left_alone(clone: Path, debian: Path) -> None:
    ran = _run(clone, "version", path="/usr/bin:/bin", python=debian)
    assert ran.stdout == "propos 0.1.0\n", ran.stderr
    assert "installing uv into" in ran.stderr
    again = _run(clone, "version", path="/usr/bin:/bin", python=debian)
    assert (again.stdout, again.stderr) == ("propos 0.1.0\n", "")
    status = subprocess.run(["git", "status", "--porcelain"], cwd=clone, capture_output=True, text=True, check=True)
    assert status.stdout == ""
    shutil.rmtree(clone / ".tools")


def test_pip_brings_uv_where_no_virtual_environment_can_be_made(clone: Path, debian: Path, tmp_path: Path) -> None:
    missing = _without(tmp_path / "missing", "venv", "ensurepip")
    ran = _run(clone, "version", path="/usr/bin:/bin", python=debian, PYTHONPATH=missing)
    assert ran.stdout == "propos 0.1.0\n", ran.stderr
    shutil.rmtree(clone / ".tools")


def test_with_nothing_one_line_says_which_package_to_install(clone: Path, tmp_path: Path) -> None:
    missing = _without(tmp_path / "missing", "venv", "ensurepip", "pip")
    ran = _run(clone, "demo", path="/nowhere", python=Path(sys.executable), PYTHONPATH=missing)
    assert ran.returncode == 1
    assert "sudo apt-get install python3-venv" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not (clone / ".tools").exists()
