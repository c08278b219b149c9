"""The whole benchmark of the console, small: every page of the real application opens, and none is large."""

import json
import os
import subprocess
import sys
from typing import Final

from cli.bench.console import PAGES

_LARGEST: Final = 150_000  # bytes of a page


def test_a_small_run_prints_every_figure_and_opens_every_page() -> None:
    command = [sys.executable, "-m", "cli.main", "bench", "console", "--accounts", "200", "--deals", "3000"]
    command += ["--requests", "3", "--viewers", "10", "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    wanted = {"pages", "select_1_ms", "requests_per_second", "viewers", "polls_per_second", "poll_p95_ms", "machine"}
    wanted |= {"live_rows_written_per_second", "live_writes_per_second", "largest_page_bytes", "slowest_p95_ms"}
    wanted |= {"accounts", "deals", "messages", "ledger_entries", "busiest_account_deals", "fill_seconds"}
    wanted |= {"seconds", "most_rows_read"}
    assert figures.keys() == wanted
    pages = figures["pages"]
    assert len(pages) == PAGES
    of_a_page = {"cpu", "alone_ms", "statements", "rows_read", "bytes", "p50", "p95", "ratio"}
    assert {name for name, found in pages.items() if found.keys() != of_a_page} == set()
    empty = {"queue_poll", "busiest_account_curve", "search_by_name", "search_account"}  # no HTML, or elsewhere (303)
    assert {name for name, found in pages.items() if not found["bytes"]} - empty == set()
    assert {name: found["bytes"] for name, found in pages.items() if found["bytes"] > _LARGEST} == {}
    assert figures["live_rows_written_per_second"] > 0
