"""Runs of the past replay on today's code: one committed history per way a lifecycle ends, and one that must fail."""

import json
from pathlib import Path
from typing import Any, Final

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer
from temporalio.workflow import NondeterminismError

from domain.disputes import DISPUTE
from domain.lifecycle import CHALLENGE
from domain.payouts.payout import PAYOUT
from domain.surveillance.casework import CASE
from relay.temporal import data_converter
from tests.challenge_world import KEYS
from tests.servers import NAMESPACE
from worker import workflow_runner
from workflows.message_guard import MessageGuard
from workflows.registry import WORKFLOWS

HISTORIES: Final = {path.stem: path for path in sorted((Path(__file__).parent / "histories").glob("*.json"))}
MUST_FAIL: Final = "must-fail"


def _histories(name: str) -> list[WorkflowHistory]:
    body: dict[str, Any] = json.loads(HISTORIES[name].read_text())
    return [WorkflowHistory.from_json(body["workflow_id"], run) for run in body["runs"]]


def _replayer() -> Replayer:
    return Replayer(
        workflows=list(WORKFLOWS),
        workflow_runner=workflow_runner(),
        data_converter=data_converter(KEYS),
        namespace=NAMESPACE,
        interceptors=[MessageGuard(lambda _workflow_id, _why: None)],
    )


@pytest.mark.parametrize("name", sorted(HISTORIES.keys() - {MUST_FAIL}))
async def test_it_replays(name: str) -> None:
    replayer = _replayer()
    for history in _histories(name):
        result = await replayer.replay_workflow(history)
        assert result.replay_failure is None


async def test_a_history_of_other_code_does_not_replay() -> None:
    (history,) = _histories(MUST_FAIL)
    with pytest.raises(NondeterminismError):
        await _replayer().replay_workflow(history)


async def test_a_history_under_another_workflow_id_does_not_open(caplog: pytest.LogCaptureFixture) -> None:
    (history,) = _histories("dispute-upheld")
    moved = WorkflowHistory(workflow_id="dispute/dsp_other", events=history.events)
    result = await _replayer().replay_workflow(moved, raise_on_replay_failure=False)
    assert result.replay_failure is not None
    assert "PayloadRefused: A payload does not belong to this workflow" in caplog.text


def test_every_way_to_end_is_there() -> None:
    machines = {"challenge": CHALLENGE, "payout": PAYOUT, "dispute": DISPUTE, "case": CASE}
    wanted = {f"{noun}-{state.replace('_', '-')}" for noun, machine in machines.items() for state in machine.terminal}
    wanted -= {"case-overturned"}  # an appeal is granted after the case's workflow has ended
    wanted |= {"platform_change-done", "platform_change-abandoned"}  # what nobody agreed to has no workflow
    assert wanted <= HISTORIES.keys()


def test_histories_name_no_machine_and_show_no_text() -> None:
    for path in HISTORIES.values():
        text = path.read_text()
        assert set(_values(json.loads(text), "identity")) <= {"recorder"}
        assert "example.com" not in text


def _values(value: Any, ending: str) -> list[str]:
    if isinstance(value, dict):
        here = [str(item) for key, item in value.items() if key.lower().endswith(ending)]
        return here + [found for item in value.values() for found in _values(item, ending)]
    return [found for item in value for found in _values(item, ending)] if isinstance(value, list) else []
