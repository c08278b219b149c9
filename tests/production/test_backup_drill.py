"""The drill of docs/runbooks/restore.md on a whole firm of real processes: the newest minutes of Temporal are lost,
then those of both databases. Nothing is lost or doubled that the outside world has seen."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from sqlalchemy import select

from cli.demo.actors import Trader
from domain.errors import ApiRefused, Unavailable
from store import operations
from store.models import Challenge, InboxEvent, Payout
from tests.e2e.firm import DAY, Firm, minutes, open_for_business
from tests.production.propos_command import answer, propos

_RISING = minutes([(m, f"{2650 + m // 2}.000") for m in range(240)])
_PATIENCE = 300  # seconds, on a slow machine


async def _until(condition: Callable[[], Awaitable[bool]], what: str) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not await condition():
        assert time.monotonic() < deadline, f"never happened: {what}"
        await asyncio.sleep(0.1)


async def _advance(firm: Firm, to: datetime) -> None:
    """Like `Firm.advance`, for a record that does not know all that the outside world tells it: it never rests."""
    while await firm.sandbox.advance(to) < to:
        continue


async def _state(firm: Firm, payout_id: str) -> str | None:
    async with firm.db.transaction() as session:
        payout = await session.get(Payout, payout_id)
        return None if payout is None else payout.state


async def _request(firm: Firm, trader: Trader, account_id: str) -> str:
    payout = await trader.api.post(f"/v1/accounts/{account_id}/payouts", {"amount": "3500.00"})
    await firm.settle()
    return str(payout["id"])


async def _approved(firm: Firm, payout_id: str) -> None:
    """A person approves, as often as it takes: its workflow may just be starting again."""
    grace = await firm.operator("grace")
    tries = 0

    async def left() -> bool:
        nonlocal tries
        if await _state(firm, payout_id) in ("sent", "paid"):
            return True
        tries += 1
        with suppress(ApiRefused, Unavailable):
            seen = (await grace.get(f"/v1/payouts/{payout_id}"))["seen"]
            body = {"reason": "Checks are green.", "seen": seen}
            await grace.post(f"/v1/payouts/{payout_id}/approve", body, key=f"{payout_id}/{id(firm)}/{tries}")
        return False

    await _until(left, f"{payout_id} is sent")


async def _transfers(firm: Firm) -> Counter[str]:
    """payout -> how often money left for it, by the provider's own account."""
    return Counter(entry["reference"] for entry in await firm.sandbox.provider_entries() if entry["kind"] == "transfer")


async def _books_balance(firm: Firm) -> None:
    found = await asyncio.to_thread(propos, "ledger", "check", "--json", "--data", str(firm.stack.settings.data_dir))
    assert answer(found)["faults"] == 0
    async with firm.db.transaction() as session:
        assert await operations.open_holds(session) == 0


@pytest.mark.timeout(3000)
async def test_the_newest_minutes_of_temporal_and_of_both_are_lost_and_nothing_is_doubled(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROPOS_DEFAULT_RAIL", "sandbox")  # its account shows what left
    place = ("--data", str(data_dir), "--json")
    backups = str(data_dir.parent / "backups")

    async with open_for_business(data_dir, _RISING) as firm:
        await firm.advance(DAY + timedelta(minutes=1))
        traders = [await firm.trader(number, "instant") for number in range(2)]
        accounts = [await firm.account(trader) for trader in traders]
        for account in accounts:
            await firm.order(account["login"], f"open-{account['id']}", "buy", "2")
        await firm.advance(DAY + timedelta(minutes=200))
        for account in accounts:
            position = await firm.position(account["login"])
            await firm.order(account["login"], f"close-{account['id']}", "sell", "2", position)
        rosa = await firm.operator("rosa")
        for trader in traders:
            await rosa.post(f"/v1/traders/{trader.trader_id}/identity", {"verified": True, "reason": "Seen."})
        await firm.advance(DAY + timedelta(days=8))
        before = await _request(firm, traders[0], accounts[0]["id"])
        made = answer(await asyncio.to_thread(propos, "backup", "--out", backups, *place))
        assert {"record.dump", "temporal.db", "bank.tar", "mail.tar"} <= made["manifest"]["files"].keys()
        assert made["manifest"]["rows"]["payouts"] == 1

        after = await _request(firm, traders[1], accounts[1]["id"])
        late = await firm.trader(7, "instant")
        for payout_id in (before, after):
            await _approved(firm, payout_id)
            await firm.settle(f"payout/{payout_id}")
        assert await _transfers(firm) == {before: 1, after: 1}

    lost = await asyncio.to_thread(propos, "restore", "--from", backups, "--only", "temporal", *place)
    assert answer(lost)["ended"] > 0
    async with open_for_business(data_dir, _RISING) as firm:
        assert {await _state(firm, payout_id) for payout_id in (before, after)} <= {"sent", "paid"}, (
            "the record is whole"
        )
        await firm.advance(DAY + timedelta(days=8, hours=6))
        for payout_id in (before, after):
            await _until(partial(_is, firm, payout_id, "paid"), f"{payout_id} is paid")
        assert await _transfers(firm) == {before: 1, after: 1}
        assert (await (await firm.operator("rosa")).get(f"/v1/challenges/{late.challenge_id}"))["state"] == "funded"
        await _books_balance(firm)

    lost = await asyncio.to_thread(propos, "restore", "--from", backups, "--replace", *place)
    assert answer(lost)["kept"], "the bank's folder knows what was sent since"
    assert answer(lost)["asked"] is not None, "the schema is the newest: the restore is noted at once"
    async with open_for_business(data_dir, _RISING) as firm:
        assert await _state(firm, after) is None, "it is younger than the backup"
        await _approved(firm, before)
        await _until(partial(_is, firm, before, "paid"), "the payout is paid")
        assert await _transfers(firm) == {before: 1, after: 1}, "people decided again, and nothing was sent again"
        await _books_balance(firm)
        await _until(partial(_is_told_again, firm), "what was bought after the backup is told again")
        await _shows_a_break(firm, after)


async def _shows_a_break(firm: Firm, payout_id: str) -> None:
    """What was sent after the backup is a break that people decide, once it has been without its row for days."""
    grace = await firm.operator("grace")
    known = await grace.get("/v1/reconciliation")

    async def read_again() -> bool:
        return bool((await grace.get("/v1/reconciliation"))["sources"] != known["sources"])

    for day in range(9, 20):
        if payout_id in str(await grace.items("/v1/breaks")):
            return
        await _advance(firm, DAY + timedelta(days=day))
        await _until(read_again, "the sources are read on another day")
        known = await grace.get("/v1/reconciliation")
    pytest.fail(f"no break of {payout_id}: {await grace.items('/v1/breaks')}")


async def _is_told_again(firm: Firm) -> bool:
    """Whether the inbox has a payment for something that the record does not know."""
    async with firm.db.transaction() as session:
        checkouts = select(Challenge.checkout_id).where(Challenge.checkout_id.is_not(None))
        lost = (InboxEvent.kind == "checkout.paid") & InboxEvent.object_id.not_in(checkouts)
        return await session.scalar(select(InboxEvent.id).where(lost).limit(1)) is not None


async def _is(firm: Firm, payout_id: str, state: str) -> bool:
    return await _state(firm, payout_id) == state
