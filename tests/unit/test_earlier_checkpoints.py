"""Checkpoints that earlier code wrote are read with the meaning that they had there.

`earlier_checkpoints.json` has the account of each life as code before limits had a state of their own stored it, and
what that code found afterwards.
"""

import json
from pathlib import Path
from typing import Any, Final

import pytest

from monitor.record.checkpoints import checkpoint_from
from tests.unit.conduct_venue import DAILY, Venue

_STORED: Final[dict[str, Any]] = json.loads(Path(__file__).with_name("earlier_checkpoints.json").read_text())
_LIVES: dict[str, list[dict[str, Any]]] = {
    "counted": [
        DAILY | {"consequences": [{"kind": "pause_until_reset"}, {"kind": "fail"}]},
        {
            "type": "exposure_multiple",
            "measure": "notional",
            "multiple": "12",
            "cure": {"minutes": 30},
            "consequences": [{"kind": "warn"}],
        },
        {"type": "max_exposure", "limit": "11", "consequences": [{"kind": "warn"}, {"kind": "fail"}]},
        {"type": "inactivity", "calendar_days": 3, "consequences": [{"kind": "warn"}]},
    ],
    "curing": [DAILY | {"cure": {"minutes": 10, "times": 2}}],
    "gates": [
        {
            "type": "max_loss_trailing",
            "peak_basis": "intraday_equity_peak",
            "allowance": {"type": "pct_of_initial", "value": "5"},
            "breach_when": "equity <= floor",
        },
        {
            "type": "flat_by",
            "weekday": "friday",
            "time": "21:00",
            "zone": "UTC",
            "consequences": [{"kind": "close_position"}],
        },
        {"type": "trading_day_count", "required": 2, "blocks": ["pass"]},
        {
            "type": "best_day_ratio",
            "limit_pct": "50",
            "compare": "<=",
            "effect": "profit_target_raised_to_best_day_over_limit",
            "blocks": ["pass"],
        },
    ],
}


def _first(name: str, venue: Venue) -> None:
    venue.open("a", "10")
    venue.open("b", "2")
    if name == "gates":
        venue.quote("1.10300", minutes=5)
        venue.close("a")
        venue.wait(hours=20)
        venue.open("c", "1")
    else:
        venue.quote("1.09899", minutes=5)
        if name == "curing":
            venue.quote("1.09999", minutes=3)
            venue.quote("1.09895", minutes=3)


def _then(name: str, venue: Venue) -> None:
    if name == "counted":
        venue.quote("1.09890", minutes=5)
        venue.wait(minutes=40)
        venue.close("b")
        venue.open("d", "1")
        venue.wait(hours=16)
        venue.quote("1.09700", minutes=1)
    elif name == "curing":
        venue.quote("1.09991", minutes=3)
        venue.quote("1.09890", minutes=3)
    else:
        venue.close("b")
        venue.quote("1.10200", minutes=1)
        venue.close("c")
        venue.wait(hours=24)
        venue.open("e", "10")
        venue.quote("1.09900", minutes=1)
        venue.quote("1.09700", minutes=1)


@pytest.mark.parametrize("name", _LIVES)
def test_a_stored_account_goes_on_as_it_would_have(name: str) -> None:
    stored = _STORED[name]
    venue = Venue(*_LIVES[name], target="90000")
    _first(name, venue)
    venue.shard.state.facts.verdicts.clear()
    board = venue.shard.state.board
    venue.begin(checkpoint_from(venue.terms, stored["balance"], stored["positions"], stored["state"]))
    venue.shard.state.board.prices.update(board.prices)
    venue.shard.state.board.stamps.update(board.stamps)
    venue.quote(str(venue.bid))
    _then(name, venue)
    assert [list(found) for found in venue.found] == stored["then"]
