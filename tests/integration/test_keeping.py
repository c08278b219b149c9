"""What the record keeps: parts by time, hours of old minutes, rows removed by policy, and readers that say so."""

import asyncio
import json
import os
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, LiteralString

import numpy as np
import psycopg
import pytest
from psycopg import sql
from psycopg.errors import RestrictViolation
from sqlalchemy import text
from sqlalchemy.exc import OperationalError

from domain.ledger import fee_paid
from domain.money import Money
from monitor.record.minute_rows import MinuteRows, binary_bars
from relay.keeper import Keeper
from store import audit, audit_chain, keeping, kept, ledger, parts
from store.db import Database
from store.held import MINUTES, PLAIN, WITH_ANOTHER, held, without_part
from store.keeping import Policy
from store.live import claim_epoch
from store.live_checkpoint import CheckpointWriter
from store.migrate import upgrade
from store.models import Account, every_table
from store.read import impact, market
from store.read.pages import Window
from tests import servers
from tests.challenge_world import KEYS
from tests.command_line import propos
from tests.integration.earlier_database import upgrade_to, with_rows
from tests.integration.scripted_venue import WHEN
from tests.payout_world import World, a_firm

DAY: Final = timedelta(days=1)
NOW: Final = datetime(2026, 6, 20, 12, 0, tzinfo=UTC)  # of the market
FOR_EVER: Final = Policy(None, None, None, None, None, None, None)


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        await world.add_trader("ada")
        _run(database_url, "DELETE FROM market_clock")
        _run(database_url, "INSERT INTO market_clock (feed, watermark) VALUES ('sandbox', %s)", NOW)
        yield world


def _run(url: str, statement: LiteralString | sql.Composed, *values: object) -> list[Any]:
    with psycopg.connect(servers.as_owner(url)) as connection:
        connection.execute("SET timezone = 'UTC'")
        cursor = connection.execute(statement, values)
        return cursor.fetchall() if cursor.description else []


def _bars(url: str, account_id: str, start: datetime, figures: Sequence[tuple[int, int, int, int, int]]) -> None:
    """One bar for each minute from `start` on."""
    for number, row in enumerate(figures):
        _run(
            url,
            "INSERT INTO equity_bars VALUES (%s, %s, %s, %s, %s, %s, %s)",
            account_id,
            start + timedelta(minutes=number),
            *row,
        )


def _deal(url: str, number: int, at: datetime, account_id: str = "acc_ada") -> None:
    _run(
        url,
        "INSERT INTO deals (account_id, deal_id, seq, at, position_id, symbol, side, entry, lots, price, profit_minor,"
        " commission_minor, swap_minor, balance_minor, reason)"
        " VALUES (%s, %s, %s, %s, 'p', 'EURUSD', 'buy', 'in', 1, 1.1, 0, 0, 0, 0, 'client')",
        account_id,
        f"d{number}",
        number,
        at,
    )


def _parts(url: str, table: str) -> list[str]:
    found = _run(
        url, "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = %s::regclass ORDER BY 1", table
    )
    return [name for (name,) in found]


async def _rounds(firm: World, policy: Policy) -> int:
    """Runs rounds of a new keeper until there is nothing left to do."""
    keeper, done = Keeper(firm.db, policy), 0
    while found := await keeper.step():
        done += found
    return done


# parts


async def test_the_coming_days_and_months_have_parts_and_a_second_round_changes_nothing(firm: World) -> None:
    assert await _rounds(firm, FOR_EVER) > 0
    bars = _parts(firm.db.url, "equity_bars")
    assert bars == [*(f"equity_bars_202606{day}" for day in range(19, 28)), "equity_bars_default"]
    assert _parts(firm.db.url, "deals") == [*(f"deals_20260{month}" for month in (6, 7, 8)), "deals_default"]
    assert await Keeper(firm.db, FOR_EVER).step() == 0
    _bars(firm.db.url, "acc_ada", NOW, [(1, 2, 0, 1, 1)])
    assert _run(firm.db.url, "SELECT tableoid::regclass::text FROM equity_bars") == [("equity_bars_20260620",)]


async def test_rows_stored_before_their_part_move_into_it(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", NOW, [(1, 2, 0, 1, 1)])
    _deal(firm.db.url, 1, NOW)
    assert _run(firm.db.url, "SELECT tableoid::regclass::text FROM equity_bars") == [("equity_bars_default",)]
    await _rounds(firm, FOR_EVER)
    assert _run(firm.db.url, "SELECT tableoid::regclass::text FROM equity_bars") == [("equity_bars_20260620",)]
    assert _run(firm.db.url, "SELECT tableoid::regclass::text, deal_id FROM deals") == [("deals_202606", "d1")]


async def test_a_checkpoint_that_begins_while_a_part_is_made_is_stored_in_it(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", NOW, [(1, 2, 0, 1, 1)])
    epoch = claim_epoch(firm.db.url, 0)
    minute = np.array([[1, 2, 0, 1, 1]])
    block = b"".join(binary_bars([MinuteRows(NOW + timedelta(minutes=1), np.array([b"acc_ada"]), minute)]))
    with psycopg.connect(firm.db.url, autocommit=True) as connection, ThreadPoolExecutor(1) as thread:
        writer = CheckpointWriter(connection, 0, epoch)
        async with firm.db.transaction() as session:
            assert await parts.alone(session) and await parts.make_parts(session)
            writing = thread.submit(writer.write_bars, block)
            waits = "SELECT pid FROM pg_locks WHERE pid = %s AND NOT granted"
            while not writing.done() and not _run(firm.db.url, waits, connection.info.backend_pid):
                await asyncio.sleep(0.01)
        await asyncio.to_thread(writing.result)
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars_20260620") == [(2,)]


async def test_a_row_of_any_time_can_be_stored(firm: World) -> None:
    await _rounds(firm, FOR_EVER)
    for number, at in enumerate((NOW - 9000 * DAY, NOW + 9000 * DAY)):
        _bars(firm.db.url, "acc_ada", at, [(1, 2, 0, 1, 1)])
        _deal(firm.db.url, number, at)
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars_default") == [(2,)]


async def test_every_part_of_the_audit_log_is_append_only(firm: World) -> None:
    months = _parts(firm.db.url, "audit_log")
    last = max(name for name in months if name != "audit_log_default")
    _run(firm.db.url, sql.SQL("DROP TABLE {}").format(sql.Identifier(last)))  # as two months before
    await _rounds(firm, FOR_EVER)
    assert _parts(firm.db.url, "audit_log") == months
    async with firm.db.transaction() as session:
        await audit.record(session, action="a", subject_kind="payout", subject_id="p", occurred_at=NOW)
    ((part,),) = _run(firm.db.url, "SELECT DISTINCT tableoid::regclass::text FROM audit_log WHERE subject_id = 'p'")
    assert part != "audit_log_default"
    for table in _parts(firm.db.url, "audit_log"):
        for change in ("UPDATE {} SET reason = 'x'", "DELETE FROM {}", "TRUNCATE {}"):
            if part == table or change.startswith("TRUNCATE"):
                with pytest.raises(RestrictViolation), psycopg.connect(servers.as_owner(firm.db.url)) as connection:
                    connection.execute(change.format(table).encode())
    async with firm.db.transaction() as session:
        assert (await audit_chain.verify(session)).broken_at is None


async def test_of_two_relays_one_works(firm: World) -> None:
    async with firm.db.transaction() as first:
        assert await parts.alone(first)
        assert await Keeper(firm.db, FOR_EVER).step() == 0
    assert await Keeper(firm.db, FOR_EVER).step() > 0


async def test_two_relays_at_once_make_every_hour_once(firm: World) -> None:
    for day in range(60, 64):
        _bars(firm.db.url, "acc_ada", NOW - day * DAY, [(day, day, day, day, day)])
    await asyncio.gather(*(_rounds(firm, Policy(minute_bars=30)) for _ in range(2)))
    await _rounds(firm, Policy(minute_bars=30))
    assert _run(firm.db.url, "SELECT close_minor FROM equity_hours ORDER BY hour") == [(63,), (62,), (61,), (60,)]
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars") == [(0,)]


# hours


OLD: Final = datetime(2026, 5, 1, 10, 58, tzinfo=UTC)
FIGURES: Final = [(10, 12, 9, 11, 100), (11, 15, 11, 14, 101), (14, 14, 3, 5, 102), (5, 6, 5, 6, 103)]
HOURS: Final = [
    (datetime(2026, 5, 1, 10, tzinfo=UTC), 10, 15, 9, 14, 101),
    (datetime(2026, 5, 1, 11, tzinfo=UTC), 14, 14, 3, 6, 103),
]
_HOURS: LiteralString = (
    "SELECT hour, open_minor, high_minor, low_minor, close_minor, balance_minor FROM equity_hours ORDER BY hour"
)


@pytest.mark.parametrize("has_part", [True, False])
async def test_old_minutes_become_hours(firm: World, has_part: bool) -> None:
    if has_part:
        _run(firm.db.url, "UPDATE market_clock SET watermark = %s", OLD)
        await _rounds(firm, FOR_EVER)
        _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW)
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    _bars(firm.db.url, "acc_ada", NOW, [(6, 6, 6, 6, 103)])
    await _rounds(firm, Policy(minute_bars=30))
    assert _run(firm.db.url, _HOURS) == HOURS
    assert _run(firm.db.url, "SELECT minute FROM equity_bars") == [(NOW,)]
    assert not [name for name in _parts(firm.db.url, "equity_bars") if name.startswith("equity_bars_202605")]


@pytest.mark.parametrize("has_part", [True, False])
async def test_the_minutes_of_a_breach_stay_while_it_can_be_disputed_and_while_a_dispute_is_open(
    firm: World, has_part: bool
) -> None:
    await firm.add_trader("bob")
    if has_part:
        _run(firm.db.url, "UPDATE market_clock SET watermark = %s", OLD)
        await _rounds(firm, FOR_EVER)
        _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW)
    for name in ("ada", "bob"):
        _bars(firm.db.url, f"acc_{name}", OLD, FIGURES)

    async def lengths() -> dict[str, list[int]]:
        await _rounds(firm, Policy(minute_bars=30))
        async with firm.db.transaction() as session:
            curves = {name: (await market.curve(session, f"acc_{name}")).bars for name in ("ada", "bob")}
        return {name: [bar.minutes for bar in curve] for name, curve in curves.items()}

    async def said() -> tuple[datetime | None, bool, bool, datetime | None]:
        async with firm.db.transaction() as session:
            found = {each.table: each for each in await held(session, Policy(minute_bars=30))}["equity_bars"]
        return found.oldest, found.due, found.needed, found.next_removal

    kept = {"ada": [1, 1, 1, 1], "bob": [60, 60]}
    _run(firm.db.url, "UPDATE challenges SET state = 'breached' WHERE id = 'chl_ada'")
    assert await said() == (OLD, True, False, (OLD.replace(hour=0, minute=0) + DAY if has_part else OLD) + 30 * DAY)
    assert await lengths() == kept, "the time to dispute runs"
    assert await said() == (OLD, False, True, None), "they stay on purpose"
    _run(
        firm.db.url,
        "INSERT INTO breaches (id, account_id, challenge_id, phase_index, rule_id, offence, proof_id, seq, occurred_at,"
        " equity_minor, status, epoch, received_at)"
        " VALUES ('brc_1', 'acc_ada', 'chl_ada', 1, 'r', 1, %s, 1, %s, 0, 'confirmed', 1, %s)",
        *(_a_proof(firm.db.url), OLD, OLD),
    )
    _run(
        firm.db.url,
        "INSERT INTO disputes (id, breach_id, challenge_id, account_id, trader_id, state, statement, evidence,"
        " opened_at, instance)"
        " SELECT 'dsp_1', 'brc_1', id, 'acc_ada', trader_id, 'awaiting_decision', 's', '{}', %s, 1"
        " FROM challenges WHERE id = 'chl_ada'",
        NOW,
    )
    _run(firm.db.url, "UPDATE challenges SET state = 'failed' WHERE id = 'chl_ada'")
    assert await lengths() == kept, "the dispute is open"
    _run(firm.db.url, "UPDATE disputes SET state = 'upheld'")
    assert (await said())[1:3] == (True, False)
    assert await lengths() == {"ada": [60, 60], "bob": [60, 60]}
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars") == [(0,)]


def _a_proof(url: str) -> str:
    _run(
        url, "INSERT INTO proofs (id, account_id, kind, digest, body) VALUES ('prf_1', 'acc_ada', 'breach', 'd', '{}')"
    )
    return "prf_1"


async def test_the_first_day_that_is_kept_keeps_its_minutes(firm: World) -> None:
    first = NOW.replace(hour=0) - 30 * DAY
    _bars(firm.db.url, "acc_ada", first - timedelta(minutes=1), [(1, 1, 1, 1, 1), (2, 2, 2, 2, 2)])
    await _rounds(firm, Policy(minute_bars=30))
    assert _run(firm.db.url, "SELECT close_minor FROM equity_hours") == [(1,)]
    assert _run(firm.db.url, "SELECT close_minor FROM equity_bars") == [(2,)]


async def test_without_a_policy_every_minute_stays(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", OLD - 900 * DAY, FIGURES)
    await _rounds(firm, FOR_EVER)
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars") == [(4,)]


async def test_a_late_minute_extends_its_hour(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    await _rounds(firm, Policy(minute_bars=30))
    _bars(firm.db.url, "acc_ada", OLD + timedelta(minutes=9), [(6, 99, 1, 7, 104)])
    await _rounds(firm, Policy(minute_bars=30))
    assert _run(firm.db.url, _HOURS) == [HOURS[0], (HOURS[1][0], 14, 99, 1, 7, 104)]


async def test_a_keeper_killed_before_its_commit_has_changed_nothing(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    policy = Policy(minute_bars=30)
    with pytest.raises(OperationalError):
        async with firm.db.transaction() as session:
            assert await parts.alone(session)
            assert await keeping.roll_up(session, policy) == 1
            mine = await session.scalar(text("SELECT pg_backend_pid()"))
            _run(firm.db.url, "SELECT pg_terminate_backend(%s, 5000)", mine)
    assert _run(firm.db.url, _HOURS) == []
    assert _run(firm.db.url, "SELECT count(*) FROM equity_bars") == [(4,)]
    await _rounds(firm, policy)
    assert _run(firm.db.url, _HOURS) == HOURS


async def test_a_part_that_somebody_reads_is_dropped_in_a_later_round(firm: World) -> None:
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", OLD)
    await _rounds(firm, FOR_EVER)
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW)
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    async with firm.db.transaction() as reader:
        assert len((await market.curve(reader, "acc_ada")).bars) == 4
        await Keeper(firm.db, Policy(minute_bars=30)).step()
        assert len((await market.curve(reader, "acc_ada")).bars) == 4
    await _rounds(firm, Policy(minute_bars=30))
    assert _run(firm.db.url, _HOURS) == HOURS


# readers


async def test_readers_see_hours_before_minutes(firm: World) -> None:
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    _bars(firm.db.url, "acc_ada", NOW, [(6, 6, 6, 6, 103)])
    await _rounds(firm, Policy(minute_bars=30))
    async with firm.db.transaction() as session:
        curve = (await market.curve(session, "acc_ada")).bars
        first = await market.bars(session, "acc_ada", Window(limit=2))
        second = await market.bars(session, "acc_ada", Window(limit=2, cursor=first.next_cursor))
        life = await impact.life(session, await session.get_one(Account, "acc_ada"))
    assert [(bar.minutes, bar.close_minor) for bar in curve] == [(60, 14), (60, 6), (1, 6)]
    assert (*first.items, *second.items) == curve
    assert [(bar.minutes, bar.close_minor) for bar in life.bars] == [(60, 14), (60, 6), (1, 6)]
    assert life.by_the_hour


@pytest.mark.parametrize("has_part", [True, False])
async def test_a_challenge_with_a_cut_record_is_left_out_of_comparisons(firm: World, has_part: bool) -> None:
    async def counts() -> tuple[int, int, int]:
        async with firm.db.transaction() as session:
            lives = [life async for life in impact.lives(session, "two-step", 1)]
            cut = await impact.count_cut(session, "two-step", 1)
            return await impact.count(session, "two-step", 1), cut, len(lives)

    assert await counts() == (1, 0, 1)
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    if has_part:
        _run(firm.db.url, "UPDATE market_clock SET watermark = %s", OLD)
        await _rounds(firm, FOR_EVER)
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW + 100 * DAY)
    await _rounds(firm, Policy(minute_bars=30))
    assert await counts() == (1, 0, 1)
    await _rounds(firm, Policy(minute_bars=30, hour_bars=60))
    assert _run(firm.db.url, "SELECT table_name FROM removed_rows") == [("equity_hours",)]
    assert _run(firm.db.url, "SELECT count(*) FROM equity_hours") == [(0,)]
    assert await counts() == (0, 1, 0)


# removal by policy


async def test_deals_go_only_when_their_challenge_ended_long_ago(firm: World) -> None:
    await firm.add_trader("bob")
    for number, name in enumerate(("ada", "bob")):
        _deal(firm.db.url, number, OLD, f"acc_{name}")
    _deal(firm.db.url, 9, NOW, "acc_bob")
    for name in ("ada", "bob"):
        _run(
            firm.db.url,
            "INSERT INTO stop_changes (account_id, seq, at, position_id) VALUES (%s, 1, %s, 'p')",
            f"acc_{name}",
            OLD,
        )
    policy = Policy(deals=30)

    async def left() -> list[str]:
        await _rounds(firm, policy)
        return [deal for (deal,) in _run(firm.db.url, "SELECT deal_id FROM deals ORDER BY 1")]

    async def said() -> tuple[bool, bool]:
        async with firm.db.transaction() as session:
            found = {each.table: each for each in await held(session, policy)}["deals"]
        return found.due, found.needed

    assert await left() == ["d0", "d1", "d9"], "both challenges are open"
    assert await said() == (False, True)
    _run(firm.db.url, "UPDATE challenges SET state = 'failed', changed_at = %s WHERE id = 'chl_bob'", NOW - DAY)
    assert await left() == ["d0", "d1", "d9"], "it ended yesterday"
    _run(firm.db.url, "UPDATE challenges SET changed_at = %s WHERE id = 'chl_bob'", OLD)
    assert await said() == (True, False)
    assert await left() == ["d0", "d9"], "the recent one and that of the open challenge stay"
    assert _run(firm.db.url, "SELECT account_id FROM stop_changes") == [("acc_ada",)], "stops go with the deals"
    ((before,),) = _run(firm.db.url, "SELECT before FROM removed_rows WHERE table_name = 'deals'")
    assert before == NOW.replace(hour=0) - 30 * DAY


async def test_deals_stay_while_a_payment_is_charged_back_or_can_be(firm: World) -> None:
    _deal(firm.db.url, 0, OLD)
    _run(firm.db.url, "UPDATE challenges SET state = 'failed', changed_at = %s", OLD)
    _run(
        firm.db.url,
        "INSERT INTO challenges SELECT (x).* FROM (SELECT jsonb_populate_record(c, %s::jsonb) AS x"
        " FROM challenges c) AS one",
        json.dumps({"id": "chl_later", "account_id": None, "checkout_id": None}),
    )

    async def left() -> int:
        await _rounds(firm, Policy(deals=30))
        ((count,),) = _run(firm.db.url, "SELECT count(*) FROM deals")
        return int(count)

    async with firm.db.transaction() as session:
        paid = fee_paid("chl_later", Money(minor=5_000, currency="USD"), "fakepay")
        await ledger.post(session, paid, occurred_at=NOW - 120 * DAY)
    assert await left() == 1, "a later payment of the trader can still be charged back"
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW + DAY)
    _run(
        firm.db.url,
        "INSERT INTO chargebacks (id, challenge_id, trader_id, acquirer, provider_id, state, opened_at)"
        " SELECT 'cbk_1', id, trader_id, 'fakepay', 'dp_1', 'submitted', now() FROM challenges WHERE id = 'chl_later'",
    )
    assert await left() == 1, "it is charged back, and the bank has not decided"
    _run(firm.db.url, "UPDATE chargebacks SET state = 'won'")
    assert await left() == 0


async def test_a_part_left_empty_is_dropped(firm: World) -> None:
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", OLD)
    await _rounds(firm, FOR_EVER)
    _run(firm.db.url, "UPDATE market_clock SET watermark = %s", NOW + 30 * DAY)
    _deal(firm.db.url, 1, OLD)
    _run(firm.db.url, "UPDATE challenges SET state = 'failed', changed_at = %s", OLD)
    await _rounds(firm, Policy(deals=30))
    assert "deals_202605" not in _parts(firm.db.url, "deals")


async def test_old_answers_events_and_messages_go_and_those_still_needed_stay(firm: World) -> None:
    old = datetime.now(UTC) - 1000 * DAY
    _run(
        firm.db.url,
        "INSERT INTO idempotency_keys (user_id, key, route, input_digest, recorded_at)"
        " VALUES ('u', 'old', 'r', 'd', %s), ('u', 'new', 'r', 'd', now())",
        old,
    )
    for event, handled, parked in (
        ("handled", old, None),
        ("parked", None, old),
        ("waiting", None, None),
        ("recent", datetime.now(UTC), None),
    ):
        _run(
            firm.db.url,
            "INSERT INTO inbox (provider, event_id, kind, object_id, attempts, received_at, handled_at, parked_at)"
            " VALUES ('p', %s, 'k', 'o', 0, %s, %s, %s)",
            *(event, old, handled, parked),
        )
    for key, topic, target, name in (
        ("open", "workflow.signal", "challenge/chl_ada", "payment_settled"),
        ("hint", "workflow.signal", "challenge/chl_ada", "risk_changed"),
        ("ended", "workflow.start", "challenge/chl_bob", "Challenge"),
        ("lock", "venue.lock", "7", ""),
    ):
        for suffix, dispatched in (("", old), ("-new", datetime.now(UTC)), ("-waiting", None)):
            _run(
                firm.db.url,
                "INSERT INTO outbox (key, topic, target, name, payload, attempts, recorded_at, dispatched_at)"
                " VALUES (%s, %s, %s, %s, '{}', 0, %s, %s)",
                f"{key}{suffix}",
                topic,
                target,
                name,
                old,
                dispatched,
            )
    _run(
        firm.db.url,
        "INSERT INTO outbox (key, topic, target, name, payload, attempts, recorded_at, parked_at, dispatched_at)"
        " VALUES ('reset', 'venue.reset_balance', '7', '', '{}', 0, %s, %s, %s),"
        " ('dropped', 'venue.lock', '7', '', '{}', 0, %s, %s, %s)",
        *(old, old, old) * 2,
    )
    await firm.add_trader("bob")
    _run(firm.db.url, "UPDATE challenges SET state = 'failed' WHERE id = 'chl_bob'")
    await _rounds(firm, Policy())
    assert _run(firm.db.url, "SELECT key FROM idempotency_keys") == [("new",)]
    assert sorted(_run(firm.db.url, "SELECT event_id FROM inbox")) == [("parked",), ("recent",), ("waiting",)]
    gone = {"hint", "ended", "lock"}
    kept = {key for (key,) in _run(firm.db.url, "SELECT key FROM outbox")}
    assert kept & {"open", "reset", "dropped", *gone} == {"open", "reset"}, "payouts wait for a reset that was given up"
    assert {f"{key}{suffix}" for key in ("open", *gone) for suffix in ("-new", "-waiting")} <= kept


# the report


async def test_the_report_says_what_is_due_and_which_table_lacks_a_part(firm: World) -> None:
    async def lacking() -> list[str]:
        async with firm.db.transaction() as session:
            return await without_part(session)

    _bars(firm.db.url, "acc_ada", NOW, [(6, 6, 6, 6, 103)])
    assert await lacking() == ["equity_bars"], "only tables with rows outside of every part"
    await _rounds(firm, FOR_EVER)
    assert await lacking() == []
    _bars(firm.db.url, "acc_ada", OLD, FIGURES)
    async with firm.db.transaction() as session:
        found = {each.table: each for each in await held(session, Policy(minute_bars=30))}
    bars, deals = found["equity_bars"], found["deals"]
    assert (bars.oldest, bars.before, bars.days, bars.due) == (OLD, NOW.replace(hour=0) - 30 * DAY, 30, True)
    assert (deals.oldest, deals.days, deals.before, deals.due) == (None, None, None, False)
    assert bars.next_removal == OLD + 30 * DAY and deals.next_removal is None
    ledger_rows = found["ledger_transactions"]
    assert all(each.bytes > 0 for each in found.values() if not each.parts), "also of a table that has no parts"
    assert ledger_rows.days is None and "tax law" in ledger_rows.why
    await _rounds(firm, Policy(minute_bars=30))
    async with firm.db.transaction() as session:
        found = {each.table: each for each in await held(session, Policy(minute_bars=30))}
    assert not found["equity_bars"].due
    assert found["equity_hours"].oldest == HOURS[0][0]


def test_the_command_prints_the_report(database_url: str, tmp_path: Path) -> None:
    env = dict(os.environ) | {"DATABASE_URL": database_url, "PROPOS_PAYLOAD_KEYS": KEYS, "PROPOS_DATA": str(tmp_path)}
    env |= {"PROPOS_KEEP_MINUTE_BARS_DAYS": "forever", "PROPOS_KEEP_DEALS_DAYS": "700", "COLUMNS": "200"}
    said = [propos("keep", *options, env=env).stdout for options in ((), ("--json",))]
    assert "equity_bars" in said[0]
    days = {each["table"]: each["days"] for each in json.loads(said[1])["tables"]}
    assert (days["equity_bars"], days["deals"], days["inbox"], days["audit_log"]) == (None, 700, 400, None)
    shown = {
        "table",
        "parts",
        "bytes",
        "rows",
        "rows_a_day",
        "oldest",
        "days",
        "before",
        "next_removal",
        "due",
        "needed",
        "why",
    }
    assert {frozenset(each) for each in json.loads(said[1])["tables"]} == {frozenset(shown)}


def test_it_is_said_of_every_table_how_long_it_is_kept() -> None:
    cut = {*PLAIN, *WITH_ANOTHER, MINUTES, *(table.name for table in parts.TABLES)}
    said = [*cut, *kept.FOR_EVER, *kept.NOT_GROWING]
    assert sorted(said) == sorted(every_table().tables), "store/kept.py says it of tables that are never cut"


# the upgrade


@pytest.fixture
def earlier(postgres_url: str) -> Iterator[str]:
    """A database without tables."""
    servers.create_database(postgres_url, "unparted")
    yield servers.database_of(postgres_url, "unparted")
    servers.drop_database(postgres_url, "unparted")


async def test_a_database_of_before_keeps_its_rows_and_goes_on(earlier: str) -> None:
    upgrade_to(earlier, "0013")
    with_rows(earlier, platforms=("sandbox",))
    for number in range(3):
        _deal(earlier, number, WHEN + number * 40 * DAY, "acc_0")
    _bars(earlier, "acc_0", WHEN, FIGURES)
    _run(earlier, "INSERT INTO daily_snapshots VALUES ('acc_0', %s, %s, 1, 1, '{}')", WHEN.date(), WHEN)
    fields: LiteralString = "VALUES (%s, 'me', 'risk', 'a', 'case', 'c', '', '{}', %s, %s, 'p', 'd')"
    for seq in (1, 2):
        _run(earlier, "INSERT INTO audit_log " + fields, seq, WHEN, WHEN)
    before = {table: _run(earlier, query) for table, query in _ALL.items()}
    upgrade_to(earlier, "0018-1")
    triggers = _run(earlier, _TRIGGERS)
    upgrade(earlier)
    assert _run(earlier, _TRIGGERS) == sorted([*triggers, ("audit_log", "emit")]), "none is lost on the way"
    assert {table: _run(earlier, query) for table, query in _ALL.items()} == before
    with pytest.raises(RestrictViolation):
        _run(earlier, "DELETE FROM audit_log_before")
    _deal(earlier, 7, WHEN + 200 * DAY, "acc_0")
    assert _run(earlier, "SELECT max(id) FROM deals") == [(4,)], "the numbers go on"
    _run(earlier, "INSERT INTO market_clock (feed, watermark) VALUES ('sandbox', %s)", WHEN + 200 * DAY)
    db = Database(earlier)
    keeper = Keeper(db, Policy(minute_bars=30))
    while await keeper.step():
        pass
    await db.close()
    assert _run(earlier, "SELECT sum(close_minor)::int, count(*) FROM equity_hours") == [(6, 1)]
    assert "equity_bars_before" not in _parts(earlier, "equity_bars")


_TRIGGERS: Final = (
    "SELECT tgrelid::regclass::text, tgname FROM pg_trigger WHERE NOT tgisinternal"
    " AND tgrelid IN ('deals'::regclass, 'equity_bars'::regclass, 'daily_snapshots'::regclass, 'audit_log'::regclass)"
    " ORDER BY 1, 2"
)
_ALL: Final[dict[str, LiteralString]] = {
    "deals": "SELECT id, account_id, deal_id, seq, at, position_id, lots, price, reason FROM deals ORDER BY id",
    "equity_bars": "SELECT * FROM equity_bars ORDER BY minute",
    "daily_snapshots": "SELECT * FROM daily_snapshots",
    "audit_log": "SELECT * FROM audit_log ORDER BY seq",
}
