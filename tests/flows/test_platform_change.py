"""A change of platform from the approval to its end, with a worker and the relay; the shards' part is written as they
write it."""

from collections.abc import AsyncIterator
from typing import Any

import psycopg
import pytest
from sqlalchemy import select
from temporalio.client import WorkflowExecutionStatus

from contracts.ids import platform_change_workflow
from domain.approvals import Actor
from domain.platform_changes import ADJUSTING
from firm import platform_changes
from monitor.departures import _hint
from store.models import Account, AccountLive, AccountPlace, Intervention, PlatformChange, Ticket
from store.platform_changes import Departed, PlaceRows, apply_places, leaving
from tests.challenge_world import START, Firm, Venue, a_firm
from tests.integration.change_world import LACKS, live_row, two_shards


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, others=[Venue(name="other")]) as opened:
        await two_shards(opened.db)
        yield opened


async def _approved(firm: Firm, name: str) -> tuple[str, Account, Actor]:
    challenge_id = await firm.bought(await firm.add_trader(name))
    account = await firm.account(challenge_id)
    rosa, ria = [await firm.add_user(f"{who}-{name}", "risk") for who in ("rosa", "ria")]
    async with firm.db.transaction() as session:
        session.add(live_row(account, 10_000_000))
    async with firm.db.transaction() as session:
        change = await platform_changes.propose(
            session,
            account_id=account.id,
            to_platform="other",
            close_positions=False,
            lacks=LACKS,
            actor=rosa,
            reason="It closes.",
        )
    async with firm.db.transaction() as session:
        row = await session.get_one(PlatformChange, change.id)
        await platform_changes.decide(
            session,
            change.id,
            verdict="approve",
            actor=ria,
            reason="Yes.",
            key=f"k-{name}",
            digest_seen=await platform_changes.seen(session, row),
        )
    return change.id, account, rosa


async def _becomes(firm: Firm, change_id: str, state: str) -> PlatformChange:
    async def reached() -> bool:
        async with firm.db.transaction() as session:
            return (await session.get_one(PlatformChange, change_id)).state == state

    await firm.until(reached)
    async with firm.db.transaction() as session:
        return await session.get_one(PlatformChange, change_id)


async def _ends(firm: Firm, change_id: str) -> None:
    handle = firm.client.get_workflow_handle(platform_change_workflow(change_id))

    async def ended() -> bool:
        return (await handle.describe()).status == WorkflowExecutionStatus.COMPLETED

    await firm.until(ended)


def _write(database_url: str, shard: int, rows: PlaceRows) -> None:
    with psycopg.connect(database_url) as connection, connection.transaction():
        apply_places(connection, rows, shard)


def _rows(change_id: str, **found: Any) -> PlaceRows:
    return PlaceRows(START, {change_id: _hint(change_id, next(iter(found)))}, **found)


async def test_it_goes_on_at_the_other_platform_and_the_trader_is_told(firm: Firm, database_url: str) -> None:
    change_id, account, _ = await _approved(firm, "ada")
    await _becomes(firm, change_id, "leaving")
    with psycopg.connect(database_url) as connection:
        (goes,) = leaving(connection, 0)
    proof = {"proof_id": "prf_1", "kind": "departure", "hash": "0" * 64}
    gone = Departed(goes, START, proof, [], {"place": None})
    _write(database_url, 0, _rows(change_id, departed=[gone]))
    _write(database_url, 1, _rows(change_id, taken=[change_id]))
    await _becomes(firm, change_id, "done")
    await _ends(firm, change_id)
    async with firm.db.transaction() as session:
        now = await session.get_one(Account, account.id)
        assert (now.platform, now.shard) == ("other", 1)
        assert len((await session.scalars(select(AccountPlace))).all()) == 2
        (ticket,) = (await session.scalars(select(Ticket).where(Ticket.account_id == account.id))).all()
        assert (ticket.trader_id, ticket.state) == (account.trader_id, "solved")
    assert not firm.venue.seats[account.login or 0].enabled


async def test_given_up_it_trades_where_it_was_and_a_late_shard_changes_nothing(firm: Firm, database_url: str) -> None:
    change_id, account, rosa = await _approved(firm, "bea")
    await _becomes(firm, change_id, "leaving")
    with psycopg.connect(database_url) as connection:
        (goes,) = leaving(connection, 0)
    async with firm.db.transaction() as session:
        await platform_changes.abandon(session, change_id, actor=rosa, reason="Not now.")
    proof = {"proof_id": "prf_2", "kind": "departure", "hash": "0" * 64}
    _write(database_url, 0, _rows(change_id, departed=[Departed(goes, START, proof, [], {})]))
    await _becomes(firm, change_id, "abandoned")
    await _ends(firm, change_id)
    async with firm.db.transaction() as session:
        assert (await session.get_one(Account, account.id)).platform == "fake"
        live = await session.get_one(AccountLive, account.id)
        assert (await session.scalars(select(AccountPlace))).all() == []
        assert live.balance_minor == 10_000_000
    assert firm.venue.seats[account.login or 0].enabled
    # what a shard cannot let go comes back by itself
    again, _, _ = await _approved(firm, "cleo")
    await _becomes(firm, again, "leaving")
    _write(database_url, 0, _rows(again, refused=[(again, "The balances differ.")]))
    assert (await _becomes(firm, again, "abandoned")).why == "The balances differ."
    # nor does an account leave whose balance is being adjusted, as an earlier release allowed
    held, account, rosa = await _approved(firm, "dan")
    await _becomes(firm, held, "leaving")
    with psycopg.connect(database_url) as connection:
        (goes,) = leaving(connection, 0)
    async with firm.db.transaction() as session:
        session.add(
            Intervention(
                id="itv_1", account_id=account.id, challenge_id=account.challenge_id, trader_id=account.trader_id,
                kind="adjust", change_minor=100, currency="USD", reason="-", message="-", state="approved",
                proposed_by=rosa.user_id, proposed_at=START,
            )
        )  # fmt: skip
    proof = {"proof_id": "prf_3", "kind": "departure", "hash": "0" * 64}
    _write(database_url, 0, _rows(held, departed=[Departed(goes, START, proof, [], {})]))
    assert (await _becomes(firm, held, "abandoned")).why == ADJUSTING
    async with firm.db.transaction() as session:
        assert (await session.get_one(Account, account.id)).platform == "fake"
