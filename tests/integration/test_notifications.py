"""The database says that there is work: new deals to surveillance, market time and wake-ups to the relay."""

import asyncio

import psycopg

from store.notifications import DEALS, told
from tests.integration.recorded_feed import falling, opened, record_one
from tests.integration.scripted_venue import ScriptedVenue, judge, rows


async def test_new_deals_are_told_and_a_batch_without_deals_is_not(database_url: str) -> None:
    record_one(database_url)
    async with asyncio.timeout(120), told(database_url, DEALS) as new_deals:
        await new_deals.wait()  # what happened before it listened is not told
        new_deals.clear()
        await asyncio.to_thread(judge, database_url, ScriptedVenue(opened().batches))
        await new_deals.wait()
        assert rows(database_url, "SELECT count(*) FROM deals") == [(1,)]
        new_deals.clear()
        await asyncio.to_thread(judge, database_url, ScriptedVenue(falling().batches))
        assert rows(database_url, "SELECT count(*) FROM breaches") == [(1,)]
        async with told(database_url, "end_of_test") as end:
            await end.wait()
            end.clear()
            with psycopg.connect(database_url, autocommit=True) as connection:
                connection.execute("NOTIFY end_of_test")
            await end.wait()  # whatever was told before has arrived by now
        assert not new_deals.is_set()


def test_the_relay_is_told_of_market_time_and_of_wakeups(database_url: str) -> None:
    record_one(database_url)
    with psycopg.connect(database_url, autocommit=True) as listening:
        listening.execute("LISTEN relay")
        judge(database_url, ScriptedVenue(opened().batches))
        rows(
            database_url,
            "INSERT INTO wakeups (workflow_id, due_at) VALUES ('challenge/chl_1', clock_timestamp()) RETURNING 1",
        )
        heard = {told.payload for told in listening.notifies(timeout=5, stop_after=None)}
    assert heard >= {"market_clock", "wakeups"}
