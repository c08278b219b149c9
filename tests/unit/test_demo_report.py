"""The demo says which outcomes its run did not have, and passes over the days in which nothing is due."""

from datetime import UTC, datetime, timedelta
from typing import Any

from rich.console import Console

from cli.demo.rehearsal import BUYING, CHECKING, STARTING, _next, shares
from cli.demo.report import OUTCOMES, missing, show


def _summary() -> dict[str, Any]:
    whole: dict[str, Any] = {}
    for outcome in OUTCOMES:
        part, _, name = outcome.partition(".")
        if name:
            whole.setdefault(part, {})[name] = 1
        else:
            whole[part] = 2
    return whole


def test_outcomes_that_a_run_did_not_have_are_named() -> None:
    summary = _summary()
    assert missing(summary) == []
    del summary["states"]["refunded"]
    summary["returns_decided"]["send_again"] = summary["cases"] = 0
    assert missing(summary) == ["states.refunded", "returns_decided.send_again", "cases"]
    console = Console(width=120, record=True)
    show(summary | {"outcomes_missing": missing(summary)}, console)
    assert "states.refunded, returns_decided.send_again, cases" in console.export_text()


def test_what_is_due_within_an_hour_or_a_day_is_one_step() -> None:
    noon, hour, day = datetime(2026, 3, 6, 12, tzinfo=UTC), timedelta(hours=1), timedelta(days=1)
    assert _next(noon, hour) == noon
    assert _next(noon.replace(hour=11, microsecond=1), hour) == noon
    assert _next(noon.replace(hour=11, minute=59, second=59), hour) == noon
    assert _next(noon, day) == datetime(2026, 3, 7, tzinfo=UTC) == _next(datetime(2026, 3, 7, tzinfo=UTC), day)


def test_each_buyer_takes_time_of_every_step_but_the_start() -> None:
    few, many = shares(60), shares(300)
    assert [*few] == [*many] and {STARTING, CHECKING} <= few.keys()
    assert {step for step in few if few[step] == many[step]} == {STARTING}
    assert shares(300, BUYING) == {BUYING: many[BUYING]}
