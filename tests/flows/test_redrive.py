"""Workflows that ended before their subject did are started again from the record; no effect happens twice."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import pytest
from sqlalchemy import select
from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.workflowservice.v1 import DeleteWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionDescription, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from contracts.ids import CORE_QUEUE, payout_workflow
from domain import keys
from domain.errors import Unavailable
from firm import reviews
from ports.platform import AccountSnapshot, BalanceKind
from ports.rail import Transfer, TransferOrder
from relay.redrive import Redrive
from store.models import AuditEntry, Review
from tests.payout_stage import PATIENCE_SECONDS, Stage, a_stage
from tests.payout_world import INITIAL, MEDIUM, Provider, Venue
from tests.servers import NAMESPACE


@dataclass
class FlakyVenue(Venue):
    """Does what it is asked, and loses the answer of what is named in `silent`."""

    silent: set[str] = field(default_factory=set)

    async def snapshot(self, login: int) -> AccountSnapshot:
        if "snapshot" in self.silent:
            raise Unavailable("The venue does not answer.")
        return await super().snapshot(login)

    async def balance_operation(self, login: int, *, key: str, operation: BalanceKind, amount_minor: int) -> None:
        await super().balance_operation(login, key=key, operation=operation, amount_minor=amount_minor)
        if operation in self.silent:
            raise Unavailable("The answer was lost.")


@dataclass
class FlakyProvider(Provider):
    """Makes what it is asked for. While `losing`, its answer is lost and no transfer can be looked up."""

    losing: bool = False

    async def create_transfer(self, order: TransferOrder) -> Transfer:
        made = await super().create_transfer(order)
        if self.losing:
            raise Unavailable("The answer was lost.")
        return made

    async def find_transfer(self, key: str) -> Transfer | None:
        if self.losing:
            raise Unavailable("The provider does not answer.")
        return await super().find_transfer(key)


@dataclass
class Scene:
    """A payout of tina's, and everybody who acts in it."""

    stage: Stage
    venue: FlakyVenue
    provider: FlakyProvider
    payout_id: str = ""
    trader: Any = None
    fay: Any = None

    @property
    def workflow_id(self) -> str:
        return payout_workflow(self.payout_id)

    async def request(self) -> None:
        self.trader = await self.stage.world.add_trader("tina")
        self.fay = await self.stage.world.add_user("fay", "finance")
        self.payout_id = await self.stage.world.request(self.trader, MEDIUM)

    async def approve(self) -> None:
        await self.stage.decide(self.workflow_id, "approve", self.fay)

    async def works_at(self, state: str) -> None:
        """The payout is in `state`, and an activity of its workflow has failed there."""
        await self.stage.becomes(self.payout_id, state)

        async def failing() -> bool:
            found = await self.described()
            return found is not None and any(act.attempt > 1 for act in found.raw_description.pending_activities)

        await self.stage.until(failing)

    async def started_again(self) -> None:
        """A round of the sweep has seen that the workflow ended, and the next run is under way."""
        await self.stage.redrive.step()
        await self.is_now(WorkflowExecutionStatus.RUNNING)

    async def is_now(self, status: WorkflowExecutionStatus | None) -> None:
        """Wait until Temporal says so; None: it knows no such workflow."""

        async def there() -> bool:
            found = await self.described()
            return (found.status if found else None) == status

        await self.stage.until(there)

    async def described(self) -> WorkflowExecutionDescription | None:
        try:
            return await self.stage.client.get_workflow_handle(self.workflow_id).describe()
        except RPCError as error:
            if error.status != RPCStatusCode.NOT_FOUND:
                raise
            return None


@pytest.fixture
async def scene(database_url: str, temporal_address: str) -> AsyncIterator[Scene]:
    venue, provider = FlakyVenue(), FlakyProvider()
    async with a_stage(database_url, temporal_address, venue, provider) as stage:
        yield Scene(stage, venue, provider)


async def _requested(scene: Scene) -> None:
    scene.venue.silent.add("snapshot")
    await scene.request()
    await scene.works_at("requested")


async def _held(scene: Scene) -> None:
    scene.venue.silent.add("payout_hold")
    await scene.request()
    await scene.works_at("requested")


async def _in_review(scene: Scene) -> None:
    await _awaiting(scene)
    await scene.stage.world.add_case("one", "acc_tina")
    await scene.stage.signal(scene.payout_id, "risk_changed", {"key": f"{scene.payout_id}/case"})
    await scene.stage.becomes(scene.payout_id, "in_review")


async def _awaiting(scene: Scene) -> None:
    await scene.request()
    await scene.stage.becomes(scene.payout_id, "awaiting_approval")


async def _approved(scene: Scene) -> None:
    scene.provider.losing = True
    await _awaiting(scene)
    await scene.approve()
    await scene.works_at("approved")


async def _sent(scene: Scene) -> None:
    await _awaiting(scene)
    await scene.approve()
    await scene.stage.becomes(scene.payout_id, "sent")


async def _settling(scene: Scene) -> None:
    scene.venue.silent.add("payout_settled")
    await _sent(scene)
    scene.provider.becomes(scene.payout_id, "paid")
    await scene.stage.transfer_changed(scene.payout_id, f"{scene.payout_id}/paid")
    await scene.works_at("settling")


async def _releasing(scene: Scene) -> None:
    scene.venue.silent.add("payout_release")
    await _awaiting(scene)
    await scene.stage.decide(scene.workflow_id, "cancel", scene.trader)
    await scene.works_at("releasing")


OPEN: Final[dict[str, Callable[[Scene], Awaitable[None]]]] = {
    "requested": _requested,
    "requested, the hold is taken": _held,
    "in_review": _in_review,
    "awaiting_approval": _awaiting,
    "approved, the transfer is made": _approved,
    "sent": _sent,
    "settling": _settling,
    "releasing": _releasing,
}


async def _to_its_end(scene: Scene) -> str:
    """Do what the payout waits for, whatever that is, until it ends; returns the state."""
    world, stage = scene.stage.world, scene.stage
    if (await world.payout(scene.payout_id)).state == "in_review":
        await world.case_becomes("one", "cleared")
        await stage.signal(scene.payout_id, "risk_changed", {"key": f"{scene.payout_id}/cleared"})

    async def rests() -> bool:
        return (await world.payout(scene.payout_id)).state in ("awaiting_approval", "sent", "paid", "cancelled")

    await stage.until(rests)
    if (await world.payout(scene.payout_id)).state == "awaiting_approval":
        await scene.approve()
        await stage.becomes(scene.payout_id, "sent")
    if (await world.payout(scene.payout_id)).state == "sent":
        scene.provider.becomes(scene.payout_id, "paid")
        await stage.transfer_changed(scene.payout_id, f"{scene.payout_id}/paid")
        await stage.becomes(scene.payout_id, "paid")
    state = (await world.payout(scene.payout_id)).state
    await stage.ends(scene.payout_id, state)
    return state


@pytest.mark.parametrize("where", OPEN)
async def test_a_terminated_payout_goes_on_from_the_record_and_nothing_happens_twice(scene: Scene, where: str) -> None:
    await OPEN[where](scene)
    await scene.stage.client.get_workflow_handle(scene.workflow_id).terminate("by hand")
    scene.venue.silent.clear()
    scene.provider.losing = False
    await scene.started_again()
    paid = await _to_its_end(scene) == "paid"
    assert paid == (where != "releasing")
    assert len(scene.provider.transfers) == int(paid)
    assert await scene.stage.world.books() == (0, -240_000 if paid else 0, 0)
    assert set(scene.venue.balances.values()) == {INITIAL + 400_000 - (MEDIUM if paid else 0)}


async def test_a_cancelled_workflow_is_started_again(scene: Scene) -> None:
    await _awaiting(scene)
    handle = scene.stage.client.get_workflow_handle(scene.workflow_id)
    await handle.cancel()
    await scene.is_now(WorkflowExecutionStatus.CANCELED)
    await scene.started_again()
    assert await _to_its_end(scene) == "paid"


async def test_a_workflow_that_is_gone_is_started_again(scene: Scene) -> None:
    await _awaiting(scene)
    await scene.stage.client.workflow_service.delete_workflow_execution(
        DeleteWorkflowExecutionRequest(
            namespace=NAMESPACE, workflow_execution=WorkflowExecution(workflow_id=scene.workflow_id)
        )
    )
    await scene.is_now(None)
    await scene.started_again()
    assert await _to_its_end(scene) == "paid"


async def test_one_that_runs_or_has_ended_is_left_alone(scene: Scene) -> None:
    await _awaiting(scene)
    await scene.stage.redrive.step()
    assert await _to_its_end(scene) == "paid"
    await scene.stage.redrive.step()
    assert await _audited(scene) == 0


async def test_people_look_at_one_that_ends_again_and_again(scene: Scene) -> None:
    await _awaiting(scene)
    for number in (1, 2, 3):
        assert [kind for kind, _ in await _reviews(scene)] == []
        await scene.stage.client.get_workflow_handle(scene.workflow_id).terminate("by hand")
        await scene.started_again()
        assert await _audited(scene) == number
    assert await _reviews(scene) == [("workflow_restarted", "open")]


async def test_one_that_ends_again_and_again_is_started_less_and_less_often(scene: Scene) -> None:
    await _awaiting(scene)
    handle = scene.stage.client.get_workflow_handle(scene.workflow_id)
    for _ in range(3):
        await handle.terminate("by hand")
        await scene.started_again()
    await handle.terminate("by hand")
    await scene.stage.redrive.step()
    assert await _audited(scene) == 3, "the fourth restart waits for its minute"


async def test_trouble_that_goes_on_after_a_person_closed_its_review_is_told_again(scene: Scene) -> None:
    await _awaiting(scene)
    rosa, db = await scene.stage.world.add_user("rosa", "risk"), scene.stage.world.db

    async def told(again: str) -> list[str]:
        detail = {"workflow": scene.workflow_id, "words": "It is stuck."}
        async with db.transaction() as session:
            await reviews.report(session, key="k", kind=reviews.WORKFLOW_STUCK, detail=detail, again=again)
        return sorted(status for _, status in await _reviews(scene))

    assert await told("day 1") == await told("day 2") == ["open"]
    async with db.transaction() as session:
        await reviews.close(session, review_id=keys.review_id("k"), actor=rosa, reason="Looked at it.")
    assert await told("day 2") == await told("day 3") == ["closed", "open"]
    await scene.stage.redrive.step()  # the workflow is well
    assert sorted(status for _, status in await _reviews(scene)) == ["closed", "closed"]


async def test_a_workflow_with_a_task_that_fails_for_ever_is_told_to_people_until_it_moves(
    scene: Scene, temporal_address: str
) -> None:
    stranger = await Client.connect(temporal_address, namespace=NAMESPACE)
    await scene.request()  # nothing of it has reached Temporal yet: the stranger is first
    await stranger.start_workflow("Payout", {"payout_id": "pay_x"}, id=scene.workflow_id, task_queue=CORE_QUEUE)

    async def told() -> bool:
        await scene.stage.redrive.step()
        return await _reviews(scene) == [("workflow_stuck", "open")]

    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while not await told():
            await scene.stage.relay.step()
            await asyncio.sleep(0.2)
    assert (await scene.stage.world.payout(scene.payout_id)).state == "requested"
    await scene.stage.client.get_workflow_handle(scene.workflow_id).terminate("as the runbook says")
    await scene.started_again()
    await scene.stage.becomes(scene.payout_id, "awaiting_approval")
    await scene.stage.redrive.step()
    assert await _reviews(scene) == [("workflow_stuck", "closed")]
    assert await _to_its_end(scene) == "paid"


@pytest.mark.parametrize(("name", "queue"), [("Payout", "elsewhere"), ("Dispute", "elsewhere")])
async def test_a_workflow_that_is_not_ours_under_an_id_of_ours_is_told_to_people(
    scene: Scene, temporal_address: str, name: str, queue: str
) -> None:
    somebody = await Client.connect(temporal_address, namespace=NAMESPACE)
    await scene.request()
    await somebody.start_workflow(name, {}, id=scene.workflow_id, task_queue=queue)
    while await scene.stage.relay.step():
        """The start of ours arrives, and the other workflow is there already."""
    await scene.stage.redrive.step()
    assert await _reviews(scene) == [("workflow_stuck", "open")]
    await somebody.get_workflow_handle(scene.workflow_id).terminate("as the runbook says")
    await scene.started_again()
    await scene.stage.becomes(scene.payout_id, "awaiting_approval")
    await scene.stage.redrive.step()
    assert await _reviews(scene) == [("workflow_stuck", "closed")]


async def test_a_workflow_that_always_runs_is_told_as_well_when_it_is_stuck(
    scene: Scene, temporal_address: str
) -> None:
    stranger, shard = await Client.connect(temporal_address, namespace=NAMESPACE), "shard/77"
    await stranger.start_workflow("MonitorShard", {"shard": 77}, id=shard, task_queue=CORE_QUEUE)

    async def connected() -> Client:
        return scene.stage.client

    redrive = Redrive(scene.stage.world.db, connected, lambda: {shard})
    async with asyncio.timeout(2 * PATIENCE_SECONDS):
        while await _reviews(scene) != [("workflow_stuck", "open")]:
            await redrive.step()
            await asyncio.sleep(0.2)
    await stranger.get_workflow_handle(shard).terminate("the test is over")


async def _reviews(scene: Scene) -> list[tuple[str, str]]:
    async with scene.stage.world.db.transaction() as session:
        rows = await session.scalars(select(Review).where(Review.kind.like("workflow%")))
        return [(row.kind, row.status) for row in rows]


async def _audited(scene: Scene) -> int:
    async with scene.stage.world.db.transaction() as session:
        statement = select(AuditEntry.subject_id).where(AuditEntry.action == "workflow.restarted")
        found = (await session.scalars(statement)).all()
    assert set(found) <= {scene.payout_id, "chl_tina"}, "the challenge of this world has no workflow"
    return found.count(scene.payout_id)
