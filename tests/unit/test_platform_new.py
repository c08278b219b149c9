"""The template of an adapter is clean, typed and found by its entry point; the check says what is still to do."""

import subprocess
import sys
from pathlib import Path

import pytest

from cli.adapters import build_one_platform
from cli.platforms.check import check_platform
from cli.platforms.new import write
from cli.platforms.world import Terms
from domain.errors import BadInput
from settings import load


def _runs(folder: Path, *command: str) -> str:
    """Returns what the command printed, if it failed."""
    done = subprocess.run([sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else done.stdout + done.stderr


@pytest.fixture
def package(tmp_path: Path) -> Path:
    write("my-venue", tmp_path / "package")
    return tmp_path / "package"


@pytest.mark.parametrize("name", ["v", "my-venue", "a-venue-of-long-name-abc"])
def test_the_template_is_clean_and_typed(name: str, tmp_path: Path) -> None:
    package = tmp_path / "package"
    write(name, package)
    for command in (("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy", "--strict", ".")):
        assert _runs(package, *command) == ""


def test_its_test_is_skipped_without_a_venue(package: Path) -> None:
    assert _runs(package, "pytest", "-q", "-p", "no:cacheprovider") == ""


async def test_it_is_found_by_its_entry_point_and_checked(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As an installer would leave it: the package and its entry points side by side."""
    installed = package / "propos_my_venue-0.1.0.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: propos-my-venue\nVersion: 0.1.0\n")
    point = 'my-venue = "propos_my_venue.adapter:PLUGIN"'
    assert f'[project.entry-points."propos.platforms"]\n{point}\n' in (package / "pyproject.toml").read_text()
    (installed / "entry_points.txt").write_text(f"[propos.platforms]\n{point.replace(chr(34), '')}\n")
    monkeypatch.syspath_prepend(str(package))
    given = {"ADAPTER": "my-venue", "URL": "https://venue.example", "PASSWORD": "p"}
    for field, value in (given | {"GATEWAY": "http://127.0.0.1:9", "GATEWAY_TOKEN": "t"}).items():
        monkeypatch.setenv(f"PROPOS_PLATFORMS__MINE__{field}", value)
    one = build_one_platform(load(), "mine")
    assert (type(one.platform).__name__, one.platform.name) == ("MyVenuePlatform", "mine")
    assert one.raw_feed is not None
    report = await check_platform(load(), "mine", Terms(patience=1))
    outcomes = {each.check: each.outcome for each in report.results}
    assert (outcomes["settings"], outcomes["name"]) == ("pass", "pass")
    assert {outcomes[name] for name in ("healthy", "symbols", "account", "connect")} == {"fail"}


@pytest.mark.parametrize("name", ["", "My-Venue", "9x", "a--b", "a" * 25, "a_b", "a/b"])
def test_a_name_that_cannot_be_a_module_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput) as refused:
        write(name, tmp_path / "package")
    assert refused.value.field == "name" and refused.value.remedy


def test_a_folder_with_something_in_it_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    with pytest.raises(BadInput):
        write("my-venue", tmp_path)
    assert [each.name for each in tmp_path.iterdir()] == ["mine"]
