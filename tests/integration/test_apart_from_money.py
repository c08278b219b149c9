"""Work for the desk of tickets waits in queues of its own: a slow desk holds up no payment, lock or signal."""

from datetime import UTC, datetime, timedelta

from sqlalchemy import select

from store import deliveries, inbox, outbox
from store.db import Database
from store.models import InboxEvent
from store.read.delivery import delivery


async def test_tickets_of_the_desk_are_claimed_apart_and_once_each(database_url: str) -> None:
    db = Database(database_url)

    async def receive(kind: str, *events: tuple[str, str]) -> None:
        async with db.transaction() as session:
            for event_id, object_id in events:
                await inbox.receive(session, provider="desk", event_id=event_id, kind=kind, object_id=object_id)

    async def claimed() -> list[str]:
        async with db.transaction() as session:
            found = await inbox.claim_tickets(session, limit=10, lease_seconds=600)
        return [event.event_id for event in found]

    async def waiting() -> list[str]:
        async with db.transaction() as session:
            found = select(InboxEvent.event_id).where(InboxEvent.handled_at.is_(None)).order_by(InboxEvent.id)
            return list(await session.scalars(found))

    await receive("ticket.changed", ("a1", "7"), ("b1", "8"), ("a2", "7"))
    await receive("checkout.paid", ("paid", "7"))
    await receive("ticket.changed", ("a3", "7"))
    async with db.transaction() as session:
        assert [each.event_id for each in await inbox.claim(session, limit=10, lease_seconds=600)] == ["paid"]
    assert await claimed() == ["b1", "a3"]
    assert await waiting() == ["b1", "paid", "a3"]
    assert await claimed() == []
    await receive("ticket.changed", ("a4", "7"))  # while the ticket is read
    assert await claimed() == ["a4"]
    assert await waiting() == ["b1", "paid", "a4"]

    async with db.transaction() as session:
        for key, topic in (("c1", outbox.DESK), ("lock", outbox.LOCK), ("c2", outbox.DESK)):
            await outbox.enqueue(session, key=key, topic=topic, target=key)
    async with db.transaction() as session:
        assert [each.key for each in await deliveries.claim(session, limit=1, lease_seconds=600)] == ["lock"]
        assert await deliveries.claim(session, limit=10, lease_seconds=600) == []
        copies = await deliveries.claim(session, limit=10, lease_seconds=600, only=outbox.DESK)
    assert [each.key for each in copies] == ["c1", "c2"]

    hour = datetime.now(UTC) - timedelta(hours=1)
    async with db.transaction() as session:
        before = await delivery(session)
        await outbox.enqueue(session, key="m1", topic=outbox.BULK_MAIL, target="m1", next_at=hour)
        found = await delivery(session)
        assert found.lag_seconds < 3000 and found.aside_waiting == before.aside_waiting + 1, "it leaves last by design"
        assert found.outbox_waiting == before.outbox_waiting
        await outbox.enqueue(session, key="m2", topic=outbox.MAIL, target="m2", next_at=hour)
        assert (await delivery(session)).lag_seconds > 3000
    await db.close()
