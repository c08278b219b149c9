"""The benchmark of a growing record, small: every work of a day is done and measured, and what is old is removed."""

import json
import os
import subprocess
import sys
from typing import Final

_WORKS: Final = ("tick", "close", "page", "payout", "relay", "keep", "restart")
_CUT: Final = ("equity_bars", "idempotency_keys", "inbox", "business_events", "exposure_minutes")


def test_a_small_run_measures_every_work_and_says_how_much_is_stored() -> None:
    command = [sys.executable, "-m", "cli.main", "bench", "history", "--days", "3", "--accounts", "20", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=900, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    more = {"days", "accounts", "kept_days", "tables", "seconds", "machine"}
    assert figures.keys() == {*_WORKS, *more, "gb_a_day_at_50000", "bytes_a_day_and_account"}
    for work in _WORKS:
        assert figures[work]["first_week"]["cpu_ms"] > 0, work
        assert figures[work]["ratio"]["cpu"] > 0, work
    tables = figures["tables"]
    assert tables["deals"]["rows"] == 3 * 6 * 4, "two trades of three accounts in ten, every day"
    assert tables["daily_snapshots"]["rows"] == 3 * 20
    assert tables["equity_hours"]["rows"] > 0
    kept = {name: tables[name]["rows"] for name in _CUT}
    assert kept["equity_bars"] < 3 * 6 * 36 and kept["exposure_minutes"] < 3 * 144, kept
    assert all(each["mb_a_day_at_50000"] > 0 for each in tables.values() if each["rows"])
