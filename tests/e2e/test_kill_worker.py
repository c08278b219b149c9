"""The worker gets SIGKILL around the send of a payout; exactly one transfer leaves each time."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import func, select

from store import ledger, operations
from store.models import Payout, PayoutTransfer
from tests.e2e.firm import DAY, Firm, minutes, open_for_business

_RISING = minutes([(m, f"{2650 + m // 2}.000") for m in range(240)])


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + 180
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.02)


async def _kill_worker(firm: Firm) -> None:
    pid = firm.stack.pid("worker")
    assert pid is not None
    os.kill(pid, signal.SIGKILL)


@pytest.mark.timeout(900)
async def test_one_transfer_whenever_the_worker_dies(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROPOS_DEFAULT_RAIL", "sandbox")  # its faults are used below
    async with open_for_business(data_dir, _RISING) as firm:
        await firm.advance(DAY + timedelta(minutes=1))
        traders = [await firm.trader(number, "instant") for number in range(3)]
        accounts = [await firm.account(trader) for trader in traders]
        for number, account in enumerate(accounts):
            await firm.order(account["login"], f"open-{number}", "buy", "2")
        await firm.advance(DAY + timedelta(minutes=200))
        for account in accounts:
            position = await firm.position(account["login"])
            await firm.order(account["login"], f"close-{account['id']}", "sell", "2", position)
        rosa, grace = [await firm.operator(login) for login in ("rosa", "grace")]
        for trader in traders:
            await rosa.post(f"/v1/traders/{trader.trader_id}/identity", {"verified": True, "reason": "Seen."})
        await firm.advance(DAY + timedelta(days=8))
        payouts = []
        for trader, account in zip(traders, accounts, strict=True):
            answer = await trader.api.post(f"/v1/accounts/{account['id']}/payouts", {"amount": "3500.00"})
            payouts.append(answer["id"])
        await firm.settle()

        async def transfers(payout_id: str) -> int:
            entries = await firm.sandbox.provider_entries()
            return sum(e["kind"] == "transfer" and e["reference"] == payout_id for e in entries)

        async def attempts(payout_id: str, *, answered: bool) -> bool:
            async with firm.db.transaction() as session:
                query = select(func.count()).where(PayoutTransfer.payout_id == payout_id)
                return bool(
                    await session.scalar(query.where(PayoutTransfer.provider_id.is_not(None)) if answered else query)
                )

        async def approve(payout_id: str) -> None:
            seen = (await grace.get(f"/v1/payouts/{payout_id}"))["seen"]
            await grace.post(f"/v1/payouts/{payout_id}/approve", {"reason": "Checks are green.", "seen": seen})

        async def taken(payout_id: str) -> bool:
            return await transfers(payout_id) == 1

        before, during, after = payouts
        # 1. before the provider has it
        await firm.sandbox.set_faults(unavailable=1000)
        await approve(before)
        await _until(lambda: attempts(before, answered=False), "the attempt to send")
        assert await transfers(before) == 0
        await _kill_worker(firm)
        await firm.sandbox.set_faults()
        await _until(lambda: attempts(before, answered=True), "the first payout sent")
        # 2. the provider has it, the worker does not know
        await firm.sandbox.set_faults(timeout_after_effect=1, hold_seconds=20)
        await approve(during)
        await _until(lambda: taken(during), "the transfer taken")
        assert not await attempts(during, answered=True)
        await _kill_worker(firm)
        await firm.sandbox.set_faults()
        await _until(lambda: attempts(during, answered=True), "the second payout sent")
        # 3. the result is stored
        await approve(after)
        await _until(lambda: attempts(after, answered=True), "the third payout sent")
        await _kill_worker(firm)

        await firm.settle(*(f"payout/{payout_id}" for payout_id in payouts))
        await firm.advance(DAY + timedelta(days=8, hours=6))
        assert [await transfers(payout_id) for payout_id in payouts] == [1, 1, 1]
        assert firm.stack.restarts("worker") == 3
        async with firm.db.transaction() as session:
            states = dict((await session.execute(select(Payout.id, Payout.state))).tuples().all())
            assert await ledger.imbalance(session) == 0
            assert await operations.open_holds(session) == 0
        assert set(states.values()) <= {"paid", "returned"}
