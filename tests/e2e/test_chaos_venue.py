"""A day of trading at a venue whose wire fails: no fill is lost, nobody is judged wrongly, and who broke is locked."""

import pytest

from cli.chaos.venue.command import run
from tests import servers


@pytest.mark.timeout(1800)  # the day takes less than a minute on a quiet machine
@pytest.mark.parametrize("kind", ["dxtrade"])
async def test_a_day_of_trading_survives_every_fault(kind: str) -> None:
    with servers.scratch_dir("chaos") as folder:
        result = (await run([kind], 3, 7, folder / "data", lambda what, done: None))[kind]
    assert result.found == {
        "lost": [], "twice": [], "false_breaches": [], "missed_breaches": [], "unlocked_after_breach": [],
    }  # fmt: skip
    assert [name for name, times in result.faults.items() if not times] == []
    assert (result.more["breached"], result.more["just_above"]) == (1, 1)
    assert result.is_good
