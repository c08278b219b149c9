"""Webhooks on real Postgres: stored once, routed once, whatever order, copies or gaps they come in."""

import asyncio
import itertools
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import delete, func, select, update
from temporalio.client import Client

from domain import keys
from domain.approvals import Actor
from domain.ledger import fee_paid
from domain.money import Money
from firm import challenges
from ports.acquirer import Checkout, CheckoutOrder
from ports.money import WebhookEvent
from ports.rail import Transfer
from relay.inbox import EventSweep, InboxDispatcher
from relay.outbox import OutboxDispatcher
from relay.temporal import connect
from store import crypto, inbox, ledger, products
from store.db import Database
from store.models import (
    AuditEntry,
    Chargeback,
    InboxEvent,
    MarketClock,
    OutboxMessage,
    Payout,
    PayoutTransfer,
    Trader,
    User,
)
from tests import servers
from tests.adapters import PaymentProvider, platforms, providers
from tests.challenge_world import KEYS, START, Provider, Venue
from tests.shelf import publish_shelf

ADA = Actor(user_id="usr_ada", person_id="ada", role="trader", trader_id="trd_ada")


class Post:
    """A firm that sold one challenge, and the dispatcher under test."""

    def __init__(self, db: Database, provider: Provider) -> None:
        self.db, self.provider = db, provider
        self.payments: PaymentProvider = provider
        self.dispatcher = InboxDispatcher(db, providers(self.payments))

    async def sell(self, *, recorded: bool = True) -> tuple[str, str]:
        """(challenge id, checkout id). Not `recorded`: the provider has the checkout, our row does not know it yet."""
        async with self.db.transaction() as session:
            row = await challenges.buy(
                session,
                trader_id="trd_ada",
                product=await products.newest(session, "two-step"),
                return_url="https://firm.example/",
                provider=self.provider.name,
                actor=ADA,
            )
            key, terms = await challenges.checkout_terms(session, row.id)
        checkout = await self.provider.create_checkout(CheckoutOrder(**terms), key=key)
        if recorded:
            async with self.db.transaction() as session:
                await challenges.record_checkout(session, row.id, checkout_id=checkout.checkout_id, url=checkout.url)
        return row.id, checkout.checkout_id

    async def receive(self, event_id: str, kind: str, object_id: str) -> bool:
        async with self.db.transaction() as session:
            return await inbox.receive(
                session, provider=self.provider.name, event_id=event_id, kind=kind, object_id=object_id
            )

    async def signals(self) -> list[tuple[str, str]]:
        async with self.db.transaction() as session:
            rows = await session.execute(
                select(OutboxMessage.target, OutboxMessage.name)
                .where(OutboxMessage.topic == "workflow.signal")
                .order_by(OutboxMessage.id)
            )
            return [(row.target, row.name) for row in rows]

    async def outbox(self, temporal_address: str) -> list[tuple[str, bool]]:
        """Deliver what waits to a Temporal where nothing of ours runs; gives (name, parked) of each message."""
        client = await connect(temporal_address, servers.NAMESPACE, KEYS)

        async def connected() -> Client:
            return client

        await OutboxDispatcher(self.db, connected, platforms(Venue())).step()
        async with self.db.transaction() as session:
            rows = await session.scalars(select(OutboxMessage).order_by(OutboxMessage.id))
            return [(row.name, row.parked_at is not None) for row in rows if row.parked_at or row.dispatched_at]

    async def events(self) -> list[InboxEvent]:
        async with self.db.transaction() as session:
            return list(await session.scalars(select(InboxEvent).order_by(InboxEvent.id)))

    async def ends(self, challenge_id: str, *, paid: bool = True) -> None:
        async with self.db.transaction() as session:
            row = await challenges.lock(session, challenge_id)
            if paid:
                fee = Money(minor=row.fee_minor, currency=row.currency)
                await ledger.post(session, fee_paid(row.id, fee, self.provider.name), occurred_at=START)
            row.state = "failed"

    async def due_now(self) -> None:
        async with self.db.transaction() as session:
            await session.execute(update(InboxEvent).values(next_at=func.clock_timestamp()))


@pytest.fixture
async def post(database_url: str) -> AsyncIterator[Post]:
    crypto.install(crypto.FieldKeys.parse(KEYS))
    db = Database(database_url, pool_size=10)
    async with db.transaction() as session:
        await publish_shelf(session)
        session.add(MarketClock(feed="fake", watermark=START))
        session.add(
            Trader(id="trd_ada", name="Ada", email="a@e", email_index="a", country="DE", identity="x", created_at=START)
        )
        await session.flush()
        session.add(
            User(
                id="usr_ada", login="ada", login_index="ada", name="Ada", password_hash="-", role="trader",
                person_id="ada", trader_id="trd_ada",
            )
        )  # fmt: skip
    yield Post(db, Provider())
    await db.close()


async def test_fifty_copies_of_an_event_are_one_row_and_one_signal(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    stored = await asyncio.gather(*(post.receive("ev_1", "checkout.paid", checkout_id) for _ in range(50)))
    assert stored.count(True) == 1
    others = [InboxDispatcher(post.db, providers(post.payments)) for _ in range(4)]
    await asyncio.gather(*(one.step() for one in (post.dispatcher, *others)))
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_settled")]
    (event,) = await post.events()
    assert event.handled_at is not None


async def test_copies_of_two_hundred_events_have_one_effect_each(post: Post) -> None:
    """Five relays route them at the same time, in whole batches."""
    challenge_id, checkout_id = await post.sell()
    for number in range(200):
        stored = await asyncio.gather(
            *(post.receive(f"ev_{number}", "checkout.expired", checkout_id) for _ in range(5))
        )
        assert stored.count(True) == 1
    others = [InboxDispatcher(post.db, providers(post.payments)) for _ in range(4)]
    while sum(await asyncio.gather(*(one.step() for one in (post.dispatcher, *others)))):
        continue
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_expired")] * 200
    assert all(event.handled_at for event in await post.events())


async def test_a_batch_with_an_object_that_nobody_knows_is_routed_all_the_same(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    for number, object_id in enumerate((checkout_id, "co_nobody", checkout_id)):
        await post.receive(f"ev_{number}", "checkout.paid", object_id)
    assert await post.dispatcher.step() == 3
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_settled")] * 2
    assert [event.handled_at is not None for event in await post.events()] == [True, False, True]


async def test_each_kind_finds_its_lifecycle(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    kinds = ("checkout.paid", "checkout.expired", "charge.disputed", "charge.refunded")
    provider_id = post.provider.disputes(checkout_id)
    for number, kind in enumerate(kinds):
        await post.receive(f"ev_{number}", kind, checkout_id)
    assert await post.dispatcher.step() == 4
    target, chargeback = f"challenge/{challenge_id}", _workflow(post, provider_id)
    assert await post.signals() == [
        (target, "payment_settled"),
        (target, "payment_expired"),
        (target, "payment_settled"),  # the payment of a chargeback is booked first
        (chargeback, "chargeback_changed"),
        (target, "fee_refunded"),
    ]
    assert all(event.handled_at for event in await post.events())


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
async def test_any_order_of_events_sends_the_same_signals(post: Post, order: tuple[int, ...]) -> None:
    _, checkout_id = await post.sell()
    kinds = ("checkout.paid", "charge.disputed", "charge.refunded")
    post.provider.disputes(checkout_id)
    for number in order:
        await post.receive(f"ev_{number}", kinds[number], checkout_id)
        await post.dispatcher.step()
    assert sorted(name for _, name in await post.signals()) == [
        *("chargeback_changed", "fee_refunded", "payment_settled", "payment_settled")
    ]


def _workflow(post: Post, provider_id: str) -> str:
    return f"chargeback/{keys.chargeback_id(post.provider.name, provider_id)}"


async def test_a_chargeback_after_the_end_begins_its_life_once(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.ends(challenge_id)
    post.provider.becomes(checkout_id, "paid")
    await post.receive("ev_0", "charge.disputed", checkout_id)
    await post.dispatcher.step()
    assert await post.signals() == [], "nothing can be read yet"
    provider_id = post.provider.disputes(checkout_id)
    await post.receive("ev_1", "chargeback.changed", provider_id)
    await post.due_now()
    await post.dispatcher.step()
    workflow = _workflow(post, provider_id)
    assert await post.signals() == [(workflow, "chargeback_changed")] * 2
    assert all(event.handled_at for event in await post.events())
    async with post.db.transaction() as session:
        (row,) = await session.scalars(select(Chargeback))
        assert (row.challenge_id, row.state) == (challenge_id, "received")
        starts = select(OutboxMessage.target).where(OutboxMessage.topic == "workflow.start")
        assert list(await session.scalars(starts)).count(workflow) == 1
        assert (await challenges.lock(session, challenge_id)).state == "failed"


async def test_a_refund_after_the_end_is_booked_once(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.ends(challenge_id)
    post.provider.becomes(checkout_id, "refunded")
    for number in (1, 2):
        await post.receive(f"ev_{number}", "charge.refunded", checkout_id)
        await post.dispatcher.step()
    assert all(event.handled_at for event in await post.events())
    async with post.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == 0
        entries = await session.scalars(select(AuditEntry.action).where(AuditEntry.subject_id == challenge_id))
        assert list(entries).count("challenge.refunded_late") == 1
        assert (await challenges.lock(session, challenge_id)).state == "failed"


async def test_a_refund_that_finds_its_workflow_closed_comes_back_and_is_booked(
    post: Post, temporal_address: str
) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.receive("ev_1", "charge.refunded", checkout_id)
    await post.dispatcher.step()
    assert await post.signals() == [(f"challenge/{challenge_id}", "fee_refunded")]
    await post.ends(challenge_id)  # in the meantime
    post.provider.becomes(checkout_id, "refunded")
    async with post.db.transaction() as session:
        await session.execute(delete(OutboxMessage).where(OutboxMessage.topic == "workflow.start"))
    assert await post.outbox(temporal_address) == [("fee_refunded", False)]
    await post.dispatcher.step()
    async with post.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == 0


async def test_a_refund_of_a_fee_nobody_booked_is_for_a_person(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.ends(challenge_id, paid=False)
    post.provider.becomes(checkout_id, "refunded")
    await post.receive("ev_1", "charge.refunded", checkout_id)
    await post.dispatcher.step()
    (event,) = await post.events()
    assert (event.parked_at is not None, event.error) == (
        True,
        f"the ledger has no fee of {challenge_id} to pay back",
    )


async def test_a_chargeback_that_nobody_knows_waits_and_is_for_a_person_then(post: Post) -> None:
    await post.receive("ev_1", "chargeback.changed", "cb_unknown")
    for _ in range(12):
        await post.due_now()
        await post.dispatcher.step()
    (event,) = await post.events()
    assert (event.parked_at is not None, event.error) == (True, "the provider knows no cb_unknown")


async def test_a_chargeback_that_finds_its_workflow_closed_comes_back(post: Post, temporal_address: str) -> None:
    _, checkout_id = await post.sell()
    post.provider.disputes(checkout_id)
    await post.receive("ev_1", "charge.disputed", checkout_id)
    await post.dispatcher.step()
    async with post.db.transaction() as session:
        mine = OutboxMessage.name == "chargeback_changed"
        await session.execute(delete(OutboxMessage).where(~mine))  # its workflow is over
    assert await post.outbox(temporal_address) == [("chargeback_changed", False)]
    (event,) = await post.events()
    assert event.handled_at is None, "it is routed again"


async def test_news_of_a_transfer_for_a_payout_that_has_ended_meanwhile_is_routed_again(
    post: Post, temporal_address: str
) -> None:
    challenge_id, _ = await post.sell()
    async with post.db.transaction() as session:
        row, product = await challenges.lock(session, challenge_id), await products.newest(session, "two-step")
        account = await challenges.open_account(session, row, product, 1, "fake")
        session.add(
            Payout(
                id="pay_1", account_id=account.id, challenge_id=row.id, trader_id="trd_ada", requested_by="usr_ada",
                state="sent", gross_minor=2, trader_minor=1, firm_minor=1, currency="USD", beneficiary="b",
                terms_digest="0" * 64, approvers_needed=1, checks={}, requested_at=START, rail="fakepay",
                transfer_id="tr_1",
            )
        )  # fmt: skip
        await session.flush()
        session.add(
            PayoutTransfer(
                id="trf-1", payout_id="pay_1", number=1, rail="fakepay", state="sent", provider_id="tr_1",
                amount_minor=1, currency="USD", terms_digest="0" * 64, declared_at=START, changed_at=START,
            )
        )  # fmt: skip
        await session.execute(delete(OutboxMessage))
    await post.receive("ev_1", "transfer.returned", "tr_1")
    await post.dispatcher.step()
    async with post.db.transaction() as session:
        (await session.get_one(Payout, "pay_1")).state = "paid"
    assert await post.outbox(temporal_address) == [("transfer_changed", False)]
    (event,) = await post.events()
    assert event.handled_at is None


async def test_an_event_that_breaks_its_reader_is_parked_and_the_others_go_on(post: Post) -> None:
    class Odd(Provider):
        async def fetch_checkout(self, object_id: str) -> Checkout:
            raise ValueError(f"{object_id} of Ada")

    odd = InboxDispatcher(post.db, providers(Odd()))
    challenge_id, checkout_id = await post.sell()
    await post.receive("ev_1", "checkout.paid", "co_odd")
    await post.receive("ev_2", "checkout.paid", checkout_id)
    for attempt in range(1, 6):
        assert (await post.events())[0].parked_at is None, attempt
        await post.due_now()
        await odd.step()
    first, second = await post.events()
    assert (first.parked_at is not None, first.error, first.attempts) == (True, "ValueError", 5)
    assert second.handled_at is not None
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_settled")]


async def test_a_webhook_that_is_faster_than_our_own_row_finds_its_way_by_reference(post: Post) -> None:
    challenge_id, checkout_id = await post.sell(recorded=False)
    await post.receive("ev_1", "checkout.paid", checkout_id)
    await post.dispatcher.step()
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_settled")]


async def test_an_unknown_object_is_waited_for_and_then_parked(post: Post) -> None:
    await post.receive("ev_1", "checkout.paid", "co_nobody")
    await post.receive("ev_2", "transfer.paid", "tr_nobody")
    for _ in range(12):
        await post.due_now()
        await post.dispatcher.step()
    events = await post.events()
    assert [event.attempts for event in events] == [12, 12]
    assert all(event.parked_at is not None and event.handled_at is None for event in events)
    assert events[0].error == "the provider knows no co_nobody"
    assert await post.signals() == []


async def test_an_event_of_a_kind_nobody_knows_is_parked_at_once(post: Post) -> None:
    await post.receive("ev_1", "balance.available", "x")
    await post.dispatcher.step()
    (event,) = await post.events()
    assert (event.parked_at is not None, event.error) == (
        True,
        "no workflow handles events of kind 'balance.available'",
    )


async def test_a_killed_dispatcher_leaves_nothing_behind(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.receive("ev_1", "checkout.paid", checkout_id)
    async with post.db.transaction() as session:
        assert len(await inbox.claim(session, limit=10, lease_seconds=60)) == 1
    assert await post.dispatcher.step() == 0
    await post.dispatcher.release()
    assert await post.dispatcher.step() == 1
    assert await post.signals() == [(f"challenge/{challenge_id}", "payment_settled")]


async def test_the_sweep_finds_what_never_came_and_nothing_twice(post: Post) -> None:
    challenge_id, checkout_id = await post.sell()
    await post.receive("ev_1", "checkout.paid", checkout_id)
    for number, kind in ((1, "checkout.paid"), (2, "charge.refunded")):
        post.provider.past.append(
            WebhookEvent.model_validate(
                {"event_id": f"ev_{number}", "kind": kind, "object_id": checkout_id, "created_at": START}
            )
        )
    sweep = EventSweep(post.db, post.payments)
    assert [await sweep.step(), await sweep.step()] == [1, 0]
    assert await EventSweep(post.db, post.payments).step() == 0, "a new process begins at the beginning"
    await post.dispatcher.step()
    target = f"challenge/{challenge_id}"
    assert await post.signals() == [(target, "payment_settled"), (target, "fee_refunded")]


async def test_a_transfer_of_a_payout_we_do_not_have_waits(post: Post) -> None:
    class WithTransfer(Provider):
        async def fetch_transfer(self, transfer_id: str) -> Transfer:
            return Transfer(
                transfer_id=transfer_id, key="k", reference="pay_gone", status="paid", amount_minor=1, currency="USD"
            )

    stranger: PaymentProvider = WithTransfer()
    await post.receive("ev_1", "transfer.paid", "tr_1")
    await InboxDispatcher(post.db, providers(stranger)).step()
    (event,) = await post.events()
    assert (event.handled_at, event.error) == (None, "no object of ours has tr_1")
    assert event.next_at - event.received_at < timedelta(seconds=5)
