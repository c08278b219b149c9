"""The whole benchmark of the gateway, small: a venue, a gateway and a shard over real sockets, with both journals."""

import json
import os
import subprocess
import sys

import pytest

from cli.bench.redis_process import installed


@pytest.mark.skipif(not installed() and not os.environ.get("CI"), reason="redis-server is not installed")
def test_a_small_run_prints_every_figure() -> None:
    sizes = ["--accounts", "200", "--messages", "5000", "--missed", "5000", "--paced", "200"]
    sizes += ["--adapters", "dxtrade", "--recorded", "200"]
    command = [sys.executable, "-m", "cli.main", "bench", "gateway", *sizes, "--json"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, check=False, env=os.environ)
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)
    assert (figures["accounts"], figures["messages"], figures["missed"]) == (200, 5000, 5000)
    for journal in ("embedded", "redis"):
        found = figures[journal]
        rates = ("raw_to_journaled_per_second", "raw_to_judged_per_second", "reconnect_seconds", "peak_mb")
        assert all(found[name] > 0 for name in rates)
        assert found["added_latency_ms"].keys() == found["bare_latency_ms"].keys() == {"p50", "p99"}
    assert all(ratio > 0 for ratio in figures["redis_to_embedded"].values())
    assert figures["adapters"]["dxtrade"]["messages"] == 200
    assert all(figure > 0 for figure in figures["adapters"]["dxtrade"].values())
