"""Cooldowns, trade rates and hours for opening: when a position may be opened or closed."""

from typing import Any

import pytest
from pydantic import ValidationError

from domain.rules.base import ConductRule
from domain.rules.conduct.cooldown import Cooldown
from domain.rules.conduct.max_trade_rate import MaxTradeRate
from domain.rules.conduct.opening_hours import OpeningHours
from domain.rules.events import Event
from tests.unit.conduct_story import CONTEXT, closed, opened, tell

NINE_TO_FIVE = {"opens": "09:30", "closes": "16:00"}


def cooldown(**terms: Any) -> Cooldown:
    return Cooldown.model_validate({"type": "cooldown", "minutes": 10, **terms})


def rate(**terms: Any) -> MaxTradeRate:
    return MaxTradeRate.model_validate({"type": "max_trade_rate", "limit": 2, **terms})


def hours(*spans: dict[str, Any], zone: Any = "America/New_York") -> OpeningHours:
    return OpeningHours.model_validate({"type": "opening_hours", "zone": zone, "hours": spans or (NINE_TO_FIVE,)})


def offending(rule: ConductRule[Any], *events: Event) -> list[str]:
    return [position for found in tell(rule, *events)[1] for position in found.position_ids]


@pytest.mark.parametrize(
    ("terms", "events", "found"),
    [
        ({}, [opened("2025-06-02 10:00")], []),
        ({}, [closed("2025-06-02 10:00"), opened("2025-06-02 10:09:59", "b")], ["b"]),
        ({}, [closed("2025-06-02 10:00"), opened("2025-06-02 10:10", "b")], []),
        # every opening in that time, and the last close counts
        ({}, [closed("2025-06-02 10:00"), opened("2025-06-02 10:01", "b"), opened("2025-06-02 10:02", "c")],
         ["b", "c"]),
        ({}, [closed("2025-06-02 10:00"), closed("2025-06-02 10:08", "b"), opened("2025-06-02 10:12", "c")], ["c"]),
        # a part that is closed, or added, is no trade of its own
        ({}, [closed("2025-06-02 10:00", left="0.5"), opened("2025-06-02 10:01", "b")], []),
        ({}, [closed("2025-06-02 10:00"), opened("2025-06-02 10:01", "b", adds=True)], []),
        # only after a loss, of the whole position
        ({"after": "losing_close"}, [closed("2025-06-02 10:00", pnl_minor=1), opened("2025-06-02 10:01", "b")], []),
        ({"after": "losing_close"}, [closed("2025-06-02 10:00"), opened("2025-06-02 10:01", "b")], []),
        ({"after": "losing_close"}, [closed("2025-06-02 10:00", pnl_minor=-1), opened("2025-06-02 10:01", "b")], ["b"]),
        (
            {"after": "losing_close"},
            [closed("2025-06-02 09:00", left="0.5", pnl_minor=-500), closed("2025-06-02 10:00", pnl_minor=400),
             opened("2025-06-02 10:01", "b")],
            ["b"],
        ),
        (
            {"after": "losing_close"},
            [closed("2025-06-02 09:00", left="0.5", pnl_minor=500), closed("2025-06-02 10:00", pnl_minor=-400),
             opened("2025-06-02 10:01", "b")],
            [],
        ),
    ],
)  # fmt: skip
def test_cooldown(terms: dict[str, Any], events: list[Event], found: list[str]) -> None:
    assert offending(cooldown(**terms), *events) == found


def test_a_cooldown_escalates_and_names_the_earliest_opening() -> None:
    rule = cooldown(consequences=[{"kind": "warn"}, {"kind": "fail"}])
    story: list[Event] = [closed("2025-06-02 10:00"), opened("2025-06-02 10:01", "b"), opened("2025-06-02 10:02", "c")]
    _, found = tell(rule, *story)
    assert [one.consequence.kind for one in found] == ["warn", "fail"]
    assert "2025-06-02 10:10" in found[0].sentence


@pytest.mark.parametrize(
    ("terms", "events", "found"),
    [
        (
            {},
            [opened("2025-06-02 10:00"), opened("2025-06-02 10:00:20", "b"), opened("2025-06-02 10:00:59", "c")],
            ["c"],
        ),
        ({}, [opened("2025-06-02 10:00"), opened("2025-06-02 10:00:20", "b"), opened("2025-06-02 10:01", "c")], []),
        ({}, [opened("2025-06-02 10:00"), closed("2025-06-02 10:00:01"), opened("2025-06-02 10:00:02", "b")], ["b"]),
        # each beyond the limit
        ({"limit": 1, "within_minutes": 5}, [opened(f"2025-06-02 10:0{n}", str(n)) for n in range(4)], ["1", "2", "3"]),
        ({"counts": "closes"}, [opened(f"2025-06-02 10:00:0{n}", str(n)) for n in range(4)], []),
        ({"counts": "closes"}, [closed(f"2025-06-02 10:00:0{n}", str(n)) for n in range(4)], ["2", "3"]),
        ({"counts": "openings"}, [closed(f"2025-06-02 10:00:0{n}", str(n)) for n in range(4)], []),
        # the venue closes for the firm, not for the trader
        ({"counts": "closes"}, [closed(f"2025-06-02 10:00:0{n}", str(n), action="dealer") for n in range(4)], []),
    ],
)
def test_trade_rate(terms: dict[str, Any], events: list[Event], found: list[str]) -> None:
    assert offending(rate(**terms), *events) == found


def test_a_trade_rate_remembers_no_more_than_its_limit() -> None:
    state, _ = tell(rate(limit=3), *(opened(f"2025-06-02 {n // 60:02}:{n % 60:02}", str(n)) for n in range(200)))
    assert len(state.recent) == 3


@pytest.mark.parametrize(
    ("spans", "when", "allowed"),
    [
        ((NINE_TO_FIVE,), "2025-06-02T09:29:59-04:00", False),
        ((NINE_TO_FIVE,), "2025-06-02T09:30:00-04:00", True),
        ((NINE_TO_FIVE,), "2025-06-02T15:59:59-04:00", True),
        ((NINE_TO_FIVE,), "2025-06-02T16:00:00-04:00", False),
        ((NINE_TO_FIVE,), "2025-06-01T12:00:00-04:00", False),
        # after the clocks were changed, 09:30 is another instant
        ((NINE_TO_FIVE,), "2025-12-01T14:30:00+00:00", True),
        ((NINE_TO_FIVE,), "2025-12-01T14:29:59+00:00", False),
        # over midnight, from the day on which it begins
        (({"weekdays": ["sunday"], "opens": "18:00", "closes": "02:00"},), "2025-06-02T01:59:59-04:00", True),
        (({"weekdays": ["sunday"], "opens": "18:00", "closes": "02:00"},), "2025-06-02T02:00:00-04:00", False),
        (({"weekdays": ["sunday"], "opens": "18:00", "closes": "02:00"},), "2025-06-01T01:00:00-04:00", False),
        # a whole day; several spans
        (({"weekdays": ["friday"], "opens": "00:00", "closes": "00:00"},), "2025-06-06T23:59:59-04:00", True),
        ((NINE_TO_FIVE, {"weekdays": ["monday"], "opens": "18:00", "closes": "20:00"}), "2025-06-02T19:00-04:00", True),
        (
            (NINE_TO_FIVE, {"weekdays": ["monday"], "opens": "18:00", "closes": "20:00"}),
            "2025-06-03T19:00-04:00",
            False,
        ),
    ],
)
def test_hours_for_opening(spans: tuple[dict[str, Any], ...], when: str, allowed: bool) -> None:
    assert offending(hours(*spans), opened(when)) == ([] if allowed else ["a"])
    assert not offending(hours(*spans), closed(when))


def test_hours_by_a_servers_clock() -> None:
    server = {"standard": "+02:00", "daylight": "+03:00", "dst_of": "America/New_York"}
    rule = hours({"opens": "10:00", "closes": "11:00"}, zone=server)
    assert not offending(rule, opened("2025-06-02T07:00:00+00:00"))
    assert offending(rule, opened("2025-12-01T07:00:00+00:00"))
    assert "server time (+02:00, and +03:00 while America/New_York has daylight time)" in rule.words(CONTEXT)


@pytest.mark.parametrize(
    "terms",
    [
        {"type": "opening_hours", "zone": "UTC", "hours": []},
        {"type": "opening_hours", "zone": "UTC", "hours": [{"weekdays": ["monday", "monday"], **NINE_TO_FIVE}]},
        {"type": "opening_hours", "zone": "UTC", "hours": [{"opens": "9:30", "closes": "16:00"}]},
    ],
)
def test_hours_without_sense_are_refused(terms: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OpeningHours.model_validate(terms)


def test_words() -> None:
    assert "wait 10 minutes before you open the next one" in cooldown().words(CONTEXT)
    assert "After a losing position is closed" in cooldown(after="losing_close").words(CONTEXT)
    assert "At most 2 closings of positions are allowed within 1 minute." in rate(counts="closes").words(CONTEXT)
    assert "from 09:30 to 16:00, in the time of America/New_York." in hours().words(CONTEXT)
