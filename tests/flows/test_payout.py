"""Whole payouts on real Postgres and Temporal: every way in, through and out."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select
from temporalio.client import WorkflowExecutionStatus, WorkflowUpdateFailedError

from activities.challenges import ChallengeActivities
from contracts.challenges import ChallengeFact
from contracts.ids import payout_workflow
from domain.approvals import Actor
from domain.errors import RefusedForGood
from firm.payouts import signals
from relay.inbox import InboxDispatcher
from store import inbox, operations
from store.models import OutboxMessage
from tests.payout_stage import PATIENCE_SECONDS, Stage, a_stage
from tests.payout_world import INITIAL, LARGE, MEDIUM, SMALL


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


async def nothing_is_bound(stage: Stage, *, paid: int = 0, gross: int = 0) -> None:
    assert await stage.world.books() == (0, -paid, 0)
    assert set(stage.world.venue.balances.values()) == {INITIAL + 400_000 - gross}
    async with stage.world.db.transaction() as session:
        assert await operations.open_holds(session) == 0


async def waiting(stage: Stage, gross: int = MEDIUM) -> tuple[str, Actor]:
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, gross)
    await stage.becomes(payout_id, "awaiting_approval")
    return payout_id, trader


async def test_a_small_payout_is_paid_without_anybody(stage: Stage) -> None:
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), SMALL)
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    await nothing_is_bound(stage, paid=40_000, gross=SMALL)


async def test_a_large_payout_is_paid_after_two_people_and_a_repeated_webhook(stage: Stage) -> None:
    payout_id, _ = await waiting(stage, LARGE)
    fay, gil = await stage.world.add_user("fay", "finance"), await stage.world.add_user("gil", "admin")
    first = await stage.decide(payout_workflow(payout_id), "approve", fay)
    assert (first["state"], first["approvals"], first["approvals_needed"]) == ("awaiting_approval", 1, 2)
    assert (await stage.refused(payout_workflow(payout_id), "approve", fay, "again")).type == "already-decided"
    assert (await stage.decide(payout_workflow(payout_id), "approve", gil))["state"] == "approved"
    await stage.becomes(payout_id, "sent")
    for event in ("evt_1", "evt_2"):
        await stage.transfer_changed(payout_id, event)
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_3")
    await stage.ends(payout_id, "paid")
    await nothing_is_bound(stage, paid=320_000, gross=LARGE)


async def test_a_payout_approved_by_two_people_takes_at_most_50_events(stage: Stage) -> None:
    payout_id, _ = await waiting(stage, LARGE)
    for name in ("fay", "gil"):
        await stage.decide(payout_workflow(payout_id), "approve", await stage.world.add_user(name, "finance"))
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    history = await stage.client.get_workflow_handle(payout_workflow(payout_id)).fetch_history()
    assert len(history.events) <= 50


async def test_what_the_provider_returns_is_put_back_on_the_account_by_a_person(stage: Stage) -> None:
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), SMALL)
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "returned")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.becomes(payout_id, "returned")
    fay = await stage.world.add_user("fay", "finance")
    await stage.decide(payout_workflow(payout_id), "release", fay)
    await stage.ends(payout_id, "released")
    await nothing_is_bound(stage)


async def test_what_comes_back_after_it_arrived_starts_the_payout_again_and_is_paid(stage: Stage) -> None:
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), SMALL)
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    stage.world.provider.becomes(payout_id, "returned")
    async with stage.world.db.transaction() as session:
        await inbox.receive(session, provider="fakepay", event_id="evt_2", kind="transfer.returned", object_id="tr_1")
    await InboxDispatcher(stage.world.db, stage.world.deps.payments).step()
    await stage.becomes(payout_id, "returned")

    async def runs() -> bool:
        found = await stage.client.get_workflow_handle(payout_workflow(payout_id)).describe()
        return found.status == WorkflowExecutionStatus.RUNNING

    await stage.until(runs)
    fay = await stage.world.add_user("fay", "finance")
    await stage.decide(payout_workflow(payout_id), "send_again", fay)
    await stage.becomes(payout_id, "awaiting_approval")
    await stage.decide(payout_workflow(payout_id), "approve", fay)
    await stage.becomes(payout_id, "sent")
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_3")
    await stage.ends(payout_id, "paid")
    assert [one.status for one in stage.world.provider.transfers.values()] == ["returned", "paid"]
    await nothing_is_bound(stage, paid=40_000, gross=SMALL)


async def test_what_comes_back_while_its_arrival_is_being_settled_waits_for_people(stage: Stage) -> None:
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), SMALL)
    await stage.becomes(payout_id, "sent")
    stage.world.venue.away = True
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.becomes(payout_id, "settling")
    stage.world.provider.becomes(payout_id, "returned")
    await stage.transfer_changed(payout_id, "evt_2")

    async def heard() -> bool:
        async with stage.world.db.transaction() as session:
            waits = select(OutboxMessage.id).where(OutboxMessage.dispatched_at.is_(None))
            return await session.scalar(waits.where(OutboxMessage.name == "transfer_changed").limit(1)) is None

    await stage.until(heard)
    stage.world.venue.away = False
    await stage.becomes(payout_id, "returned")
    fay = await stage.world.add_user("fay", "finance")
    await stage.decide(payout_workflow(payout_id), "release", fay)
    await stage.ends(payout_id, "released")
    await nothing_is_bound(stage)


async def test_what_the_provider_refuses_waits_for_people_and_gives_the_hold_back(stage: Stage) -> None:
    stage.world.provider.refuses = RefusedForGood("key", "There is no such account.")
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, SMALL)
    await stage.becomes(payout_id, "in_review")
    await stage.decide(payout_workflow(payout_id), "cancel", trader)
    await stage.ends(payout_id, "cancelled")
    assert stage.world.provider.calls == 1
    await nothing_is_bound(stage)


@pytest.mark.parametrize(("update", "state"), [("reject", "rejected"), ("return_to_trader", "cancelled")])
async def test_staff_sends_it_back(stage: Stage, update: str, state: str) -> None:
    payout_id, _ = await waiting(stage)
    fay = await stage.world.add_user("fay", "finance")
    assert (await stage.decide(payout_workflow(payout_id), update, fay))["state"] == "releasing"
    await stage.ends(payout_id, state)
    await nothing_is_bound(stage)


async def test_the_trader_cancels(stage: Stage) -> None:
    payout_id, trader = await waiting(stage)
    await stage.decide(payout_workflow(payout_id), "cancel", trader)
    await stage.ends(payout_id, "cancelled")
    await nothing_is_bound(stage)


async def test_a_request_that_no_longer_holds_is_refused(stage: Stage) -> None:
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, MEDIUM)
    for login in stage.world.venue.balances:
        stage.world.venue.balances[login] = INITIAL
    await stage.ends(payout_id, "refused")
    assert stage.world.venue.done == {}


async def test_nobody_decides_in_time(stage: Stage) -> None:
    payout_id, _ = await waiting(stage)
    due = (await stage.world.payout(payout_id)).decide_by
    assert due is not None
    await stage.world.market_time(due + timedelta(seconds=1))
    await stage.ends(payout_id, "timed_out")
    await nothing_is_bound(stage)


@pytest.mark.parametrize(("decision", "state"), [("cleared", "awaiting_approval"), ("confirmed", "rejected")])
async def test_a_case_holds_until_it_is_decided(stage: Stage, decision: str, state: str) -> None:
    payout_id, _ = await waiting(stage)
    await stage.world.add_case("one", "acc_tina")
    await changed(stage, "opened")
    await stage.becomes(payout_id, "in_review")
    fay = await stage.world.add_user("fay", "finance")
    assert (await stage.refused(payout_workflow(payout_id), "approve", fay)).type == "conflict"
    await stage.world.case_becomes("one", decision)
    await changed(stage, decision)
    await stage.becomes(payout_id, state)
    assert (await stage.world.payout(payout_id)).was_held


async def test_a_breach_cancels_what_waits(stage: Stage) -> None:
    payout_id, _ = await waiting(stage)
    breach_id = await stage.world.breached("tina")
    fact = ChallengeFact(challenge_id="chl_tina", subject_id=breach_id, key=f"breach/{breach_id}")
    await ChallengeActivities(stage.world.deps).record_breach(fact)
    await stage.ends(payout_id, "cancelled")
    await nothing_is_bound(stage)


async def changed(stage: Stage, cause: str) -> None:
    async with stage.world.db.transaction() as session:
        await signals.send_risk_changed(session, cause=cause, trader_ids=["trd_tina"])


async def test_of_two_operators_at_once_one_wins_and_one_transfer_leaves(stage: Stage) -> None:
    payout_id, _ = await waiting(stage)
    fay, gil = await stage.world.add_user("fay", "finance"), await stage.world.add_user("gil", "finance")
    workflow_id = payout_workflow(payout_id)
    results = await asyncio.gather(
        stage.decide(workflow_id, "approve", fay), stage.decide(workflow_id, "approve", gil), return_exceptions=True
    )
    lost = [result for result in results if isinstance(result, WorkflowUpdateFailedError)]
    assert len(lost) == 1
    winner = "usr_gil" if results[0] is lost[0] else "usr_fay"
    assert winner in str(lost[0].cause)
    await stage.becomes(payout_id, "sent")
    assert stage.world.provider.calls == 1


async def test_who_approved_stops_a_payout_while_the_platform_is_away(stage: Stage) -> None:
    payout_id, _ = await waiting(stage)
    fay = await stage.world.add_user("fay", "finance")
    stage.world.venue.away = True
    assert (await stage.decide(payout_workflow(payout_id), "approve", fay))["state"] == "approved"
    calls = stage.world.venue.calls

    async def tried() -> bool:
        return stage.world.venue.calls > calls

    await stage.until(tried)
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await stage.decide(payout_workflow(payout_id), "reject", fay))["state"] == "releasing"
    stage.world.venue.away = False
    await stage.ends(payout_id, "rejected")
    assert stage.world.provider.calls == 0
    await nothing_is_bound(stage)


async def begun(stage: Stage) -> tuple[str, Actor]:
    """An approved payout whose first send has no answer yet, and who approved it."""
    payout_id, _ = await waiting(stage)
    fay = await stage.world.add_user("fay", "finance")
    stage.world.provider.loses = ["under way"]
    await stage.decide(payout_workflow(payout_id), "approve", fay)

    async def under_way() -> bool:
        return bool(stage.world.provider.under_way)

    await stage.until(under_way)
    return payout_id, fay


async def test_a_stop_while_the_send_has_no_answer_is_taken_at_once_and_what_lands_later_is_booked(
    stage: Stage,
) -> None:
    payout_id, _ = await begun(stage)
    gil = await stage.world.add_user("gil", "finance")
    async with asyncio.timeout(PATIENCE_SECONDS):
        assert (await stage.decide(payout_workflow(payout_id), "stop", gil))["state"] == "in_review"
    await stage.world.provider.lands()
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    assert len(stage.world.provider.transfers) == 1
    await nothing_is_bound(stage, paid=240_000, gross=MEDIUM)


async def test_what_is_pending_at_the_rail_is_stopped_there_and_rejected(stage: Stage) -> None:
    payout_id, _ = await waiting(stage)
    fay = await stage.world.add_user("fay", "finance")
    await stage.decide(payout_workflow(payout_id), "approve", fay)
    await stage.becomes(payout_id, "sent")
    assert (await stage.decide(payout_workflow(payout_id), "reject", fay))["state"] == "releasing"
    await stage.ends(payout_id, "rejected")
    assert [one.status for one in stage.world.provider.transfers.values()] == ["cancelled"]
    await nothing_is_bound(stage)


async def test_a_webhook_of_a_transfer_that_landed_in_review_is_booked_and_nothing_is_released(stage: Stage) -> None:
    payout_id, _ = await begun(stage)
    await stage.world.add_case("late", "acc_tina")
    await stage.becomes(payout_id, "in_review")
    await stage.world.provider.lands()
    stage.world.provider.becomes(payout_id, "paid")
    await stage.transfer_changed(payout_id, "evt_1")
    await stage.ends(payout_id, "paid")
    await nothing_is_bound(stage, paid=240_000, gross=MEDIUM)
