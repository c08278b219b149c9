"""Exposure as the monitor stores it: figures, minutes, what-ifs and limits, on the real path."""

import json
from decimal import Decimal

import psycopg
import pytest
from typer.testing import CliRunner

from cli.main import app
from domain.errors import BadInput, StaleEpoch
from domain.exposure.figures import ShardFigures
from monitor.exposure.desk import ExposureDesk
from monitor.exposure.frozen import freeze
from ports.platform import Deal, StopsChanged
from store.live import claim_epoch
from tests.integration.command import KEYS
from tests.integration.exposure_world import desk_over
from tests.integration.recorded_feed import opened, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows
from tests.unit.exposure.shelf_shard import shelf_shard


def figures(database_url: str) -> ShardFigures:
    [(body,)] = rows(database_url, "SELECT body FROM exposure_now")
    return ShardFigures.model_validate(body)


def test_the_figures_of_a_shard_are_stored_with_its_checkpoint(database_url: str) -> None:
    record_one(database_url)
    script = opened("1")
    script.tick("1.37900")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    found = figures(database_url)
    [line] = found.symbols
    assert (line.symbol, line.long_lots, line.short_lots, line.accounts) == ("EURUSD", Decimal(1), Decimal(0), 1)
    assert line.floating_minor == -10_000
    middle = (line.bid + line.ask) / 2
    assert line.long_minor == round(100_000 * middle * 100)
    assert (found.accounts, found.open_accounts, found.platform) == (1, 1, "sandbox")
    assert [(each.trader_id, each.long_minor) for each in found.traders] == [("trd_1", line.long_minor)]
    assert {each.rule: each.room_minor for each in found.nearest} == {"daily_loss": 490_000, "max_loss": 990_000}
    [(minute, kept)] = rows(database_url, "SELECT minute, body->'net'->>'EURUSD' FROM exposure_minutes")
    assert minute == found.at.replace(second=0, microsecond=0)
    assert kept == str(line.long_minor)


def stops_on_record(database_url: str) -> list[tuple[object, ...]]:
    return rows(
        database_url,
        "SELECT p->>'position_id', p->>'stop_loss', p->>'take_profit'"
        " FROM account_live, jsonb_array_elements(positions) p ORDER BY 1",
    )


def test_stops_as_the_venue_tells_them_survive_a_restart(database_url: str) -> None:
    record_one(database_url)
    script = opened("1")
    script.deal(1, "p2", "1", "1.38000", "in")
    told = script.events[-1].model_copy(update={"stop_loss": Decimal("1.37"), "take_profit": Decimal("1.4")})
    assert isinstance(told, Deal)
    script.events[-1] = told
    script.tick("1.37900")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert stops_on_record(database_url) == [("p1", None, None), ("p2", "1.37", "1.4")]
    script.tick("1.37901")
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert stops_on_record(database_url) == [("p1", None, None), ("p2", "1.37", "1.4")], (
        "a rebuilt shard still knows them"
    )
    script.events.append(StopsChanged(seq=script.next(), at=script.at, login=1, position_id="p2"))
    script.batch(flush=True)
    judge(database_url, ScriptedVenue(script.batches))
    assert stops_on_record(database_url) == [("p1", None, None), ("p2", None, None)]


def test_the_command_prints_what_a_shock_would_do(database_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("PROPOS_PAYLOAD_KEYS", KEYS)
    _, shard = shelf_shard(150, 3)
    with desk_over(database_url, shard):
        said = CliRunner().invoke(app, ["what-if", "EURUSD -20 %, XAUUSD +25", "--json"])
        assert said.exit_code == 0, said.output
        answer = json.loads(said.output)["answer"]
        assert (answer["accounts"], answer["missing"]) == (150, [])
        assert answer["outcomes"][0]["breaches"] > 0
        shown = CliRunner().invoke(app, ["what-if", "--day", "2015-01-15"])
        assert "150 accounts" in shown.output and "EURCHF -19 %" in shown.output
        refused = CliRunner().invoke(app, ["what-if", "EURUSD sideways"])
        assert refused.exit_code == 1 and isinstance(refused.exception, BadInput)


def test_figures_of_an_old_owner_are_refused(database_url: str) -> None:
    _, shard = shelf_shard(50, 3)
    old = claim_epoch(database_url, 0)
    claim_epoch(database_url, 0)
    desk = ExposureDesk(database_url, 0, old, "sandbox")
    with psycopg.connect(database_url, autocommit=True) as connection, pytest.raises(StaleEpoch):
        desk.flush(connection, freeze(shard.state, 1))
    assert rows(database_url, "SELECT count(*) FROM exposure_now") == [(0,)]
