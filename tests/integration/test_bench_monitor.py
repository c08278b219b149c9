"""The whole benchmark of the monitor, small: on a real PostgreSQL and the platform's own server."""

import json
import os
import subprocess
import sys


def test_a_small_run_prints_every_figure_and_nothing_wrong() -> None:
    command = [sys.executable, "-m", "cli.main", "bench", "monitor", "--accounts", "500", "--seconds", "2", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    wanted = {
        *("remark_all_ms", "copy_ms", "remark_over_copy", "one_symbol_tick_ms", "python_loop_ms", "polars_ms"),
        *("duckdb_ms", "ticks_per_second", "bare_commit_ms", "bare_lock_ms", "tick_to_commit_ms", "tick_to_lock_ms"),
        *("paced_commit_ms", "paced_lock_ms", "commit_over_paced", "lock_over_paced", "minute_end_ms"),
        *("mass_lock_over_bare", "mass_breach", "bytes_per_account", "rebuild_seconds", "wrong"),
        *("startup_seconds", "scaling"),
        *("accounts", "positions", "symbols", "breaches", "near_misses", "accounts_with_more_than_three_positions"),
    }
    assert wanted <= figures.keys()
    assert figures["wrong"] == 0
    assert figures["tick_to_commit_ms"].keys() == {"p50", "p99"}
    assert {"commit_ms", "lock_ms", "bare_lock_ms"} <= figures["mass_breach"].keys()
    assert figures["mass_breach"]["accounts"] == 125
    assert [row["accounts"] for row in figures["scaling"]] == [500, 1_000_000]
