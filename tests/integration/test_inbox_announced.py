"""The database tells the relay of a webhook event, but not of each one of a burst; a desk's events are told apart."""

import asyncio

import psycopg

from domain.tickets import CHANGED
from store import inbox
from store.db import Database


async def test_a_burst_is_announced_once_and_the_next_event_after_it_again(database_url: str) -> None:
    db = Database(database_url)

    async def receive(event_id: str, kind: str = "checkout.paid") -> None:
        await inbox.receive_at_once(db, provider="stripe", event_id=event_id, kind=kind, object_id="cs_1")

    async with await psycopg.AsyncConnection.connect(database_url, autocommit=True) as relay:
        await relay.execute("LISTEN relay")

        async def heard() -> list[str]:
            await relay.execute("NOTIFY relay, 'end'")  # comes after all that was committed before it
            told = list[str]()
            async for note in relay.notifies():
                if note.payload == "end":
                    return told
                told.append(note.payload)
            return told

        async with asyncio.timeout(300):
            for number in range(5):
                await receive(f"evt_{number}")
            assert await heard() == ["inbox"]
            async with db.transaction() as session:
                taken = await inbox.claim(session, limit=100, lease_seconds=600)
                assert len(taken) == 5
            await receive("evt_5")
            assert await heard() == ["inbox"]
            async with db.transaction() as session:
                assert len(await inbox.claim(session, limit=100, lease_seconds=600)) == 1
            for number in range(3):
                await receive(f"tkt_{number}", CHANGED)
            assert await heard() == ["inbox"]
            await receive("evt_6")
            assert await heard() == ["inbox"], "events of a desk wait, and payments do not wait for them"
            await receive("tkt_3", CHANGED)
            assert await heard() == []
    await db.close()
