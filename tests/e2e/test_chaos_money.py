"""The whole flow of money under every fault: nothing moves twice, nothing is lost, nothing moves without approvals."""

import pytest

from cli.chaos.command import run
from tests import servers


@pytest.mark.timeout(1800)
async def test_twelve_payouts_survive_every_fault() -> None:
    with servers.scratch_dir("chaos") as folder:
        result = await run(12, 7, folder / "data", lambda what, done: None)
    assert result.verdict.found == {
        "sent_twice": [], "lost": [], "unapproved": [], "imbalance": [], "stuck": [],
    }, result.timelines  # fmt: skip
    assert [name for name, times in result.faults.items() if not times] == []
    assert result.is_good
