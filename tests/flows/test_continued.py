"""Workflows that continue as new: they answer the people who wait, and forget nothing that they have heard."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import uuid4

import pytest
from sqlalchemy import select
from temporalio import activity
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import Worker

from contracts.challenges import ChallengeFact, ChallengeStatus, RefundStep
from contracts.messages import (
    ChallengeStart,
    DecisionRequest,
    DecisionResult,
    IdentityDecided,
    PayoutStart,
    RefundRequest,
    RiskChanged,
)
from contracts.payouts import PayoutDecision, PayoutRef, PayoutStatus
from domain.approvals import Actor
from relay.temporal import connect
from store.models import PhasePass
from tests import servers
from tests.challenge_world import KEYS, Firm, a_firm
from worker import workflow_runner
from workflows.challenge import ChallengeWorkflow
from workflows.payout import PayoutWorkflow

FAY: Final = Actor(user_id="usr_fay", person_id="person-fay", role="finance")
LONG: Final = 14  # events after which a run is to continue as new


@pytest.fixture(scope="module")
def impatient() -> Iterator[str]:
    """The address of a Temporal server to which a short history is a long one."""
    with servers.temporal_server(dynamic={"limit.historyCount.suggestContinueAsNew": str(LONG)}) as address:
        yield address


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


class Desk:
    """Activities that keep one state. `slow` is held back until `may_go_on`."""

    def __init__(self, state: str) -> None:
        self.state, self.begun, self.may_go_on = state, asyncio.Event(), asyncio.Event()

    async def slow(self) -> None:
        self.begun.set()
        await self.may_go_on.wait()

    @activity.defn(name="payouts.hold_and_judge")
    async def hold_and_judge(self, ref: PayoutRef) -> PayoutStatus:
        return PayoutStatus(state=self.state)

    @activity.defn(name="payouts.check_risk")
    async def check_risk(self, ref: PayoutRef) -> PayoutStatus:
        return PayoutStatus(state=self.state)

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        await self.slow()
        self.state = "rejected"
        return DecisionResult(subject_id=decision.payout_id, state=self.state, decision=decision.choice)

    @activity.defn(name="challenges.record_identity")
    async def record_identity(self, fact: ChallengeFact) -> ChallengeStatus:
        await self.slow()
        return ChallengeStatus(state=self.state, phase_index=1)

    @activity.defn(name="challenges.refund_fee")
    async def refund_fee(self, step: RefundStep) -> ChallengeStatus:
        self.state = "refunded"
        return ChallengeStatus(state=self.state, phase_index=1)


@asynccontextmanager
async def at_work(address: str, desk: Desk, *activities: Callable[..., Awaitable[object]]) -> AsyncIterator[Any]:
    """Starts a workflow that a worker with these activities carries out."""
    client, queue = await connect(address, servers.NAMESPACE, KEYS), f"continued-{uuid4().hex}"

    async def start(name: str, message: PayoutStart | ChallengeStart) -> WorkflowHandle[Any, Any]:
        return await client.start_workflow(name, message, id=queue, task_queue=queue)

    flows = [PayoutWorkflow, ChallengeWorkflow]
    async with Worker(
        client, task_queue=queue, workflows=flows, activities=activities, workflow_runner=workflow_runner()
    ):
        try:
            yield client, start
        finally:
            desk.may_go_on.set()  # a test that fails leaves nothing that waits for ever


async def made_long(client: Client, run: WorkflowHandle[Any, Any]) -> None:
    """Tells the payout news until its run has a long history and does nothing, or has ended."""
    here = client.get_workflow_handle(run.id, run_id=run.first_execution_run_id)
    while True:
        last = [event async for event in here.fetch_history_events()][-1]
        ended = last.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW
        quiet = last.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED
        if ended or (quiet and last.event_id > LONG + 4):
            return
        if quiet:
            await here.signal("risk_changed", RiskChanged(key=uuid4().hex))
        await asyncio.sleep(0.05)


async def test_a_decision_is_answered_while_the_payout_continues_as_new(impatient: str) -> None:
    desk = Desk("awaiting_approval")
    async with at_work(impatient, desk, desk.hold_and_judge, desk.check_risk, desk.record_decision) as (client, start):
        payout = await start("Payout", PayoutStart(payout_id="pay_1"))
        request = DecisionRequest(key="k1", actor=FAY, reason="It is odd.")
        asked = asyncio.create_task(payout.execute_update("reject", request, id="k1"))
        await desk.begun.wait()
        await made_long(client, payout)
        desk.may_go_on.set()
        assert (await asked)["state"] == "rejected"
        assert await payout.result() == "rejected"
        assert (await client.get_workflow_handle(payout.id).describe()).run_id != payout.first_execution_run_id


async def test_a_refund_is_answered_while_the_challenge_continues_as_new(impatient: str) -> None:
    desk = Desk("active")
    async with at_work(impatient, desk, desk.record_identity, desk.refund_fee) as (client, start):
        challenge = await start("Challenge", ChallengeStart(challenge_id="chl_1", state="active", phase_index=1))
        told = IdentityDecided(key="i1", verified=True)
        await challenge.signal("identity_decided", told)
        await desk.begun.wait()
        here = client.get_workflow_handle(challenge.id, run_id=challenge.first_execution_run_id)
        while len([event async for event in here.fetch_history_events()]) <= LONG:
            await challenge.signal("identity_decided", told)  # a copy makes the history long, and nothing else
        request = RefundRequest(key="k1", actor=FAY, reason="I will not have the time.")
        asked = asyncio.create_task(challenge.execute_update("refund", request, id="k1"))
        while not await _accepted(here):
            await asyncio.sleep(0.05)
        desk.may_go_on.set()
        async with asyncio.timeout(60):  # a run that ends before it answered leaves the question open
            assert (await asked)["state"] == "refunded"
        assert await challenge.result() == "refunded"


async def _accepted(run: WorkflowHandle[Any, Any]) -> bool:
    wanted = EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED
    return any([event.event_type == wanted async for event in run.fetch_history_events()])


async def test_a_fact_that_was_heard_in_an_earlier_phase_is_not_acted_on_again(firm: Firm) -> None:
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    await firm.passes(challenge_id)
    await firm.becomes(challenge_id, "active", phase_index=2)
    async with firm.db.transaction() as session:
        passed = (await session.scalars(select(PhasePass))).one()
    again = {"key": f"pass/{passed.id}", "pass_id": passed.id, "account_id": passed.account_id}
    at = passed.occurred_at.isoformat()
    await firm.handle(challenge_id).signal("phase_passed", {**again, "occurred_at": at})
    await firm.handle(challenge_id).signal("market_time_reached", {"key": "m1"})
    while "challenges.check_deadline" not in (done := await _activities(firm, challenge_id)):
        await asyncio.sleep(0.05)
    assert "challenges.start_phase" in done, "the run began with the second phase"
    assert "challenges.record_pass" not in done


async def _activities(firm: Firm, challenge_id: str) -> list[str]:
    """The activities of the current run of a challenge."""
    events = [event async for event in firm.handle(challenge_id).fetch_history_events()]
    scheduled = [event for event in events if event.HasField("activity_task_scheduled_event_attributes")]
    return [event.activity_task_scheduled_event_attributes.activity_type.name for event in scheduled]
