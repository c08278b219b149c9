"""The firm of `payout_world` with workflows, worker and relay running, for tests of whole payouts and cases."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.payouts import PayoutActivities
from contracts.ids import case_workflow, payout_workflow
from contracts.messages import DecisionRequest
from domain.approvals import Actor
from firm import wakeups
from relay.drops import Drops
from relay.outbox import OutboxDispatcher
from relay.redrive import Redrive
from relay.temporal import connect
from store import outbox
from store.models import Case
from tests import servers
from tests.asked import ask_for, shown_account
from tests.challenge_world import KEYS
from tests.payout_world import Provider, Venue, World, a_firm
from tests.working import working
from worker import core_activities, core_worker

PATIENCE_SECONDS = 120.0


@dataclass
class Stage:
    world: World
    client: Client
    relay: OutboxDispatcher
    redrive: Redrive
    drops: Drops

    async def decide(self, workflow_id: str, update: str, actor: Actor, key: str = "") -> dict[str, Any]:
        request = DecisionRequest(key=key or uuid4().hex, actor=actor, reason="looked at it")
        kind, _, subject_id = workflow_id.partition("/")
        if update == "send_again":
            account = await shown_account(self.world.db, subject_id)
            request = request.model_copy(update={"beneficiary": account})
        await ask_for(self.world.db, "case" if kind == "case" else "payout", subject_id, update, request)
        handle = self.client.get_workflow_handle(workflow_id)
        result: dict[str, Any] = await handle.execute_update(update, request, id=request.key)
        return result

    async def refused(self, workflow_id: str, update: str, actor: Actor, key: str = "") -> ApplicationError:
        with pytest.raises(WorkflowUpdateFailedError) as failed:
            await self.decide(workflow_id, update, actor, key)
        assert isinstance(failed.value.cause, ApplicationError)
        return failed.value.cause

    async def becomes(self, payout_id: str, state: str) -> None:
        async def there() -> bool:
            return (await self.world.payout(payout_id)).state == state

        await self.until(there)

    async def ends(self, payout_id: str, state: str) -> None:
        """The record and the workflow both say so."""
        await self.becomes(payout_id, state)
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await self.client.get_workflow_handle(payout_workflow(payout_id)).result() == state

    async def case_ends(self, case_id: str, state: str) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await self.client.get_workflow_handle(case_workflow(case_id)).result() == state
        async with self.world.db.transaction() as session:
            assert (await session.get_one(Case, case_id)).state == state

    async def transfer_changed(self, payout_id: str, event: str) -> None:
        await self.signal(payout_id, "transfer_changed", {"key": event, "transfer_id": "tr_1"})

    async def signal(self, payout_id: str, name: str, payload: dict[str, Any]) -> None:
        async with self.world.db.transaction() as session:
            await outbox.signal_workflow(
                session,
                key=f"{name}/{payload['key']}",
                workflow_id=payout_workflow(payout_id),
                name=name,
                payload=payload,
            )

    async def until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        """Run relay and wake-ups until `condition` holds."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not await condition():
            assert time.monotonic() < deadline, "it did not come to that in time"
            async with self.world.db.transaction() as session:
                fired = await wakeups.fire(session, limit=100)
            if not await self.relay.step() and not fired:
                await asyncio.sleep(0.02)


@asynccontextmanager
async def a_stage(
    database_url: str,
    temporal_address: str,
    venue: Venue | None = None,
    provider: Provider | None = None,
    *,
    payouts: type[PayoutActivities] = PayoutActivities,
) -> AsyncIterator[Stage]:
    """`payouts`: the class whose payout activities run, so that a test can have one that dies."""
    async with a_firm(database_url, venue, provider) as world:
        drops = Drops()
        client = await connect(temporal_address, servers.NAMESPACE, KEYS, drops.note)

        async def connected() -> Client:
            return client

        own = (PayoutActivities.__name__, payouts.__name__)
        others = [each for each in core_activities(world.deps) if each.__qualname__.split(".")[0] not in own]
        async with working(core_worker(client, [*others, *payouts(world.deps).all()], drops)):
            relay = OutboxDispatcher(world.db, connected, world.deps.platforms)
            yield Stage(world, client, relay, Redrive(world.db, connected, tuple), drops)
