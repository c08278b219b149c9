"""Business events leave as webhooks, from the change to a real receiver that fails, redirects, is gone or slow."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text, update
from standardwebhooks import Webhook

from adapters.webhooks.courier import HttpCourier
from domain.business_events import SOURCES
from ports.webhooks import WebhookAnswer, WebhookRules
from relay.webhooks import WebhookDispatcher
from store import keeping
from store.keeping import Policy
from store.models import BusinessEvent, EventSource, Review, WebhookDelivery, WebhookEndpoint
from tests.api_world import ApiWorld, api_world
from tests.webhook_receiver import Receiver, receiving

RULES = WebhookRules(loopback=True)


class World:
    """A firm, its relay's dispatcher, and receivers."""

    def __init__(self, firm: ApiWorld, stack: AsyncExitStack) -> None:
        self.firm, self._stack = firm, stack
        self.dispatcher = WebhookDispatcher(firm.db, HttpCourier(RULES))

    async def endpoint(self, *kinds: str) -> tuple[Receiver, str, str]:
        """A receiver, the id of its endpoint, and the secret."""
        receiver = await self._stack.enter_async_context(receiving())
        made = await self.manage("", {"url": receiver.url, "kinds": list(kinds) or ["*"]})
        assert made["secret"].startswith("whsec_")
        return receiver, made["id"], made["secret"]

    async def manage(self, path: str, body: Any = None) -> Any:
        answer = await self.firm.ask("admin", "POST", f"/v1/webhook-endpoints{path}", body)
        assert answer.status_code < 300, answer.text
        return answer.json()

    async def log(self, endpoint: str) -> list[Any]:
        answer = await self.firm.ask("auditor", "GET", f"/v1/webhook-endpoints/{endpoint}/deliveries")
        assert answer.status_code == 200, answer.text
        return list(answer.json()["items"])

    async def ticket(self) -> str:
        """A change of the firm that is an event."""
        answer = await self.firm.ask("tina", "POST", "/v1/tickets", {"subject": "Hello", "body": "Secret words"})
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    async def deliver(self) -> None:
        """Every delivery that is due now is tried once."""
        while await self.dispatcher.step():
            pass
        await self.dispatcher.idle()

    async def later(self) -> None:
        """The time of the next try comes."""
        async with self.firm.db.transaction() as session:
            await session.execute(update(WebhookDelivery).values(next_at=func.clock_timestamp()))


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[World]:
    async with AsyncExitStack() as stack:
        firm = await stack.enter_async_context(api_world(database_url, webhook_rules=RULES))
        yield World(firm, stack)


async def _event(world: World, kind: str) -> list[BusinessEvent]:
    async with world.firm.db.transaction() as session:
        found = select(BusinessEvent).where(BusinessEvent.kind == kind).order_by(BusinessEvent.seq)
        return list(await session.scalars(found))


async def test_a_change_is_told_once_signed_and_with_ids_only(world: World) -> None:
    receiver, endpoint, secret = await world.endpoint("ticket.opened")
    ticket = await world.ticket()
    await world.deliver()
    [got] = receiver.got
    body = Webhook(secret).verify(got.body, got.headers)
    assert isinstance(body, dict)
    tina = world.firm.people["tina"]
    assert body["type"] == "ticket.opened"
    assert body["data"].items() >= {
        "subject": "ticket", "id": ticket, "href": f"/v1/tickets/{ticket}", "trader_id": tina.trader_id,
    }.items()  # fmt: skip
    assert b"Secret" not in got.body and b"Trader" not in got.body
    [sent] = await world.log(endpoint)
    assert (sent["state"], sent["event_id"], sent["type"]) == ("delivered", got.webhook_id, "ticket.opened")
    assert [each["status"] for each in sent["tries"]] == [204]
    await world.later()
    await world.deliver()
    assert len(receiver.got) == 1
    events = await world.firm.ask("support", "GET", "/v1/events?type=ticket.opened")
    assert [(each["id"], each["body"]) for each in events.json()["items"]] == [(got.webhook_id, body)]


async def test_another_address_needs_a_proof_and_other_events_need_none(world: World) -> None:
    receiver, endpoint, _ = await world.endpoint("ticket.opened")
    path = f"/v1/webhook-endpoints/{endpoint}/change"
    wanted = {"url": receiver.url + "other"}
    refused = await world.firm.ask("admin", "POST", path, wanted, proves=False)
    assert (refused.status_code, refused.json()["step_up"]["action"]) == (403, "keys")
    assert (await world.firm.ask("admin", "POST", path, {"kinds": ["*"]}, proves=False)).status_code == 200
    async with world.firm.db.transaction() as session:
        assert await session.scalar(select(WebhookEndpoint.url)) == receiver.url
    await world.manage(f"/{endpoint}/change", wanted)
    async with world.firm.db.transaction() as session:
        assert await session.scalar(select(WebhookEndpoint.url)) == wanted["url"]


async def test_while_a_secret_rotates_both_sign(world: World) -> None:
    receiver, endpoint, old = await world.endpoint()
    new = (await world.manage(f"/{endpoint}/rotate", {"overlap_hours": 1}))["secret"]
    sent = (await world.manage(f"/{endpoint}/test"))["event_id"]
    await world.deliver()
    [got] = receiver.got
    assert got.webhook_id == sent
    for secret in (old, new):
        assert Webhook(secret).verify(got.body, got.headers) == json.loads(got.body)
    last = (await world.manage(f"/{endpoint}/rotate", {"overlap_hours": 0}))["secret"]
    await world.manage(f"/{endpoint}/test")
    await world.deliver()
    assert receiver.got[-1].headers["webhook-signature"].count("v1,") == 2, "only the first has time left"
    assert Webhook(last).verify(receiver.got[-1].body, receiver.got[-1].headers)


async def test_failures_are_tried_again_under_the_same_id_and_logged(world: World) -> None:
    receiver, endpoint, _ = await world.endpoint("ticket.opened")
    await world.ticket()
    answers: list[tuple[int, dict[str, str]]] = [
        *((500, {}), (302, {"location": receiver.url}), (503, {"retry-after": "4000"}), (204, {})),
    ]
    for status, headers in answers:
        receiver.says(status, headers)
        await world.later()
        await world.deliver()
        if status == 503:
            async with world.firm.db.transaction() as session:
                due = await session.scalar(select(WebhookDelivery.next_at))
            assert due is not None and due > datetime.now(UTC) + timedelta(seconds=3900), "it asked for more time"
    assert len({got.webhook_id for got in receiver.got}) == 1
    assert len({got.body for got in receiver.got}) == 1
    [sent] = await world.log(endpoint)
    assert [each["status"] for each in sent["tries"]] == [500, 302, 503, 204]
    assert (sent["tries"][1]["problem"], sent["state"]) == ("a redirect is not followed", "delivered")


async def test_after_the_last_try_it_is_given_up_and_can_be_sent_again(world: World) -> None:
    receiver, endpoint, _ = await world.endpoint("ticket.opened")
    await world.ticket()
    receiver.says(500)
    for _ in range(12):
        await world.later()
        await world.deliver()
    [sent] = await world.log(endpoint)
    assert (sent["state"], len(sent["tries"]), len(receiver.got)) == ("failed", 10, 10)
    receiver.says(200)
    assert await world.manage(f"/{endpoint}/replay", {"event_id": sent["event_id"]}) == {"events": 1}
    await world.deliver()
    assert (receiver.got[-1].webhook_id, len(receiver.got)) == (sent["event_id"], 11)
    assert (await world.log(endpoint))[0]["state"] == "delivered"


@pytest.mark.parametrize(("status", "days", "why"), [(410, 0, "gone"), (500, 6, "failing")])
async def test_an_endpoint_that_is_gone_or_fails_for_days_is_disabled_and_a_person_is_told(
    world: World, status: int, days: int, why: str
) -> None:
    receiver, endpoint, _ = await world.endpoint("ticket.opened")
    receiver.says(status)
    async with world.firm.db.transaction() as session:
        since = datetime.now(UTC) - timedelta(days=days) if days else None
        await session.execute(update(WebhookEndpoint).values(failing_since=since))
    await world.ticket()
    await world.deliver()
    async with world.firm.db.transaction() as session:
        row = await session.get_one(WebhookEndpoint, endpoint)
        assert (row.state, row.why) == ("disabled", why)
        [review] = list(await session.scalars(select(Review).where(Review.kind == "webhook_disabled")))
        assert (review.status, review.detail["endpoint"]) == ("open", endpoint)
    await world.ticket()  # not queued any more
    receiver.says(200)
    await world.later()
    await world.deliver()
    assert len(receiver.got) == 1
    await world.manage(f"/{endpoint}/enable")
    await world.deliver()
    assert len(receiver.got) == 2, "what waited is sent"
    span = {"since": (datetime.now(UTC) - timedelta(hours=1)).isoformat(), "until": datetime.now(UTC).isoformat()}
    assert await world.manage(f"/{endpoint}/replay", span) == {"events": 2}
    await world.deliver()
    assert len(receiver.got) == 4 and len({got.webhook_id for got in receiver.got}) == 2


async def test_a_slow_receiver_holds_up_no_other(world: World) -> None:
    slow, _, _ = await world.endpoint("ticket.opened")
    quick, _, _ = await world.endpoint("ticket.opened")
    slow.says(200, seconds=3600.0)
    for _ in range(10):
        await world.ticket()
    world.dispatcher = WebhookDispatcher(world.firm.db, HttpCourier(RULES, seconds=20.0))
    async with asyncio.timeout(120):
        while len(quick.got) < 10:
            await world.dispatcher.step()
            await asyncio.sleep(0.02)
    assert len(slow.got) <= 8, "so many of one endpoint at a time"
    await world.dispatcher.close()


class _Dies(HttpCourier):
    """Sends, and is killed before the answer is recorded."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        await super().post(url, headers, body)
        raise KeyError("killed")


async def test_a_kill_between_sending_and_recording_loses_nothing_and_the_duplicate_has_the_same_id(
    world: World,
) -> None:
    receiver, endpoint, _ = await world.endpoint("ticket.opened")
    await world.ticket()
    world.dispatcher = WebhookDispatcher(world.firm.db, _Dies(RULES))
    await world.deliver()
    [sent] = await world.log(endpoint)
    assert (sent["state"], sent["tries"], len(receiver.got)) == ("waiting", [], 1)
    await world.later()  # the lease has ended
    world.dispatcher = WebhookDispatcher(world.firm.db, HttpCourier(RULES))
    await world.deliver()
    assert [got.webhook_id for got in receiver.got] == [sent["event_id"]] * 2
    assert (await world.log(endpoint))[0]["state"] == "delivered"


async def test_the_changes_that_a_crm_needs_are_events_in_their_transaction(world: World) -> None:
    firm, tina = world.firm, world.firm.people["tina"]
    signed_up = await _event(world, "trader.signed_up")
    assert {each.trader_id for each in signed_up} == {tina.trader_id, firm.people["eve"].trader_id}
    broken = await _event(world, "account.breached")
    assert (tina.has("brc"), tina.has("acc"), tina.trader_id) in {
        (each.subject_id, each.account_id, each.trader_id) for each in broken
    }
    answer = await firm.ask("tina", "POST", f"/v1/accounts/{tina.has('acc')}/payouts", {"amount": "500.00"})
    [asked] = await _event(world, "payout.requested")
    assert (asked.subject_id, asked.account_id, asked.challenge_id, asked.trader_id) == (
        answer.json()["id"], tina.has("acc"), tina.has("chl"), tina.trader_id,
    )  # fmt: skip
    ticket = await world.ticket()
    await firm.ask("support", "POST", f"/v1/tickets/{ticket}/messages", {"body": "Yes"})
    await firm.ask("support", "POST", f"/v1/tickets/{ticket}/solve")
    for kind in ("ticket.answered", "ticket.solved"):
        assert [each.subject_id for each in await _event(world, kind)] == [ticket]
    eve = firm.people["eve"].trader_id
    refused = {"verified": False, "reason": "seen"}
    assert (await firm.ask("risk", "POST", f"/v1/traders/{eve}/identity", refused)).status_code == 200
    assert [each.trader_id for each in await _event(world, "identity.decided")] == [eve]
    async with firm.db.transaction() as session:
        told = await session.execute(select(EventSource.action, EventSource.kind))
        assert dict(told.tuples().all()) == dict(SOURCES)
        triggers = text("SELECT tgrelid::regclass::text FROM pg_trigger WHERE tgname = 'emit' AND tgparentid = 0")
        assert set(await session.scalars(triggers)) == {
            "audit_log", "traders", "chargebacks", "accounts", "warnings", "breaches", "phase_passes",
        }  # fmt: skip


async def test_a_change_that_is_undone_is_no_event(world: World) -> None:
    before = await _event(world, "ticket.opened")
    with pytest.raises(RuntimeError):
        async with world.firm.db.transaction() as session:
            await session.execute(
                text("SELECT emit_event('ticket.opened', 'ticket', 'tkt_x', NULL, NULL, NULL, clock_timestamp())")
            )
            raise RuntimeError
    assert await _event(world, "ticket.opened") == before


async def test_old_events_are_removed_unless_they_wait(world: World) -> None:
    receiver, _, _ = await world.endpoint("ticket.opened")
    await world.ticket()
    await world.deliver()
    receiver.says(500)
    await world.ticket()
    await world.deliver()
    async with world.firm.db.transaction() as session:
        old = datetime.now(UTC) - timedelta(days=100)
        await session.execute(update(BusinessEvent).values(recorded_at=old, told=True))
        await keeping.remove_events(session, Policy(events=90))
        left = list(await session.scalars(select(BusinessEvent.kind)))
        states = list(await session.scalars(select(WebhookDelivery.state)))
    assert (left, states) == (["ticket.opened"], ["waiting"])
