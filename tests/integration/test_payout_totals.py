"""What counts as paid: money that came back counts until it is put back on the account."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from domain.approvals import Actor
from domain.errors import PayoutRefused
from domain.payouts import PayoutFacts
from firm import beneficiaries
from firm.payouts.preview import PayoutPreview, preview
from firm.payouts.situation import situation
from relay.inbox import InboxDispatcher
from store import inbox
from tests.payout_world import INITIAL, MEDIUM, SMALL, START, World, a_firm, ref

CAP = "3200.00"


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def _facts(firm: World) -> PayoutFacts:
    async with firm.db.transaction() as session:
        return (await situation(session, "acc_tina")).facts


async def test_a_payout_that_came_back_counts_until_it_is_put_back_on_the_account(firm: World) -> None:
    product = await firm.add_product("capped", cap_total=CAP)
    tina = await firm.add_trader("tina", product=product)
    payout_id = await firm.paid(tina, MEDIUM, await firm.add_user("fay", "finance"))
    before = await _facts(firm)
    firm.provider.becomes(payout_id, "returned")
    async with firm.db.transaction() as session:
        await inbox.receive(session, provider="fakepay", event_id="e1", kind="transfer.returned", object_id="tr_1")
    assert await InboxDispatcher(firm.db, firm.deps.payments).step() == 1
    gil = await firm.add_user("gil", "finance")
    for state in ("returned", "owed", "in_review"):
        if state != "returned":
            await firm.decide(payout_id, gil, "keep" if state == "owed" else "send_again", key=state)
        assert (await firm.payout(payout_id)).state == state
        now = await _facts(firm)
        assert (now.payouts_paid, now.paid_gross_minor, now.paid_trader_minor) == (1, MEDIUM, MEDIUM * 80 // 100)
        assert (now.payout_balance_minor, now.open_payout_id) == (before.payout_balance_minor, None)
        assert now.last_payout_at is not None
        await firm.market_time(START + timedelta(days=60))
        with pytest.raises(PayoutRefused, match=r"more than the 200\.00 USD available"):
            await firm.request(tina, SMALL)
    assert await firm.decide(payout_id, gil, "reject", key="reject") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    back = await _facts(firm)
    assert (back.payouts_paid, back.paid_gross_minor, back.last_payout_at) == (0, 0, None)
    assert await firm.request(tina, SMALL)


async def test_a_request_shows_its_arithmetic_and_each_gate(firm: World) -> None:
    days = {"type": "trading_day_count", "id": "trading_days", "required": 1, "blocks": ["payout"]}
    tina = await firm.add_trader("tina", product=await firm.add_product("gated", rules=[days], cap_total=CAP))
    await firm.traded("tina", START.date() + timedelta(days=3))
    checks = (await firm.payout(await firm.request(tina, SMALL))).checks
    words = str(checks["eligibility"]["words"])
    for part in ("Balance 104,000.00 USD", "payouts come from 4,000.00 USD", "at most 3,200.00 USD by the caps"):
        assert part in words
    assert words.endswith("available 3,200.00 USD; requested 500.00 USD.")
    assert checks["gate:trading_days"]["ok"]


async def _simulated(firm: World) -> PayoutPreview:
    async with firm.db.transaction() as session:
        return await preview(session, "acc_tina")


async def _adds_account(firm: World, tina: Actor, account: str) -> str:
    async with firm.db.transaction() as session:
        row = await beneficiaries.add(session, trader_id="trd_tina", account=account, rail="fakepay", actor=tina)
        return row.id


async def test_a_simulation_says_what_is_in_the_way_and_until_when(firm: World) -> None:
    await firm.market_time(START + timedelta(days=5))
    tina = await firm.add_trader("tina")
    (early,) = (await _simulated(firm)).blocks
    assert (early.code, early.stage, early.ended_by) == ("too_early", "request", "time")
    assert early.until is not None
    assert (await _simulated(firm)).possible_from == early.until
    await firm.market_time(early.until)
    ahead = await _simulated(firm)
    assert (ahead.blocks, ahead.possible_from, ahead.gross_minor) == ((), early.until, 400_000)
    changed = await _adds_account(firm, tina, "DE89370400440532013000")
    (waits,) = (await _simulated(firm)).blocks
    assert (waits.code, waits.stage, waits.ended_by, waits.until) == ("beneficiary_waits", "payment", "firm", None)
    sam = await firm.add_user("sam", "support")
    async with firm.db.transaction() as session:
        await beneficiaries.decide(session, changed, verb="confirm", actor=sam, reason="called", key="k1")
    (cools,) = (await _simulated(firm)).blocks
    assert (cools.ended_by, cools.until is not None and cools.until > early.until) == ("time", True)
    payout = await firm.payout(await firm.request(tina, SMALL))
    after = await _simulated(firm)
    assert [(block.code, block.until) for block in after.blocks][:1] == [("payout_open", payout.decide_by)]
    assert after.possible_from is None
