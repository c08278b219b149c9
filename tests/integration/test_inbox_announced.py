"""The database tells the relay of a webhook event, but not of each one of a burst."""

import asyncio

import psycopg

from store import inbox
from store.db import Database


async def test_a_burst_is_announced_once_and_the_next_event_after_it_again(database_url: str) -> None:
    db = Database(database_url)

    async def receive(event_id: str) -> None:
        await inbox.receive_at_once(db, provider="stripe", event_id=event_id, kind="checkout.paid", object_id="cs_1")

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
    await db.close()
