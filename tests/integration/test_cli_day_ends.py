"""`propos platform day-ends` compares daily snapshots with the venue's own figures."""

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pydantic import SecretStr

from cli.platforms import day_ends
from domain.errors import BadInput, NotFound
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.integration.recorded_feed import two_step
from tests.integration.scripted_venue import on_record, rows

KEYS = "k1:" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWY="
DAY = date(2026, 11, 27)


@pytest.fixture
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        yield running


def test_an_anchor_that_differs_is_named(
    venue: DxtradeThread,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("PROPOS_PAYLOAD_KEYS", KEYS)
    for field, value in venue.settings().model_dump(exclude_unset=True).items():
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        monkeypatch.setenv(f"PROPOS_PLATFORMS__LIVE__{field.upper()}", text)
    monkeypatch.setenv("PROPOS_PLATFORMS__LIVE__ADAPTER", "dxtrade")
    login = venue.open_account()
    with pytest.raises(NotFound):
        day_ends.compare(tmp_path, "live", DAY, 0, as_json=True)
    venue.control.post(f"/day-end/{DAY}").raise_for_status()
    on_record(database_url, {1: (two_step(), 1)})
    rows(database_url, f"UPDATE accounts SET platform = 'live', login = {login} WHERE id = 'acc_1' RETURNING 1")
    rows(
        database_url,
        "INSERT INTO daily_snapshots (account_id, day, reset_at, balance_minor, equity_minor, floors)"
        f" VALUES ('acc_1', '{DAY}', '{DAY} 22:00+00', 100000, 99999, '{{}}') RETURNING 1",
    )
    assert not day_ends.compare(tmp_path, "live", DAY, 0, as_json=True)
    said = json.loads(capsys.readouterr().out)
    assert said["compared"] == 1
    assert said["drifts"] == [{"login": login, "balance_minor": 0, "equity_minor": 1, "missing": False}]
    assert day_ends.compare(tmp_path, "live", DAY, 1, as_json=False)
    monkeypatch.setenv("PROPOS_PLATFORMS__SANDBOX__ADAPTER", "sandbox")
    monkeypatch.setenv("PROPOS_PLATFORMS__SANDBOX__URL", "http://127.0.0.1:9")
    monkeypatch.setenv("PROPOS_PLATFORMS__SANDBOX__TOKEN", "t")
    with pytest.raises(BadInput, match="keeps no figures"):
        day_ends.compare(tmp_path, "sandbox", DAY, 0, as_json=False)
