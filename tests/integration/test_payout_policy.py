"""Rounds of approvals, their expiry and withdrawal, the limits of a day, and a page that is out of date."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio.exceptions import ApplicationError

from contracts.messages import DecisionRequest, PayoutChoice
from domain.approvals import Actor
from domain.errors import BadInput, OutcomeUnknown, RefusedForGood, StaleDecision
from firm.payouts import approving, row
from front.subjects.subject import kinds
from front.subjects.table import SUBJECTS
from store.models import AuditEntry, Decision, Payout, User, Wakeup
from store.read import queue
from store.read.pages import Window
from store.scope import FIRM
from tests.asked import ask_for
from tests.payout_world import LARGE, MEDIUM, SMALL, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def seen(firm: World, payout_id: str) -> str:
    async with firm.db.transaction() as session:
        return str((await approving.viewed(session, FIRM, payout_id)).seen)


async def test_the_product_says_nothing_and_a_policy_that_changes_binds_what_is_not_sent(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, SMALL)
    assert (await firm.payout(payout_id)).state == "approved"
    await firm.policy(USD={"automatic_up_to": "399"})
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval", "read again"
    assert (await firm.payout(payout_id)).approvers_needed == 1
    assert await firm.decide(payout_id, fay) == "approved"
    async with firm.db.transaction() as session:
        decision = (await session.scalars(select(Decision))).one()
        payout = await session.get_one(Payout, payout_id)
    assert decision.evidence["policy"] == payout.policy_hash
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"


async def test_the_refunded_fee_counts_for_the_band(firm: World) -> None:
    name = await firm.add_product("back", fee_refund={"amount": "last_fee_paid"}, first_after_days=0)
    trader = await firm.add_trader("tina", product=name)
    payout_id = await firm.awaiting(trader, SMALL)
    payout = await firm.payout(payout_id)
    assert payout.trader_minor <= 50_000 < payout.trader_minor + payout.refund_minor
    assert (payout.state, payout.approvers_needed) == ("awaiting_approval", 1)


async def test_after_a_refused_send_the_approvals_are_used_up(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    before = await seen(firm, payout_id)
    await firm.decide(payout_id, fay)
    firm.provider.refuses = RefusedForGood("key", "There is no such account.")
    assert (await firm.activities.send_money(ref(payout_id))).state == "in_review"
    async with firm.db.transaction() as session:
        payout = await session.get_one(Payout, payout_id)
        counted, needed = await row.approvals(session, payout)
        view = await approving.viewed(session, FIRM, payout_id)
    assert (payout.round, counted, needed, view.approvals) == (2, 0, 1, 0)
    request = DecisionRequest(key="k" * 40, actor=fay, reason="again")
    with pytest.raises(StaleDecision) as stale:
        await ask_for(firm.db, "payout", payout_id, "approve", request, seen=before)
    assert stale.value.changed == ("a transfer ended, and the approvals begin anew",)


async def test_an_approval_expires(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "admin")
    await firm.policy(approvals_valid_hours=2)
    payout_id = await firm.awaiting(trader, LARGE)
    await firm.decide(payout_id, fay)
    now = (await firm.payout(payout_id)).requested_at
    await firm.market_time(now + timedelta(hours=2))
    assert await firm.decide(payout_id, gil) == "awaiting_approval", "the first one has expired"
    assert await firm.decide(payout_id, fay) == "approved", "and may be given again"


async def test_an_approval_is_taken_back_until_the_money_leaves(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    assert await firm.decide(payout_id, fay) == "approved"
    assert (await refusal(firm, payout_id, gil, "retract")).type == "nothing-to-withdraw"
    assert await firm.decide(payout_id, fay, "retract") == "awaiting_approval"
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    assert firm.provider.calls == 0
    assert (await refusal(firm, payout_id, fay, "retract")).type == "nothing-to-withdraw"
    assert await firm.decide(payout_id, fay) == "approved", "a changed mind may change again"
    assert (await firm.activities.send_money(ref(payout_id))).state == "sent"
    assert (await refusal(firm, payout_id, fay, "retract")).type == "nothing-to-withdraw"


async def test_an_approval_taken_back_while_a_send_has_no_answer_is_read_before_the_next_send(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    await firm.decide(payout_id, fay)
    firm.provider.loses = ["request"]
    with pytest.raises(OutcomeUnknown):
        await firm.activities.send_money(ref(payout_id))
    assert await firm.decide(payout_id, fay, "retract") == "approved"
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    assert firm.provider.transfers == {}


async def test_an_approval_says_what_was_seen(firm: World) -> None:
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout_id = await firm.awaiting(trader, MEDIUM)
    request = DecisionRequest(key="k" * 40, actor=fay, reason="looked at it")
    with pytest.raises(BadInput) as missing:
        await ask_for(firm.db, "payout", payout_id, "approve", request, seen="")
    assert missing.value.field == "seen"
    shown = await seen(firm, payout_id)
    await firm.policy(approvals_valid_hours=1)
    async with firm.db.transaction() as session:
        (await session.get_one(Payout, payout_id)).beneficiary = "DE00"
    with pytest.raises(StaleDecision) as stale:
        await ask_for(firm.db, "payout", payout_id, "approve", request, seen=shown)
    assert stale.value.changed == ("the beneficiary", "the firm's payout policy")


async def test_one_person_approves_so_much_a_day_also_at_the_same_time(firm: World) -> None:
    traders = [await firm.add_trader(name) for name in ("tina", "leo", "ute")]
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    await firm.policy(USD={"person_per_day": "5000"})
    first, second, third = [await firm.awaiting(trader, MEDIUM) for trader in traders]
    results = await asyncio.gather(
        *(firm.decide(payout_id, fay) for payout_id in (first, second, third)), return_exceptions=True
    )
    refused = [result for result in results if isinstance(result, ApplicationError)]
    assert [error.type for error in refused] == ["approval-limit"]
    late = (first, second, third)[[isinstance(result, ApplicationError) for result in results].index(True)]
    assert await firm.decide(late, gil) == "approved"
    await firm.market_time((await firm.payout(late)).requested_at + timedelta(days=1))


async def test_only_so_much_leaves_automatically_a_day_also_at_the_same_time(
    firm: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each waits a moment for the others after it has added up what leaves today: they meet unless they take turns."""
    added_up, met, all_here = approving._sum, set[object](), asyncio.Event()

    async def meet(*given: Any) -> int:
        found = await added_up(*given)
        if asyncio.current_task() not in met:
            met.add(asyncio.current_task())
            if len(met) == 3:
                all_here.set()
            with suppress(TimeoutError):
                async with asyncio.timeout(2):
                    await all_here.wait()
        return found

    monkeypatch.setattr(approving, "_sum", meet)
    traders = [await firm.add_trader(name) for name in ("tina", "leo", "ute")]
    await firm.policy(USD={"automatic_per_day": "800"})
    asked = [await firm.request(trader, SMALL) for trader in traders]
    for payout_id in asked:
        await firm.activities.place_hold(ref(payout_id))
    await asyncio.gather(*(firm.activities.check_risk(ref(payout_id)) for payout_id in asked))
    found = [await firm.payout(payout_id) for payout_id in asked]
    assert sorted((payout.state, payout.approvers_needed) for payout in found) == [
        ("approved", 0),
        ("approved", 0),
        ("awaiting_approval", 1),
    ]


async def test_the_payouts_of_one_trader_a_day_need_two_people_above_the_limit(firm: World) -> None:
    trader = await firm.add_trader("tina")
    await firm.policy(USD={"trader_per_day": "399"})
    payout_id = await firm.awaiting(trader, SMALL)
    payout = await firm.payout(payout_id)
    assert (payout.state, payout.approvers_needed) == ("awaiting_approval", 2)


async def test_a_role_revoked_in_flight_no_longer_counts(firm: World) -> None:
    trader = await firm.add_trader("tina")
    fay, gil = await firm.add_user("fay", "finance"), await firm.add_user("gil", "finance")
    payout_id = await firm.awaiting(trader, LARGE)
    await firm.decide(payout_id, fay)
    assert await firm.decide(payout_id, gil) == "approved"
    async with firm.db.transaction() as session:
        (await session.get_one(User, fay.user_id)).role = "support"
    assert (await firm.activities.send_money(ref(payout_id))).state == "awaiting_approval"
    assert (await firm.payout(payout_id)).reason == "only 1 of 2 approvals still count"


async def test_an_undecided_payout_is_raised_to_the_role_above_and_ends_later(firm: World) -> None:
    trader = await firm.add_trader("tina")
    await firm.policy(escalate_after_hours=3, decide_within_hours=6)
    payout_id = await firm.awaiting(trader, MEDIUM)
    asked = (await firm.payout(payout_id)).requested_at
    await firm.market_time(asked + timedelta(hours=3))
    async with firm.db.transaction() as session:
        wakeup = (await session.scalars(select(Wakeup))).one()
    assert wakeup.due_at == asked + timedelta(hours=3)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"
    async with firm.db.transaction() as session:
        (item,) = (await queue.page(session, Window(limit=5), kinds(SUBJECTS.decided))).items
        entries = await session.scalars(select(AuditEntry).where(AuditEntry.action == "payout.escalated"))
        assert [entry.evidence["to"] for entry in entries] == ["admin"]
        due = (await session.scalars(select(Wakeup))).one().due_at
    assert "escalated to admin" in item.words
    assert due == asked + timedelta(hours=6)
    await firm.market_time(due)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "releasing"


async def refusal(firm: World, payout_id: str, actor: Actor, choice: PayoutChoice) -> ApplicationError:
    with pytest.raises(ApplicationError) as caught:
        await firm.decide(payout_id, actor, choice)
    return caught.value
