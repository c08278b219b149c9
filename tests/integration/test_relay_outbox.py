"""The outbox on real Postgres and Temporal: in order, once, never lost, whoever is away or killed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, update
from sqlalchemy.sql import func
from temporalio import workflow
from temporalio.client import Client, WorkflowHandle
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from contracts.ids import CORE_QUEUE
from domain.errors import BadInput, Conflict, PropOSError, Unavailable
from firm import wakeups
from ports.platform import TradingPlatform
from relay.outbox import OutboxDispatcher, pause_seconds
from relay.temporal import connect
from store import crypto, deliveries, outbox
from store.db import Database
from store.models import MarketClock, OutboxMessage, Wakeup
from tests import servers
from tests.adapters import platforms
from tests.challenge_world import KEYS, START, Seat, Venue
from tests.integration.recorded_feed import two_step
from tests.integration.scripted_venue import on_record


@workflow.defn(name="Recorder")
class Recorder:
    """Keeps what it hears; ends when it is told."""

    @workflow.init
    def __init__(self, start: dict[str, Any]) -> None:
        self._heard: list[str] = []
        self._over = False

    @workflow.run
    async def run(self, start: dict[str, Any]) -> list[str]:
        await workflow.wait_condition(lambda: self._over)
        return self._heard

    @workflow.signal
    def note(self, fact: dict[str, Any]) -> None:
        self._heard.append(fact["key"])

    @workflow.signal
    def market_time_reached(self, _fact: dict[str, Any]) -> None:
        self._heard.append("time")

    @workflow.signal
    def end(self, _fact: dict[str, Any]) -> None:
        self._over = True

    @workflow.query
    def heard(self) -> list[str]:
        return self._heard


class Desk:
    """A dispatcher, its database, a worker for Recorder, and a switch that takes Temporal away."""

    def __init__(self, db: Database, client: Client) -> None:
        self.db, self.client, self.venue = db, client, Venue("sandbox", seats={7: Seat(7, enabled=True)})
        self.temporal_up = True
        self.target = f"recorder/{uuid4()}"
        platform: TradingPlatform = self.venue
        self.platform = platform

    def dispatcher(self) -> OutboxDispatcher:
        async def connected() -> Client:
            if not self.temporal_up:
                raise Unavailable("Temporal does not answer.")
            return self.client

        return OutboxDispatcher(self.db, connected, platforms(self.platform))

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(self.target)

    async def write(self, *names: str) -> None:
        """One message per name, each in a transaction of its own: `start`, or a signal with that key."""
        for name in names:
            async with self.db.transaction() as session:
                if name == "start":
                    await outbox.start_workflow(session, workflow_id=self.target, name="Recorder", payload={})
                else:
                    signal = name if name in ("end", "unheard") else "note"
                    await outbox.signal_workflow(
                        session,
                        key=f"{self.target}/{name}",
                        workflow_id=self.target,
                        name=signal,
                        payload={"key": name},
                    )

    async def due_now(self) -> None:
        async with self.db.transaction() as session:
            await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))

    async def rows(self) -> list[OutboxMessage]:
        async with self.db.transaction() as session:
            return list(await session.scalars(select(OutboxMessage).order_by(OutboxMessage.id)))


@pytest.fixture
async def desk(database_url: str, temporal_address: str) -> AsyncIterator[Desk]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    on_record(database_url, {7: (two_step(), 1)})
    db = Database(database_url, pool_size=5)
    client = await connect(temporal_address, servers.NAMESPACE, KEYS)
    async with _recording(client):
        yield Desk(db, client)
    await db.close()


@asynccontextmanager
async def _recording(client: Client) -> AsyncIterator[None]:
    runner = UnsandboxedWorkflowRunner()
    async with Worker(client, task_queue=CORE_QUEUE, workflows=[Recorder], workflow_runner=runner):
        yield


async def _drain(step: Callable[[], Awaitable[int]]) -> None:
    while await step():
        pass


async def test_messages_arrive_once_and_in_order(desk: Desk) -> None:
    await desk.write("start", "a", "b", "c", "a", "start")
    await _drain(desk.dispatcher().step)
    assert await desk.handle.query("heard") == ["a", "b", "c"]
    assert all(row.dispatched_at for row in await desk.rows())


async def test_nothing_is_lost_while_temporal_is_away(desk: Desk) -> None:
    await desk.write("start", "a", "b")
    desk.temporal_up = False
    dispatcher = desk.dispatcher()
    for _ in range(3):
        assert await dispatcher.step() == 1, "only the head of the target is tried"
        await desk.due_now()
    first = (await desk.rows())[0]
    assert (first.attempts, first.error, first.parked_at) == (3, "Temporal does not answer.", None)
    desk.temporal_up = True
    await _drain(dispatcher.step)
    assert await desk.handle.query("heard") == ["a", "b"]


async def test_two_relays_keep_the_order_and_share_the_work(desk: Desk) -> None:
    names = [f"m{number:02d}" for number in range(20)]
    await desk.write("start", *names)

    async def until_empty(dispatcher: OutboxDispatcher) -> None:
        while any(row.dispatched_at is None for row in await desk.rows()):
            await dispatcher.step()

    await asyncio.gather(until_empty(desk.dispatcher()), until_empty(desk.dispatcher()))
    assert await desk.handle.query("heard") == names


async def test_a_killed_relay_leaves_nothing_behind(desk: Desk) -> None:
    await desk.write("start", "a")
    async with desk.db.transaction() as session:
        assert len(await deliveries.claim(session, limit=10, lease_seconds=60)) == 1
    successor = desk.dispatcher()
    assert await successor.step() == 0, "the lease of the dead one still runs"
    await successor.release()
    await _drain(successor.step)
    assert await desk.handle.query("heard") == ["a"]


async def test_what_can_never_arrive_is_parked_and_the_rest_goes_on(desk: Desk) -> None:
    await desk.write("start", "a", "end")
    dispatcher = desk.dispatcher()
    await _drain(dispatcher.step)
    assert await desk.handle.result() == ["a"]
    await desk.write("late", "start")
    async with desk.db.transaction() as session:
        await outbox.enqueue(session, key="odd", topic="carrier.pigeon", target=desk.target)
    await _drain(dispatcher.step)
    *_, late, odd = await desk.rows()
    assert late.parked_at is not None
    assert str(late.error).startswith("NOT_FOUND")
    assert odd.parked_at is not None


async def test_a_closed_workflow_is_not_started_again(desk: Desk) -> None:
    await desk.write("start", "end")
    dispatcher = desk.dispatcher()
    await _drain(dispatcher.step)
    first = (await desk.handle.describe()).run_id
    await desk.handle.result()
    async with desk.db.transaction() as session:
        await outbox.enqueue(
            session, key="again", topic="workflow.start", target=desk.target, name="Recorder", payload={}
        )
    await _drain(dispatcher.step)
    assert (await desk.rows())[-1].dispatched_at is not None
    assert (await desk.handle.describe()).run_id == first


async def test_a_lock_that_the_monitor_could_not_place_is_placed(desk: Desk) -> None:
    payload = {"key": "lock/brc_1", "login": 7, "account_id": "acc_7", "epoch": 1}
    async with desk.db.transaction() as session:
        await outbox.enqueue(session, key="lock/brc_1", topic="venue.lock", target="7", payload=payload)
        await outbox.enqueue(
            session,
            key="lock/brc_2",
            topic="venue.lock",
            target="8",
            payload=payload | {"key": "lock/brc_2", "account_id": "acc_8"},
        )
    await _drain(desk.dispatcher().step)
    placed, unknown = await desk.rows()
    assert (desk.venue.seats[7].enabled, desk.venue.seats[7].locks) == (False, ["lock/brc_1"])
    assert placed.dispatched_at is not None
    assert unknown.parked_at is not None


async def test_a_lock_from_before_a_change_of_platform_goes_to_where_the_account_is(desk: Desk) -> None:
    payload = {"key": "lock/off_1", "login": 3, "account_id": "acc_7", "epoch": 1}
    async with desk.db.transaction() as session:
        await outbox.enqueue(session, key="lock/off_1", topic="venue.lock", target="3", payload=payload)
    desk.venue.seats[3] = Seat(3, enabled=True)  # of somebody else, at the new platform
    await _drain(desk.dispatcher().step)
    assert (desk.venue.seats[7].locks, desk.venue.seats[3].enabled) == (["lock/off_1"], True)


async def test_a_message_that_breaks_its_carrier_is_parked_and_the_others_go_on(desk: Desk) -> None:
    async with desk.db.transaction() as session:
        for key, topic, target, payload in (
            ("no list", "venue.close", "3", {"position_ids": 1, "account_id": "acc_7"}),
            ("no key", "venue.lock", "7", {"account_id": "acc_7"}),
        ):
            await outbox.enqueue(session, key=key, topic=topic, target=target, payload=payload)
    await desk.write("start", "a")
    dispatcher = desk.dispatcher()
    for _ in range(4):
        await dispatcher.step()
        await desk.due_now()
    assert await desk.handle.query("heard") == ["a"]
    no_list, no_key, *_ = await desk.rows()
    assert [(row.attempts, row.error, row.parked_at) for row in (no_list, no_key)] == [
        (4, "TypeError", None),
        (4, "KeyError", None),
    ]
    await dispatcher.step()
    assert [row.parked_at is not None for row in (await desk.rows())[:2]] == [True, True]


@pytest.mark.parametrize("refusal", [Conflict("Not now."), BadInput("Not so.")])
async def test_a_lock_that_the_venue_refuses_is_parked_in_the_end(desk: Desk, refusal: PropOSError) -> None:
    class Stubborn(Venue):
        def __init__(self) -> None:
            super().__init__("sandbox")
            self.answers: list[PropOSError] = [*[Unavailable("Down.")] * 12, *[refusal] * 10]

        async def lock(self, login: int, *, key: str) -> None:
            raise self.answers.pop(0)

    venue = Stubborn()
    desk.platform = venue
    payload = {"key": "lock/brc_1", "account_id": "acc_7"}
    async with desk.db.transaction() as session:
        await outbox.enqueue(session, key="lock/brc_1", topic="venue.lock", target="7", payload=payload)
    dispatcher = desk.dispatcher()
    for _ in range(21):
        await dispatcher.step()
        await desk.due_now()
    (row,) = await desk.rows()
    assert row.parked_at is None, "what the venue did not answer was no refusal"
    await dispatcher.step()
    (row,) = await desk.rows()
    assert (row.parked_at is not None, row.error) == (True, refusal.message)


async def test_a_wake_up_fires_once_when_market_time_has_come_and_can_be_set_again(desk: Desk) -> None:
    await desk.write("start")
    dispatcher = desk.dispatcher()

    async def fire() -> int:
        async with desk.db.transaction() as session:
            fired = await wakeups.fire(session, limit=10)
        await _drain(dispatcher.step)
        return fired

    async def wake_at_start() -> None:
        async with desk.db.transaction() as session:
            await outbox.wake_at(session, workflow_id=desk.target, due_at=START)

    await wake_at_start()
    assert await fire() == 0, "before any feed nothing is due"
    async with desk.db.transaction() as session:
        session.add(MarketClock(feed="fake", watermark=START - timedelta(seconds=1)))
    assert await fire() == 0
    async with desk.db.transaction() as session:
        await session.execute(update(MarketClock).values(watermark=START))
    assert [await fire(), await fire()] == [1, 0]
    await wake_at_start()
    assert await fire() == 1
    assert await desk.handle.query("heard") == ["time", "time"]
    async with desk.db.transaction() as session:
        assert (await session.get_one(Wakeup, desk.target)).fired_at is not None


def test_the_back_off_grows_and_ends() -> None:
    pauses = [pause_seconds(attempt) for attempt in range(1, 12)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (0.5, 15.0)


async def test_hints_to_who_has_ended_need_nobody_but_wait_for_a_missing_namespace(
    desk: Desk, temporal_address: str
) -> None:
    await desk.write("start", "end")
    await _drain(desk.dispatcher().step)
    await desk.handle.result()
    hint = {"workflow_id": desk.target, "name": "market_time_reached"}
    async with desk.db.transaction() as session:
        await outbox.signal_workflow(session, key="h1", payload={"key": "h1"}, **hint)
    await _drain(desk.dispatcher().step)
    desk.client = await connect(temporal_address, "not-there-yet", KEYS)
    async with desk.db.transaction() as session:
        await outbox.signal_workflow(session, key="h2", payload={"key": "h2"}, **hint)
        await outbox.signal_workflow(session, key="fact", workflow_id="challenge/x", name="note", payload={"key": "f"})
    await desk.dispatcher().step()
    *_, first, second, fact = await desk.rows()
    assert first.dispatched_at is not None
    assert [(row.dispatched_at, row.parked_at, row.attempts) for row in (second, fact)] == [(None, None, 1)] * 2
