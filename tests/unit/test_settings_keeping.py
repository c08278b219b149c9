"""How long rows are kept can be set, but not to less than the rules, payments and disputes need."""

import pytest

from domain.errors import BadInput
from settings import load


def test_fewer_days_than_are_needed_are_refused_with_the_reason() -> None:
    with pytest.raises(BadInput) as refused:
        load(keep_inbox_days=89)
    assert refused.value.message == (
        "PROPOS_KEEP_INBOX_DAYS: 89 days are too few. Use 90 or more:"
        " an event that a provider still lists would be taken for a new one."
    )
    assert load(keep_inbox_days=90).keep_inbox_days == 90
    assert load(keep_inbox_days="forever").keep_inbox_days == "forever"


def test_hours_stay_for_at_least_as_long_as_minutes() -> None:
    for minutes in (70, "forever"):
        with pytest.raises(BadInput, match="PROPOS_KEEP_HOUR_BARS_DAYS is 60, less than PROPOS_KEEP_MINUTE_BARS_DAYS"):
            load(keep_minute_bars_days=minutes, keep_hour_bars_days=60)
    assert load(keep_minute_bars_days=60, keep_hour_bars_days=60).keep_hour_bars_days == 60
