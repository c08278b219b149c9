"""Conversations by real SMTP under every fault: nothing is lost, doubled, misplaced, looped or told to a stranger."""

import asyncio

import pytest

from cli.chaos.mail.command import run
from cli.chaos.mail.judge import FIGURES
from tests import servers


@pytest.mark.timeout(1800)
async def test_conversations_survive_every_fault() -> None:
    with servers.scratch_dir("chaos") as folder:
        figures = await asyncio.to_thread(run, folder / "data", 200, 5)
    assert {name: figures[name] for name in FIGURES} == dict.fromkeys(FIGURES, 0)
    assert [name for name, times in figures["faults"].items() if not times] == []
    assert figures["answers"] and figures["received"]
