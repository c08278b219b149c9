"""The main job: a firm's whole life on a part of a made-up day, twice beside each other, with the same end."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from cli.proof import check
from cli.run.api import build_api
from cli.stack.embedded import postgres
from cli.stack.processes import running
from sandbox.synthetic import write_day
from settings import load
from tests import console_counts, servers
from tests.free_ports import free_port_environment

_HOUR: Final = 3_600_000
# PROPOS_TEST_DEMO_ACCOUNTS=300 uv run pytest tests/e2e/test_demo.py -k large: compares every number of the console of a
# firm as large as `propos demo` makes. It takes some minutes on a quiet machine.
_LARGE: Final = int(os.environ.get("PROPOS_TEST_DEMO_ACCOUNTS", "0"))
_ACCOUNTS: Final = 18  # the least with a winner and a loser of a chargeback, and with payouts that come back


async def _live(folder: Path, accounts: int = _ACCOUNTS) -> dict[str, Any]:
    """Returns what `propos demo` prints. Its day is the busy part of the usual one, to the second release."""
    market, symbols = folder / "market", ("EURUSD", "XAUUSD")
    write_day(market, symbols, date(2026, 3, 6), 7, begin_ms=7 * _HOUR, end_ms=15 * _HOUR)
    options = {
        "--market": market,
        "--symbols": ",".join(symbols),
        "--date": "2026-03-06",
        "--accounts": accounts,
        "--seed": 7,
        "--data": folder / "data",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli.main", "demo", "--json"),
        *(str(part) for option in options.items() for part in option),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        printed, errors = await process.communicate()
    finally:
        if process.returncode is None:
            process.terminate()
    assert process.returncode == 0, errors.decode()[-2000:]
    summary: dict[str, Any] = json.loads(printed)
    return summary


def _every_proof_holds(folder: Path, count: int) -> None:
    sheets = sorted(folder.glob("*.json"))
    assert len(sheets) == count > 0
    assert check([folder])
    text = sheets[0].read_text()
    digit = next(index for index, letter in enumerate(text) if letter in "12345678")
    sheets[0].write_text(text[:digit] + str(int(text[digit]) + 1) + text[digit + 1 :])
    assert not check([folder])


@asynccontextmanager
async def _console(data: Path) -> AsyncIterator[httpx.AsyncClient]:
    """The console on what a demo left, signed in as its admin."""
    settings = load(data_dir=data)
    cluster = postgres.prepare(data / "postgres", open_parents=settings.open_parents)
    answers = partial(postgres.answers, cluster.url("postgres"))
    with running(cluster.argv, answers, data / "console-log", user=cluster.user, stop=signal.SIGINT):
        down = {"database_url": cluster.app_url(), "temporal_address": "127.0.0.1:1"}  # nothing is decided here
        app = build_api(settings.model_copy(update=down))
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url=settings.api_url, timeout=60) as http:
            password = json.loads((data / "demo-login.json").read_text())["password"]
            answer = await http.post("/sign-in", data={"login": "ana", "password": password, "next": "/"})
            assert answer.status_code == 303, answer.text
            yield http
        await app.state.deps.db.close()


async def _every_number_is_the_length_of_its_list(data: Path, states: dict[str, int]) -> None:
    async with _console(data) as http:
        shown = await console_counts.counts(http)
        assert {address: shown[address] for address in shown if address.startswith("/challenges?state=")} == {
            f"/challenges?state={state}": number for state, number in states.items()
        }
        assert await console_counts.differences(http) == {}
        active = await console_counts.length(http, "/accounts?status=active")
        exposed = (await http.get("/v1/exposure")).json()["items"]
        assert all(row["accounts"] <= active for row in exposed), "accounts that ended have no exposure"


def _opens(command: list[str]) -> None:
    """Runs the firm with the command that the demo named, and signs in to its console."""
    env = free_port_environment()
    process = subprocess.Popen(
        [sys.executable, "-m", "cli.main", *command],
        env=env,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        while "The demo firm is complete." not in said:
            line = process.stdout.readline()
            assert line, said
            said += line
        password = re.search(r"│ ana +│ (\S+) +│", said)
        assert password, said
        with httpx.Client(base_url=f"http://127.0.0.1:{env['PROPOS_API_PORT']}", timeout=60) as http:
            form = {"login": "ana", "password": password[1], "next": "/"}
            assert http.post("/sign-in", data=form).status_code == 303
            assert http.get("/challenges").status_code == 200
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(300)
        process.stdout.close()


@pytest.mark.timeout(3600)
async def test_the_same_seed_lives_the_same_life() -> None:
    with servers.scratch_dir("demo") as one, servers.scratch_dir("demo") as two:
        first, second = await asyncio.gather(_live(one), _live(two))
        _every_proof_holds(one / "data" / "proofs", first["proofs"])
        await _every_number_is_the_length_of_its_list(one / "data", first["states"])
        await asyncio.to_thread(_opens, second["open_with"])
    assert first["states"] == second["states"]
    assert first["breach_list"] == second["breach_list"]
    assert first["payout_list"] == second["payout_list"]
    assert sum(first["states"].values()) == first["accounts"] == _ACCOUNTS
    assert first["ledger_imbalance"] == first["unreconciled"] == first["open_holds"] == 0
    assert sum(first["breaches"].values()) == len(first["breach_list"]) > 0
    assert first["passes"] > 0
    assert first["chargebacks"].keys() >= {"won", "lost"}
    assert first["payouts_came_back"] >= first["outside"]["payouts_sent_back"] > 0
    assert sum(first["returns_decided"].values()) >= first["payouts_came_back"]
    assert "returned" not in first["payouts"], "each return was decided"
    assert "provisioning" not in first["states"]


@pytest.mark.timeout(7200)
@pytest.mark.skipif(not _LARGE, reason="PROPOS_TEST_DEMO_ACCOUNTS says how large the firm is")
async def test_every_number_of_a_large_firm_is_the_length_of_its_list() -> None:
    with servers.scratch_dir("demo") as folder:
        lived = await _live(folder, _LARGE)
        await _every_number_is_the_length_of_its_list(folder / "data", lived["states"])
