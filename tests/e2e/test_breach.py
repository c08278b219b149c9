"""A breach on the whole stack, with the monitor killed just before: one breach, one lock, one proof to check."""

import json
import os
import signal
from datetime import timedelta
from pathlib import Path

import pytest

from cli import proof
from tests.e2e.firm import DAY, minutes, open_for_business

_FALLING = minutes([(m, "2650.000") for m in range(10)] + [(m, f"{2650 - (m - 10) * 4}.000") for m in range(10, 40)])


@pytest.mark.timeout(900)
async def test_a_killed_monitor_loses_no_breach_and_judges_none_twice(data_dir: Path, tmp_path: Path) -> None:
    async with open_for_business(data_dir, _FALLING) as firm:
        await firm.advance(DAY + timedelta(minutes=1))
        trader = await firm.trader(1, "two-step")
        account = await firm.account(trader)
        await firm.order(account["login"], "open", "buy", "2")
        await firm.advance(DAY + timedelta(minutes=12))
        pid = firm.stack.pid("monitor")
        assert pid is not None
        os.kill(pid, signal.SIGKILL)
        await firm.advance(DAY + timedelta(minutes=45))
        assert firm.stack.restarts("monitor") == 1

        breaches = await trader.api.items(f"/v1/accounts/{account['id']}/breaches")
        assert [breach["rule_id"] for breach in breaches] == ["daily_loss"]
        assert breaches[0]["floor_minor"] == 9_500_000
        at_venue = await firm.sandbox.account(account["login"])
        assert (at_venue["trading_enabled"], at_venue["positions"]) == (False, [])
        challenge = await trader.api.get(f"/v1/challenges/{trader.challenge_id}")
        assert challenge["state"] == "breached"

        sheet = await trader.api.get(f"/v1/proofs/{breaches[0]['proof_id']}")
        good, forged = tmp_path / "good.json", tmp_path / "forged.json"
        good.write_text(json.dumps(sheet))
        text = good.read_text()
        assert "9500000" in text
        forged.write_text(text.replace("9500000", "9500001", 1))
        assert proof.check([good])
        assert not proof.check([forged])
