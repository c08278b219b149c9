"""The demo says which outcomes its run did not have, and passes over the hours in which nothing is due."""

from datetime import UTC, datetime
from typing import Any

from rich.console import Console

from cli.demo.rehearsal import _full_hour
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


def test_what_is_due_within_an_hour_is_one_step() -> None:
    noon = datetime(2026, 3, 6, 12, tzinfo=UTC)
    assert _full_hour(noon) == noon
    assert _full_hour(noon.replace(hour=11, microsecond=1)) == noon
    assert _full_hour(noon.replace(hour=11, minute=59, second=59)) == noon
