"""The release drill of docs/production.md: a pinned payout ends on the version that it began on, a challenge goes on
with the next one, the old version is drained; and the way back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, Final

import pytest
from temporalio.client import Client
from temporalio.service import RPCError

from cli.versions import fleet
from contracts.ids import challenge_workflow, payout_workflow
from contracts.messages import MarketTimeReached
from domain.approvals import Actor
from firm import messages
from relay.drops import Drops
from relay.outbox import OutboxDispatcher
from relay.redrive import Redrive
from relay.temporal import connect
from store.models import Payout
from tests import servers
from tests.challenge_world import KEYS
from tests.payout_stage import Stage
from tests.payout_world import MEDIUM, a_firm
from tests.production.next_release import PATCH, WAKES, NextChallenge, NextPayout
from tests.production.propos_command import answer, started
from tests.working import working
from worker import core_activities, core_worker
from workflows.registry import WORKFLOWS

_A: Final = "1.0.0-aaaa"
_B: Final = "1.1.0-bbbb"
_CHANGED: Final = {"PayoutWorkflow": NextPayout, "ChallengeWorkflow": NextChallenge}
_NEXT: Final = [_CHANGED.get(each.__name__, each) for each in WORKFLOWS]

pytestmark = pytest.mark.timeout(1200)


class Release:
    """A firm with workers of two versions, and the command `propos release`."""

    def __init__(self, stage: Stage, address: str, database_url: str) -> None:
        self.stage = stage
        self._env = {"DATABASE_URL": database_url, "TEMPORAL_ADDRESS": address, "PROPOS_PAYLOAD_KEYS": KEYS}

    @asynccontextmanager
    async def worker(self, build: str | None) -> AsyncIterator[None]:
        code = _NEXT if build == _B else WORKFLOWS
        activities = core_activities(self.stage.world.deps)
        async with working(core_worker(self.stage.client, activities, self.stage.drops, workflows=code, build=build)):
            yield

    async def says(self, *arguments: str, code: int = 0) -> str:
        done = await asyncio.to_thread(started, "release", *arguments, **self._env)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    async def use(self, build: str) -> None:
        assert f"{build} is the current" in await self.says("use", build, "--reason", "The release drill.")

    async def restart(self) -> None:
        done = await asyncio.to_thread(started, "workflows", "restart", "--reason", "the way back", **self._env)
        assert done.returncode == 0, done.stderr

    async def shown(self) -> dict[str, Any]:
        return answer(await asyncio.to_thread(started, "release", "show", "--json", **self._env))

    async def pinned(self, build: str, number: int) -> None:
        async def there() -> bool:
            return (await fleet(self.stage.client)).of(build).pinned == number

        await self.stage.until(there)

    async def waiting(self, name: str) -> str:
        """A payout that waits for a person."""
        payout_id = await self.stage.world.request(await self.stage.world.add_trader(name), MEDIUM)
        await self.stage.becomes(payout_id, "awaiting_approval")
        return payout_id

    async def paid(self, payout_id: str, by: Actor) -> None:
        await self.stage.decide(payout_workflow(payout_id), "approve", by)
        await self.stage.becomes(payout_id, "sent")
        self.stage.world.provider.becomes(payout_id, "paid")
        await self.stage.transfer_changed(payout_id, f"evt_{payout_id}")
        await self.stage.ends(payout_id, "paid")

    async def wake(self, workflow_id: str, key: str) -> None:
        async with self.stage.world.db.transaction() as session:
            await messages.signal(session, workflow_id, MarketTimeReached(key=key))

    async def builds(self, workflow_id: str) -> list[str]:
        """The versions that a workflow's newest run went on with, one after the other; none of its tasks failed."""
        found: list[str] = []
        try:
            history = await self.stage.client.get_workflow_handle(workflow_id).fetch_history()
        except RPCError:  # it has not been started yet
            return found
        for event in history.events:
            assert not event.HasField("workflow_task_failed_event_attributes"), event
            if event.HasField("workflow_task_completed_event_attributes"):
                build = event.workflow_task_completed_event_attributes.deployment_version.build_id
                found += [] if found[-1:] == [build] else [build]
        return found

    async def goes_on_with(self, workflow_id: str, build: str) -> None:
        async def there() -> bool:
            return (await self.builds(workflow_id))[-1:] == [build]

        await self.stage.until(there)

    async def takes_the_patch(self, workflow_id: str) -> None:
        async def there() -> bool:
            history = await self.stage.client.get_workflow_handle(workflow_id).fetch_history()
            markers = [event for event in history.events if event.HasField("marker_recorded_event_attributes")]
            return any(PATCH.encode() in event.SerializeToString() for event in markers)

        await self.stage.until(there)


@pytest.fixture
async def release(database_url: str) -> AsyncIterator[Release]:
    with servers.temporal_server() as address:
        async with a_firm(database_url) as world:
            drops = Drops()
            client = await connect(address, servers.NAMESPACE, KEYS, drops.note)

            async def connected() -> Client:
                return client

            relay = OutboxDispatcher(world.db, connected, world.deps.platforms)
            stage = Stage(world, client, relay, Redrive(world.db, connected, tuple), drops)
            yield Release(stage, address, database_url)


async def _challenge_of(stage: Stage, payout_id: str) -> str:
    async with stage.world.db.transaction() as session:
        return challenge_workflow((await session.get_one(Payout, payout_id)).challenge_id)


async def test_short_flows_end_where_they_began_long_ones_go_on_and_there_is_a_way_back(release: Release) -> None:
    stage = release.stage
    fay = await stage.world.add_user("fay", "finance")
    async with AsyncExitStack() as old:
        await old.enter_async_context(release.worker(_A))
        await release.use(_A)
        first = await release.waiting("tina")
        challenge = await _challenge_of(stage, first)
        await stage.redrive.step()
        await release.goes_on_with(challenge, _A)
        await release.pinned(_A, 1)

        async with AsyncExitStack() as new:
            await new.enter_async_context(release.worker(_B))
            await release.use(_B)
            await release.wake(challenge, WAKES)
            await release.goes_on_with(challenge, _B)
            await release.takes_the_patch(challenge)
            assert await release.builds(challenge) == [_A, _B]
            second = await release.waiting("tom")

            said = await release.says("drain", _A, code=1)
            assert f"1 workflows go on with {_A} only: do not stop its workers." in said
            await release.paid(first, fay)
            assert await release.builds(payout_workflow(first)) == [_A]
            said = await release.says("drain", _A, "--wait", "60")
            assert f"No workflow needs {_A}" in said
            assert "its workers are needed" in await release.says("drain", _B, code=1)
            await old.aclose()

            shown = await release.shown()
            assert (shown["current"], [(each["build"], each["pinned"]) for each in shown["versions"]]) == (
                _B,
                [(_B, 1), (_A, 0)],
            )

            # the way back: A has no patch, so what went on with B starts again from the record
            await old.enter_async_context(release.worker(_A))
            await release.use(_A)
            assert "1 workflows" in await release.says("drain", _B, code=1)
            await release.restart()
            await stage.redrive.step()
            await release.goes_on_with(challenge, _A)
            await release.goes_on_with(payout_workflow(second), _A)
            assert "No workflow needs" in await release.says("drain", _B, "--wait", "60")
        await release.paid(second, fay)
        assert await release.builds(payout_workflow(second)) == [_A]
        assert await release.builds(challenge) == [_A]
