"""Chooses the controls to break. Says at the end how many were broken and noticed, and which survived."""

import pytest
from _pytest.terminal import TerminalReporter

from tests.mutations.mutation import table

_ONE_IN = 5
_TEST = "test_a_broken_control_is_noticed["


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "mutation" in metafunc.fixturenames:
        chosen = table()
        if not any("mutations" in argument for argument in metafunc.config.args):  # a run of the whole suite
            chosen = [each for each in chosen if all(test.startswith("tests/unit/") for test in each.tests)][::_ONE_IN]
        metafunc.parametrize("mutation", chosen, ids=lambda mutation: mutation.id)


def pytest_terminal_summary(terminalreporter: TerminalReporter) -> None:
    ends = {outcome: _ids(terminalreporter.stats.get(outcome, [])) for outcome in ("passed", "failed", "error")}
    survived = sorted(ends["failed"] | ends["error"])
    if not any(ends.values()):
        return
    terminalreporter.write_line(f"controls: {len(ends['passed']) + len(survived)}")
    terminalreporter.write_line(f"noticed: {len(ends['passed'])}")
    terminalreporter.write_line(f"survived: {len(survived)} {' '.join(survived)}")


def _ids(reports: list[pytest.TestReport]) -> set[str]:
    return {each.nodeid.partition(_TEST)[2].rstrip("]") for each in reports if _TEST in each.nodeid}
