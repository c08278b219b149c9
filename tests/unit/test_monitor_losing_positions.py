"""Limits of the loss of one symbol or position: which accounts the exact judge looks at."""

from typing import Any

import pytest

from tests.unit.conduct_venue import LOSS, Venue


@pytest.mark.parametrize("per", ["position", "symbol"])
def test_what_was_an_offence_is_no_candidate_until_the_reset(per: str) -> None:
    limit: dict[str, Any] = {
        "type": "floating_loss",
        "per": per,
        "limit": {"type": "pct_of_initial", "value": "1"},
        "consequences": [{"kind": "warn"}],
    }
    venue = Venue(limit, target="90000")
    state = venue.shard.state
    venue.open("a", "10")
    venue.quote("1.09890", minutes=1)
    assert venue.found == [("warn", "floating_loss", 1)]
    assert state.candidates("EURUSD", venue.next, venue.now) == set()
    venue.open("b", "10")
    venue.quote("1.09780", minutes=1)
    more = [("warn", "floating_loss", 2)] if per == "position" else []
    assert venue.found[1:] == more
    assert state.candidates("EURUSD", venue.next, venue.now) == set()
    for _ in range(16):
        venue.quote("1.09780", hours=1)
    assert len(venue.found) == 1 + len(more) + (2 if per == "position" else 1), "still beyond it after the reset"
    assert LOSS["id"] not in [rule for _, rule, _ in venue.found]
