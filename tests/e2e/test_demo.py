"""The main job: a firm's whole life on a made-up day, twice, with the same end."""

from datetime import date
from pathlib import Path
from typing import Any

import pytest

from cli.demo.run import DemoOptions, run
from cli.proof import check
from sandbox.synthetic import write_day
from tests import servers


async def _run(folder: Path, seed: int) -> dict[str, Any]:
    market = folder / "market"
    write_day(market, ("EURUSD", "XAUUSD"), date(2026, 3, 6), seed, end_ms=15 * 3600 * 1000)
    options = DemoOptions(
        market=market,
        symbols=("EURUSD", "XAUUSD"),
        date="2026-03-06",
        accounts=40,
        seed=seed,
        data_dir=folder / "data",
    )
    return await run(options, lambda what, done: None)


def _every_proof_holds(folder: Path, count: int) -> None:
    sheets = sorted(folder.glob("*.json"))
    assert len(sheets) == count > 0
    assert check([folder])
    text = sheets[0].read_text()
    digit = next(index for index, letter in enumerate(text) if letter in "12345678")
    sheets[0].write_text(text[:digit] + str(int(text[digit]) + 1) + text[digit + 1 :])
    assert not check([folder])


@pytest.mark.timeout(600)
async def test_the_same_seed_lives_the_same_life() -> None:
    with servers.scratch_dir("demo") as one, servers.scratch_dir("demo") as two:
        first, second = await _run(one, 7), await _run(two, 7)
        _every_proof_holds(one / "data" / "proofs", first["proofs"])
    assert first["states"] == second["states"]
    assert first["breach_list"] == second["breach_list"]
    assert first["payout_list"] == second["payout_list"]
    assert sum(first["states"].values()) == first["accounts"] == 40
    assert first["ledger_imbalance"] == first["unreconciled"] == first["open_holds"] == 0
    assert sum(first["breaches"].values()) == len(first["breach_list"]) > 0
    assert first["passes"] > 0
    assert "provisioning" not in first["states"]
