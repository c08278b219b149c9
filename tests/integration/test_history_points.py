"""Points of a long history on a real PostgreSQL: stored with the proofs that name them, through every crash, and folded
again by an auditor's command."""

import json
from typing import Any, Final

import psycopg
import pytest

from cli.proof import chain
from domain.errors import NotFound
from domain.products.product import Product
from domain.proofs.check import check
from domain.proofs.points import MOST
from settings import Settings
from tests.integration.recorded_feed import Script, two_step
from tests.integration.scripted_venue import Killed, ScriptedVenue, judge, on_record, rows
from tests.servers import as_owner

EXPOSURE: Final = {"type": "max_exposure", "limit": "2", "consequences": [{"kind": "warn"}]}
SHEETS: Final = "SELECT body FROM proofs ORDER BY (body -> 'event' ->> 'seq')::bigint"


def with_exposure() -> Product:
    made = two_step().model_dump(mode="json")
    made["phases"][0]["rules"].append(EXPOSURE)
    return Product.model_validate(made)


def long_life() -> Script:
    """130 trades; every tenth is too large."""
    script = Script()
    script.tick("1.38000")
    script.cash(1, "deposit", 10_000_000)
    script.enable(1)
    script.batch(flush=True)
    for number in range(130):
        script.tick("1.38000")
        script.deal(1, f"t{number}", "3" if number % 10 == 9 else "1", "1.38000", "in")
        script.deal(1, f"t{number}", "3" if number % 10 == 9 else "1", "1.38000", "out", 100)
        script.batch(flush=number % 7 == 0)
    return script


def audited(database_url: str, capsys: pytest.CaptureFixture[str]) -> tuple[bool, str]:
    holds = chain("acc_1", Settings(database_url=database_url))
    return holds, capsys.readouterr().out


def forge(database_url: str, statement: str, *values: Any) -> None:
    """Changes a row that the database guards, as its owner can."""
    with psycopg.connect(as_owner(database_url)) as connection:
        for table in ("proofs", "history_points"):
            connection.execute(f"ALTER TABLE {table} DISABLE TRIGGER append_only")
        connection.execute(statement, values)


def test_an_auditor_folds_the_history_of_an_account_that_was_judged_through_crashes(
    database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    on_record(database_url, {1: (with_exposure(), 1)})
    venue = ScriptedVenue(long_life().batches)

    def die(number: int) -> None:
        if number in deaths:
            deaths.remove(number)
            raise Killed

    deaths = [19, 40, 41, 66, 99, 100, 128]
    venue.on_ack = die
    while deaths:
        with pytest.raises(Killed):
            judge(database_url, venue)
    judge(database_url, venue)
    sheets = [body for (body,) in rows(database_url, SHEETS)]
    assert len(sheets) == 13
    for sheet in sheets:
        assert isinstance(sheet, dict)
        assert check(sheet) == [] and len(sheet["history"]["events"]) <= MOST
    assert isinstance(sheets[-1], dict) and sheets[-1]["history"]["point"]["number"] >= 3
    numbers = [number for (number,) in rows(database_url, "SELECT number FROM history_points ORDER BY 1")]
    assert numbers == list(range(1, len(numbers) + 1)), "judged again, the same points are made"
    [(state,)] = rows(database_url, "SELECT rule_state -> 'conduct' FROM account_live")
    assert isinstance(state, dict) and len(state["events"]) <= MOST
    holds, told = audited(database_url, capsys)
    assert holds and "0 differences" in told

    for refused in ("UPDATE history_points SET number = 9", "DELETE FROM history_points", "TRUNCATE history_points"):
        with pytest.raises(psycopg.errors.RestrictViolation):
            rows(as_owner(database_url), refused)
    last = sheets[-1]
    last["history"]["began"]["book"]["closed_minor"] += 1
    forge(database_url, "UPDATE proofs SET body = %s::jsonb WHERE id = %s", json.dumps(last), last["proof_id"])
    holds, told = audited(database_url, capsys)
    assert not holds and "history.began" in told


def test_a_point_that_was_changed_in_the_record_is_found(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    on_record(database_url, {1: (with_exposure(), 1)})
    judge(database_url, ScriptedVenue(long_life().batches))
    forge(
        database_url,
        "UPDATE history_points SET body = jsonb_set(body, '{state,book,closed_minor}', '1') WHERE number = %s",
        2,
    )
    holds, told = audited(database_url, capsys)
    assert not holds and "point 2: hash" in told


def test_an_account_without_points_has_nothing_to_fold(database_url: str, capsys: pytest.CaptureFixture[str]) -> None:
    on_record(database_url, {1: (two_step(), 1)})
    assert audited(database_url, capsys)[0]
    with pytest.raises(NotFound):
        chain("acc_2", Settings(database_url=database_url))
