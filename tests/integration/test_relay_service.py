"""The relay as it runs: it starts what must always run, hears of news at once, survives its neighbours, and stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

import psycopg
import pytest
from prometheus_client import REGISTRY
from sqlalchemy import select
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from adapters.payments.sandbox import SandboxPayments
from contracts.ids import (
    RECONCILIATION_WORKFLOW,
    SURVEILLANCE_WINDOWS_WORKFLOW,
    SURVEILLANCE_WORKFLOW,
    challenge_workflow,
    shard_workflow,
)
from domain.approvals import Actor
from domain.errors import Unavailable
from firm import challenges
from ports.acquirer import Checkout
from ports.money import WebhookEvent
from ports.platform import TradingPlatform
from relay.service import Relay
from relay.singletons import Singletons
from relay.temporal import connect
from store import crypto, inbox, outbox, products
from store.db import Database
from store.models import InboxEvent, OutboxMessage, Trader
from tests import servers
from tests.adapters import PaymentProvider, platforms, providers
from tests.challenge_world import KEYS, START, Provider, Seat, Venue
from tests.integration.recorded_feed import two_step
from tests.integration.scripted_venue import on_record
from tests.odd_provider import an_event, odd_provider, told
from tests.shelf import publish_shelf

SINGLETONS = (shard_workflow(0), SURVEILLANCE_WORKFLOW, SURVEILLANCE_WINDOWS_WORKFLOW, RECONCILIATION_WORKFLOW)


LOGINS: Final = range(1, 35)


class Office:
    def __init__(self, db: Database, client: Client) -> None:
        self.db, self.client = db, client
        self.venue = Venue("sandbox", seats={login: Seat(login, enabled=True) for login in LOGINS})
        self.temporal_up = True

    async def connected(self) -> Client:
        if not self.temporal_up:
            raise Unavailable("Temporal does not answer.")
        return self.client

    @asynccontextmanager
    async def running(self, *payments: PaymentProvider, poll_seconds: float = 0.5) -> AsyncIterator[None]:
        """The relay must not end before it is told to."""
        stop = asyncio.Event()
        platform: TradingPlatform = self.venue
        them = payments or (Provider(),)
        service = Relay(self.db, self.connected, platforms(platform), providers(*them), poll_seconds=poll_seconds)
        relay = asyncio.create_task(service.run(stop))
        try:
            yield
            assert not relay.done()
        finally:
            stop.set()
            async with asyncio.timeout(60):
                await relay

    async def lock(self, login: int) -> None:
        key = f"lock/{login}"
        payload = {"key": key, "login": login, "account_id": f"acc_{login}"}
        async with self.db.transaction() as session:
            await outbox.enqueue(session, key=key, topic="venue.lock", target=str(login), payload=payload)

    async def locked(self, login: int) -> None:
        """Wait until the venue has locked the account."""
        async with asyncio.timeout(120):
            while self.venue.seats[login].enabled:
                await asyncio.sleep(0.005)


@pytest.fixture
async def office(database_url: str, temporal_address: str) -> AsyncIterator[Office]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    on_record(database_url, {login: (two_step(), 1) for login in LOGINS})
    db = Database(database_url, pool_size=8)
    yield Office(db, await connect(temporal_address, servers.NAMESPACE, KEYS))
    await db.close()


async def test_news_is_heard_at_once_and_singletons_run(office: Office) -> None:
    async with office.running(poll_seconds=3600):  # so only notifications move the relay
        for login in range(1, 12):
            await office.lock(login)
            await office.locked(login)
        async with office.db.transaction() as session:
            await outbox.enqueue(session, key="copy", topic=outbox.DESK, target="t", payload={"ticket_id": "tkt_1"})
        async with asyncio.timeout(120):
            while not await _is_dispatched(office.db, "copy"):
                await asyncio.sleep(0.02)
        async with asyncio.timeout(120):
            for workflow_id in SINGLETONS:
                while not await _runs(office.client, workflow_id):
                    await asyncio.sleep(0.05)


async def test_growing_tables_get_their_parts(office: Office, database_url: str) -> None:
    parts = "SELECT count(*) FROM pg_inherits WHERE inhparent = 'equity_bars'::regclass"
    async with office.running(), asyncio.timeout(60):
        with psycopg.connect(database_url, autocommit=True) as connection:
            while connection.execute(parts).fetchall() == [(1,)]:
                await asyncio.sleep(0.05)


async def _is_dispatched(db: Database, key: str) -> bool:
    async with db.transaction() as session:
        return await session.scalar(select(OutboxMessage.dispatched_at).where(OutboxMessage.key == key)) is not None


async def _runs(client: Client, workflow_id: str) -> bool:
    query = f"WorkflowId = '{workflow_id}' AND ExecutionStatus = 'Running'"
    return [found.id async for found in client.list_workflows(query)] == [workflow_id]


async def test_it_works_while_temporal_is_down_and_when_connections_break(office: Office, database_url: str) -> None:
    office.temporal_up = False
    async with office.running():
        async with office.db.transaction() as session:
            await outbox.signal_workflow(session, key="s", workflow_id="challenge/none", name="x", payload={})
        await office.lock(20)
        await office.locked(20)
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        await asyncio.sleep(0.6)  # a connection is tried before its next use only when it has rested for half a second
        await office.lock(21)
        await office.locked(21)
    async with office.db.transaction() as session:
        waiting = await session.scalar(select(OutboxMessage).where(OutboxMessage.key == "s"))
    assert waiting is not None
    assert (waiting.dispatched_at, waiting.parked_at) == (None, None)


def _failures(loop: str) -> float:
    return REGISTRY.get_sample_value("propos_relay_loop_failures", {"loop": loop}) or 0


async def _until(question: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not question():
            await asyncio.sleep(0.02)


async def test_a_sweep_that_fails_is_reported_and_tried_again_while_the_others_go_on(office: Office) -> None:
    """One provider answers what is no list, and the code of the other has a defect: both pause at the same time."""

    class Odd(Provider):
        mended = False

        async def events(self, after: str | None) -> list[WebhookEvent]:
            if not self.mended:
                raise ArithmeticError("a defect")
            return []

    with odd_provider() as provider:
        provider.answers = [(200, b"nonsense")]
        payments, odd = SandboxPayments(url=provider.url, token="t", webhook_secret="s"), Odd()
        async with office.running(payments, odd):
            await _until(lambda: _failures("sweep/sandbox") >= 1 and _failures("sweep/fakepay") >= 1)
            await office.lock(30)
            await office.locked(30)
            provider.answers, odd.mended = [told(an_event("ev_1"))], True
            await _until(lambda: _failures("sweep/sandbox") == 0 and _failures("sweep/fakepay") == 0)
        await payments.aclose()
    async with office.db.transaction() as session:
        assert await session.scalar(select(InboxEvent.event_id)) == "ev_1"


async def test_a_venue_that_breaks_off_or_says_what_no_database_keeps_holds_up_one_message(office: Office) -> None:
    class Odd(Venue):
        async def lock(self, login: int, *, key: str) -> None:
            if login == 32:
                raise ConnectionResetError
            if login == 33:
                raise Unavailable("closed\x00for the night " * 500)
            await super().lock(login, key=key)

    office.venue = Odd("sandbox", seats=office.venue.seats)
    async with office.running():
        for login in (32, 33, 34):
            await office.lock(login)
        await office.locked(34)

        async def told_why(login: int) -> str | None:
            async with office.db.transaction() as session:
                return await session.scalar(select(OutboxMessage.error).where(OutboxMessage.key == f"lock/{login}"))

        async with asyncio.timeout(60):
            while not (await told_why(32) and await told_why(33)):
                await asyncio.sleep(0.02)
        assert await told_why(32) == "ConnectionResetError"
        assert str(await told_why(33)).startswith("closedfor the night")


async def test_a_payment_event_whose_object_cannot_be_asked_for_holds_up_no_other(office: Office) -> None:
    class Odd(Provider):
        async def fetch_checkout(self, object_id: str) -> Checkout:
            if object_id == "co_odd":
                raise TimeoutError
            return await super().fetch_checkout(object_id)

    async with office.db.transaction() as session:
        for number, checkout_id in enumerate(("co_odd", "co_other")):
            await inbox.receive(
                session, provider="fakepay", event_id=f"ev_{number}", kind="checkout.paid", object_id=checkout_id
            )
    errors: list[str | None] = []
    async with office.running(Odd()), asyncio.timeout(60):
        while errors != ["TimeoutError", "the provider knows no co_other"]:
            await asyncio.sleep(0.02)
            async with office.db.transaction() as session:
                errors = list(await session.scalars(select(InboxEvent.error).order_by(InboxEvent.id)))


async def test_one_workflow_that_cannot_be_started_does_not_keep_the_others_from_it(office: Office) -> None:
    class Narrow:
        """A client that refuses one workflow id as Temporal refuses what it does not like."""

        async def start_workflow(self, name: str, start: object, **options: Any) -> object:
            if options["id"] == SURVEILLANCE_WORKFLOW:
                raise RPCError("too odd", RPCStatusCode.INVALID_ARGUMENT, b"")
            return await office.client.start_workflow(name, start, **options)

    async def connected() -> Any:
        return Narrow()

    with pytest.raises(RPCError):
        await Singletons(office.db, connected, 1, ["sandbox"]).step()
    await office.client.get_workflow_handle(RECONCILIATION_WORKFLOW).describe()  # raises when there is none


async def test_a_terminated_workflow_is_started_again_by_the_running_relay(office: Office) -> None:
    async with office.db.transaction() as session:
        await publish_shelf(session)
        session.add(
            Trader(id="trd_tina", name="tina", email="t@example.com", email_index="t", country="DE", created_at=START)
        )
        await session.flush()
        bought = await challenges.buy(
            session,
            trader_id="trd_tina",
            product=await products.newest(session, "two-step"),
            return_url="https://firm.example/",
            provider="fakepay",
            actor=Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina"),
        )
    workflow_id = challenge_workflow(bought.id)
    for _ in range(2):
        async with office.running(), asyncio.timeout(240):
            while not await _runs(office.client, workflow_id):
                await asyncio.sleep(0.05)
        await office.client.get_workflow_handle(workflow_id).terminate("by hand")
