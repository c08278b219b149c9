"""Whoever copies the lists loses no row: changes of every writer count, also those that commit late."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from domain.errors import BadInput
from domain.ledger import fee_paid
from domain.money import Money
from settings import Settings
from store import ledger
from store.db import Database, Limits, allow_long_job, install
from store.models import Ticket, Trader
from store.read.listing import OVERLAP, moment
from tests.api_world import NOW, ApiWorld, api_world

LISTS: Final = {
    "accounts": "accounts",
    "challenges": "challenges",
    "traders": "traders",
    "payouts": "payouts",
    "tickets": "tickets",
    "cases": "cases",
    "breaches": "breaches",
    "deals": "deals",
    "ledger-entries": "postings",
}
_GROWING: Final = ("deals", "postings")


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        tina = made.people["tina"]
        asked = await made.ask("tina", "POST", f"/v1/accounts/{tina.has('acc')}/payouts", {"amount": "500"})
        assert asked.status_code == 201, asked.text
        async with made.db.transaction() as session:
            fee = fee_paid(tina.has("chl"), Money(minor=54_000, currency="USD"), "sandbox")
            await ledger.post(session, fee, occurred_at=NOW)
        yield made


async def _list(world: ApiWorld, name: str, **asked: Any) -> dict[str, Any]:
    answer = await world.ask("admin", "GET", f"/v1/{name}", params=asked)
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def _newest(items: list[dict[str, Any]]) -> datetime:
    return max(datetime.fromisoformat(each["updated_at"]) for each in items)


@pytest.mark.parametrize("name", LISTS)
async def test_a_list_gives_what_changed_since_and_the_database_says_when(world: ApiWorld, name: str) -> None:
    everything = (await _list(world, name, limit=200))["items"]
    newest = _newest(everything)
    # what changed before the overlap is not given again
    assert (await _list(world, name, updated_since=(newest + OVERLAP + timedelta(seconds=1)).isoformat()))[
        "items"
    ] == []
    given = (await _list(world, name, updated_since=newest.isoformat(), limit=200))["items"]
    assert {each["id"] for each in given} == {each["id"] for each in everything}
    assert [each["updated_at"] for each in given] == sorted(each["updated_at"] for each in given), "oldest first"
    if LISTS[name] in _GROWING:
        return
    async with world.db.transaction() as session:  # any writer, also one that knows nothing of the column
        await session.execute(text(f"UPDATE {LISTS[name]} SET id = id WHERE id = :id"), {"id": given[0]["id"]})
    after = (await _list(world, name, updated_since=newest.isoformat(), limit=200))["items"]
    assert after[-1]["id"] == given[0]["id"] and _newest(after) > newest


async def test_a_change_that_commits_late_is_given_at_the_next_time(world: ApiWorld) -> None:
    tina, eve = (world.people[name].trader_id for name in ("tina", "eve"))
    async with world.db.transaction() as slow:
        (await slow.get_one(Trader, tina)).country = "FR"
        await slow.flush()
        async with world.db.transaction() as quick:
            (await quick.get_one(Trader, eve)).country = "IT"
        seen = (await _list(world, "traders"))["items"]
        assert {each["country"] for each in seen} == {"DE", "IT"}
        watermark = _newest(seen)
    given = (await _list(world, "traders", updated_since=watermark.isoformat()))["items"]
    late = next(each for each in given if each["id"] == tina)
    assert late["country"] == "FR" and datetime.fromisoformat(late["updated_at"]) < watermark


async def test_a_row_that_changes_while_the_pages_are_read_comes_again_and_none_is_lost(world: ApiWorld) -> None:
    start = (_newest((await _list(world, "tickets"))["items"]) - timedelta(hours=1)).isoformat()
    first = await _list(world, "tickets", updated_since=start, limit=1)
    async with world.db.transaction() as session:
        (await session.get_one(Ticket, first["items"][0]["id"])).subject = "Another question"
    rest, cursor = list[str](), first["next_cursor"]
    while cursor:
        page = await _list(world, "tickets", updated_since=start, limit=1, cursor=cursor)
        rest += [each["id"] for each in page["items"]]
        cursor = page["next_cursor"]
    assert rest[-1] == first["items"][0]["id"]
    assert {*rest} == {world.people[name].has("tkt") for name in ("tina", "eve")}


async def test_a_moment_is_needed(world: ApiWorld) -> None:
    refused = await world.ask("admin", "GET", "/v1/accounts?updated_since=yesterday")
    assert (refused.status_code, refused.json()["field"]) == (422, "updated_since")
    assert (await _list(world, "accounts", updated_since="0001-01-01"))["items"]
    with pytest.raises(BadInput):
        moment("2026-03-02T10:00:00", "updated_since")


async def test_a_transaction_that_takes_longer_than_the_overlap_is_ended(world: ApiWorld) -> None:
    assert timedelta(seconds=Limits().transaction) < OVERLAP
    assert Settings(transaction_timeout_seconds=540).transaction_timeout_seconds < OVERLAP.total_seconds()
    with pytest.raises(ValueError, match="less than or equal to 540"):
        Settings(transaction_timeout_seconds=int(OVERLAP.total_seconds()))
    tina = world.people["tina"].trader_id
    install(Limits(transaction=1))
    try:
        db = Database(world.db.url, pool_size=1)
        with pytest.raises(DBAPIError, match="transaction timeout"):
            async with db.transaction() as slow:
                (await slow.get_one(Trader, tina)).country = "FR"
                await slow.flush()
                await slow.execute(text("SELECT pg_sleep(30)"))
        async with db.transaction() as session:  # a job that only reads and removes
            assert (await session.get_one(Trader, tina)).country != "FR"
            await allow_long_job(session)
            await session.execute(text("SELECT pg_sleep(1.2)"))
        await db.close()
    finally:
        install(Limits())
