"""What a venue can do about a stop, and how long a proposal waits."""

from datetime import UTC, datetime, timedelta

import pytest

from domain.errors import BadInput
from domain.stops import check_possible, is_too_old, stop_digest

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("symbol", "switch", "close_only", "sets_trading", "whole"),
    [
        (None, "all", False, False, True),
        (None, "symbol", True, True, True),
        ("EURUSD", "symbol", False, False, True),
        (None, "none", True, False, False),
        (None, "none", False, True, False),
    ],
)
def test_one_call_where_the_venue_has_it_else_each_account(
    symbol: str | None, switch: str, close_only: bool, sets_trading: bool, whole: bool
) -> None:
    found = check_possible(
        platform="live", symbol=symbol, stops_everybody=switch, close_only=close_only, sets_trading=sets_trading
    )
    assert found == whole


@pytest.mark.parametrize(
    ("symbol", "switch", "field"), [("EURUSD", "all", "symbol"), ("EURUSD", "none", "symbol"), (None, "none", "name")]
)
def test_what_the_venue_cannot_do_is_refused(symbol: str | None, switch: str, field: str) -> None:
    with pytest.raises(BadInput) as refused:
        check_possible(platform="live", symbol=symbol, stops_everybody=switch, close_only=False, sets_trading=False)
    assert refused.value.field == field and refused.value.remedy


def test_a_proposal_waits_an_hour() -> None:
    assert not is_too_old(NOW - timedelta(minutes=60), NOW)
    assert is_too_old(NOW - timedelta(minutes=60, seconds=1), NOW)


def test_a_digest_is_of_everything_that_was_said() -> None:
    digests = {
        stop_digest(stop_id="hlt_1", platform="live", symbol=None, lifts=False),
        stop_digest(stop_id="hlt_2", platform="live", symbol=None, lifts=False),
        stop_digest(stop_id="hlt_1", platform="demo", symbol=None, lifts=False),
        stop_digest(stop_id="hlt_1", platform="live", symbol="EURUSD", lifts=False),
        stop_digest(stop_id="hlt_1", platform="live", symbol=None, lifts=True),
    }
    assert len(digests) == 5
