"""What `propos doctor` says of the versions of workers."""

import pytest

from cli.doctor.workers import current_fault, fault_of, words
from cli.versions import Fleet, Version
from contracts.ids import UNVERSIONED


def _version(build: str, status: str, workers: int, pinned: int = 0) -> Version:
    return Version(build=build, status=status, percent=0.0, workers=workers, pinned=pinned)


@pytest.mark.parametrize(
    ("fleet", "said"),
    [
        (Fleet(UNVERSIONED, (), 0), "No worker polls"),
        (Fleet(UNVERSIONED, (_version("b", "inactive", 1),), 0), "version b run, and it is not the current one"),
        (Fleet("b", (_version("b", "current", 0),), 1), "No worker of the current version b runs."),
        (
            Fleet("b", (_version("b", "current", 1), _version("a", "draining", 0, 3)), 0),
            "3 workflows go on with the version a only, and no worker of it runs.",
        ),
    ],
)
def test_workflows_that_wait_for_a_worker_are_wrong(fleet: Fleet, said: str) -> None:
    fault = fault_of(fleet)
    assert fault is not None
    assert said in fault.said
    assert "propos " in fault.remedy


def test_what_an_earlier_version_has_left_does_not_make_the_firm_unready() -> None:
    fleet = Fleet("b", (_version("b", "current", 1), _version("a", "draining", 0, 3)), 0)
    assert fault_of(fleet) is not None
    assert current_fault(fleet) is None


def test_what_is_left_on_an_earlier_version_is_said() -> None:
    fleet = Fleet("b", (_version("b", "current", 2, 5), _version("a", "draining", 1, 3)), 0)
    assert fault_of(fleet) is None
    assert words(fleet) == "3 polling core, version b; a has 3 left"


def test_a_firm_without_versions_is_well() -> None:
    fleet = Fleet(UNVERSIONED, (_version("a", "drained", 0),), 2)
    assert fault_of(fleet) is None
    assert words(fleet) == "2 polling core"
