"""What the record promises whoever writes to it: sold terms stay, history only grows, tampering shows."""

import asyncio
from collections.abc import AsyncIterator, Awaitable
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import event, func, select, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
from domain.file_errors import ProductInvalid
from domain.products.product import Product
from firm.products.shelf import SHELF, load_product
from store import audit, audit_chain, products, reasons
from store.db import sync_engine
from store.migrate import upgrade
from store.models import (
    AuditAnchor,
    AuditCheckRow,
    AuditEntry,
    Decision,
    ProductVersion,
    Proof,
    SealedReason,
    every_table,
)
from store.read import audit as read_audit
from store.read.history import decisions as decided
from store.read.pages import Window
from store.scope import FIRM
from tests.payout_world import LARGE, START, World, a_firm
from tests.servers import as_owner
from tests.shelf import shipped

APPEND_ONLY: Final = {
    "audit_anchors": "digest",
    "audit_checks": "anchor_digest",
    "audit_log": "reason",
    "decisions": "decision",
    "ledger_transactions": "reference",
    "postings": "account",
    "products": "content_hash",
    "proofs": "digest",
    "transitions": "to_state",
}


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


def two_step(**changes: object) -> Product:
    shipped = load_product(SHELF / "two-step.v1.yaml")
    return Product.model_validate(shipped.model_dump() | changes)


# products


async def test_publishing_the_same_terms_again_changes_nothing(firm: World) -> None:
    async with firm.db.transaction() as session:
        before = (await session.get_one(ProductVersion, ("two-step", 1))).recorded_at
        await products.publish(session, two_step())
    async with firm.db.transaction() as session:
        assert (await session.get_one(ProductVersion, ("two-step", 1))).recorded_at == before
        assert await products.load(session, "two-step", 1) == two_step()


async def test_other_terms_under_a_published_version_are_refused(firm: World) -> None:
    with pytest.raises(ProductInvalid, match="two-step@1 is published with other terms") as refused:
        async with firm.db.transaction() as session:
            await products.publish(session, two_step(fee="1"))
    assert "version 2" in str(refused.value.remedy)
    async with firm.db.transaction() as session:
        assert (await products.load(session, "two-step", 1)).fee_minor == 54_000


async def test_a_new_version_is_sold_and_the_old_one_still_read(firm: World) -> None:
    async with firm.db.transaction() as session:
        await products.publish(session, two_step(version=2, fee="600"))
    async with firm.db.transaction() as session:
        assert (await products.newest(session, "two-step")).fee_minor == 60_000
        assert (await products.load(session, "two-step", 1)).fee_minor == 54_000
        newest = {product.product: product.version for product in await products.newest_of_each(session)}
        assert newest == {product.product: product.version for product in shipped()} | {"two-step": 2}
        for missing in (products.load(session, "two-step", 3), products.newest(session, "no-such-thing")):
            with pytest.raises(NotFound):
                await missing


# rows that stay


@pytest.fixture
async def history(firm: World) -> World:
    """A firm with at least one row in every table that only grows."""
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    await firm.decide(await firm.awaiting(trader, LARGE), fay)
    async with firm.db.transaction() as session:
        session.add(Proof(id="prf_1", account_id="acc_tina", kind="breach", digest="d", body={}))
    await _anchor(firm)
    await _checked(firm)
    return firm


def _content(url: str) -> dict[str, list[tuple[Any, ...]]]:
    with psycopg.connect(url) as connection:
        query = sql.SQL("SELECT * FROM {} ORDER BY 1, 2")
        return {table: connection.execute(query.format(sql.Identifier(table))).fetchall() for table in APPEND_ONLY}


async def test_no_row_of_history_is_changed_deleted_or_truncated(history: World) -> None:
    before = _content(history.db.url)
    assert all(before.values()), "a table without rows proves nothing"
    for table, column in APPEND_ONLY.items():
        for statement in (
            f"UPDATE {table} SET {column} = left(md5({column}), 8)",
            f"UPDATE {table} SET {column} = {column}",
            f"DELETE FROM {table}",
            f"TRUNCATE {table} CASCADE",
        ):
            with (
                psycopg.connect(as_owner(history.db.url)) as connection,
                pytest.raises(psycopg.errors.RestrictViolation) as no,
            ):
                connection.execute(statement.encode())
            assert "is append-only: write a new row instead" in str(no.value), statement
    assert _content(history.db.url) == before


async def test_what_was_asked_for_stays_and_what_became_of_it_is_written_once(history: World) -> None:
    refused = (
        "UPDATE decision_requests SET verb = 'reject'",
        "UPDATE decision_requests SET expires_at = expires_at + interval '1 day'",
        "UPDATE decision_requests SET digest = 'x'",
        "UPDATE decision_requests SET consumed_at = NULL, outcome = NULL, answer = NULL",
        "UPDATE decision_requests SET consumed_at = clock_timestamp()",
        "UPDATE decision_requests SET outcome = 'conflict'",
        "UPDATE decision_requests SET answer = NULL",
        "DELETE FROM decision_requests",
        "TRUNCATE decision_requests",
    )
    for statement in refused:
        with psycopg.connect(as_owner(history.db.url)) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement.encode())
    with psycopg.connect(history.db.url) as connection:
        rows = connection.execute("SELECT verb, outcome, answer->>'decision' FROM decision_requests").fetchall()
    assert rows == [("approve", "taken", "approve")]


async def test_a_row_cannot_be_written_over_by_an_upsert(history: World) -> None:
    with psycopg.connect(as_owner(history.db.url)) as connection, pytest.raises(psycopg.errors.RestrictViolation):
        connection.execute(
            "INSERT INTO products SELECT * FROM products"
            " ON CONFLICT (product, version) DO UPDATE SET content_hash = 'x'"
        )


# the audit chain


async def _write(firm: World, number: int) -> None:
    for n in range(number):
        async with firm.db.transaction() as session:
            await audit.record(
                session,
                action="payout.approved",
                subject_kind="payout",
                subject_id=f"pay_{n}",
                occurred_at=START + timedelta(hours=n),
                actor="usr_fay",
                role="finance",
                reason=f"Checks {n} are green.",
                evidence={"amount_minor": n, "checks": {"b": 1, "a": [1, 2]}},
            )
        await _anchor(firm)


async def _anchor(firm: World) -> int:
    async with firm.db.transaction() as session:
        return await audit.anchor(session)


async def _broken_at(firm: World) -> int | None:
    async with firm.db.transaction() as session:
        return (await audit_chain.verify(session)).broken_at


def _tamper(url: str, *statements: str) -> None:
    """What somebody with every right on the database can do."""
    with psycopg.connect(as_owner(url)) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0


async def test_the_database_hashes_an_entry_as_its_reader_does(firm: World) -> None:
    async with firm.db.transaction() as session:
        for reason in ('"quoted" \\ and\tÜber 東京 🦊', ""):
            await audit.record(
                session,
                action="payout.approved",
                subject_kind="payout",
                subject_id="pay_odd",
                occurred_at=START + timedelta(microseconds=7),
                reason=reason,
                evidence={"ß": {"b": [None, True, "é\n"], "a": -1}, "seq": 5, "previous": '","seq":'},
            )
    async with firm.db.transaction() as session:
        odd = select(AuditEntry).where(AuditEntry.subject_id == "pay_odd").order_by(AuditEntry.seq)
        first, second = await session.scalars(odd)
    assert (first.previous, second.previous) == (audit.GENESIS, first.digest)
    assert await _broken_at(firm) is None


async def test_an_untouched_chain_is_whole(firm: World) -> None:
    assert await _broken_at(firm) is None
    await _write(firm, 5)
    assert await _broken_at(firm) is None
    async with firm.db.transaction() as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.seq)))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert len([entry for entry in entries if entry.action == "payout.approved"]) == 5
    assert {entry.previous for entry in entries} == {audit.GENESIS}, "each is the first of its subject"
    assert await _anchor(firm) == 0, "all are anchored"


async def test_the_entries_of_one_subject_are_a_chain(firm: World) -> None:
    await _write(firm, 2)
    await _write(firm, 2)
    assert await _broken_at(firm) is None
    async with firm.db.transaction() as session:
        about = select(AuditEntry).where(AuditEntry.subject_id == "pay_1").order_by(AuditEntry.seq)
        first, second = list(await session.scalars(about))
    assert second.previous == first.digest


async def test_writers_of_two_subjects_do_not_wait_for_each_other(firm: World) -> None:
    async with firm.db.transaction() as slow, asyncio.timeout(60):
        await _record(slow, "pay_slow")
        async with firm.db.transaction() as quick:
            await _record(quick, "pay_quick")
        async with firm.db.transaction() as session:
            with pytest.raises(OperationalError):  # the anchor does not pass over what is not committed yet
                await audit.anchor(session)
    await _anchor(firm)
    assert await _broken_at(firm) is None


async def test_many_writers_of_one_subject_make_one_chain(firm: World) -> None:
    async def write() -> None:
        async with firm.db.transaction() as session:
            await _record(session, "pay_1")

    await asyncio.gather(*(write() for _ in range(20)))
    await _anchor(firm)
    assert await _broken_at(firm) is None


async def test_a_writer_that_waited_comes_after_what_was_written_meanwhile(firm: World) -> None:
    async def write() -> None:
        async with firm.db.transaction() as session:
            await _record(session, "pay_1")

    async def waits(session: AsyncSession) -> bool:
        waiting = text("SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)")
        return bool(await session.scalar(waiting))

    async with asyncio.timeout(60):
        async with firm.db.transaction() as first:
            await _record(first, "pay_1")
            second = asyncio.create_task(write())
            while not await waits(first):
                await asyncio.sleep(0.01)
            await _record(first, "pay_1")
        await second
    await _anchor(firm)
    assert await _broken_at(firm) is None


@pytest.mark.parametrize("gone", ["DELETE FROM audit_anchors WHERE number = 2", "UPDATE audit_anchors SET entries = 9"])
async def test_a_changed_anchor_is_found(firm: World, gone: str) -> None:
    await _write(firm, 3)
    _tamper(firm.db.url, gone)
    assert await _broken_at(firm) is not None


def _record(session: AsyncSession, subject_id: str) -> Awaitable[None]:
    return audit.record(
        session, action="payout.approved", subject_kind="payout", subject_id=subject_id, occurred_at=START
    )


FIELDS: Final = {
    "actor": "'usr_other'",
    "role": "'admin'",
    "action": "'payout.rejected'",
    "subject_kind": "'case'",
    "subject_id": "'pay_9'",
    "reason": "'Nothing to see.'",
    "evidence": """'{"amount_minor": 900, "checks": {"b": 1, "a": [1, 2]}}'""",
    "occurred_at": "occurred_at + interval '1 microsecond'",
    "recorded_at": "recorded_at - interval '1 microsecond'",
    "previous": "repeat('1', 64)",
    "digest": "repeat('0', 64)",
}


@pytest.mark.parametrize("field", FIELDS)
async def test_a_changed_field_is_found_where_it_was_changed(firm: World, field: str) -> None:
    await _write(firm, 5)
    _tamper(firm.db.url, f"UPDATE audit_log SET {field} = {FIELDS[field]} WHERE seq = 3")
    assert await _broken_at(firm) == 3


def test_every_column_is_covered() -> None:
    assert set(FIELDS) | {"seq"} == {column.name for column in AuditEntry.__table__.columns}


AFTER_THE_LAST: Final = 0
MOVES: Final[dict[str, tuple[list[str], int]]] = {
    "the first row removed": (["DELETE FROM audit_log WHERE seq = 1"], 1),
    "a middle row removed": (["DELETE FROM audit_log WHERE seq = 3"], 1),  # where its anchored part begins
    "removed and numbered anew": (
        ["DELETE FROM audit_log WHERE seq = 3", "UPDATE audit_log SET seq = seq - 1 WHERE seq > 3"],
        3,
    ),
    "two rows exchanged": (
        [
            "UPDATE audit_log SET seq = 99 WHERE seq = 2",
            "UPDATE audit_log SET seq = 2 WHERE seq = 3",
            "UPDATE audit_log SET seq = 3 WHERE seq = 99",
        ],
        2,
    ),
    "a row added by hand": (
        [f"INSERT INTO audit_log SELECT seq + 1, {', '.join(FIELDS)} FROM audit_log ORDER BY seq DESC LIMIT 1"],
        AFTER_THE_LAST,
    ),
}


@pytest.mark.parametrize("how", MOVES)
async def test_a_removed_moved_or_added_row_is_found(firm: World, how: str) -> None:
    await _write(firm, 5)
    statements, broken = MOVES[how]
    async with firm.db.transaction() as session:
        last = await session.scalar(select(func.max(AuditEntry.seq))) or 0
    _tamper(firm.db.url, *statements)
    assert await _broken_at(firm) == (broken or last + 1)


# the schema


def test_models_and_migrations_agree(database_url: str) -> None:
    engine = sync_engine(database_url)
    with engine.connect() as connection:
        parts = set(connection.exec_driver_sql("SELECT relname FROM pg_class WHERE relispartition").scalars())
        options = {
            "compare_type": True,
            "compare_server_default": True,
            "include_name": lambda name, kind, _: kind != "table" or name not in parts,
        }
        assert compare_metadata(MigrationContext.configure(connection, opts=options), every_table()) == []
    engine.dispose()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    tables = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"

    def schema() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as connection:
            return sorted(connection.execute(tables).fetchall())

    before = schema()
    upgrade(database_url)
    assert schema() == before


async def _checked(firm: World, *, all_by: str = "") -> read_audit.AuditCheck:
    async with firm.db.transaction() as session:
        return await (read_audit.check_all(session, all_by) if all_by else read_audit.check(session))


async def test_a_view_checks_what_is_new_and_says_so(firm: World) -> None:
    await _write(firm, 5)
    first = await _checked(firm)
    assert (first.whole, first.after, first.complete) == (True, 0, True)
    assert first.last_whole is not None and first.last_whole.through == first.through == first.entries
    await _write(firm, 2)
    second = await _checked(firm)
    assert (second.whole, second.after, second.through) == (True, first.through, first.through + 2)
    assert second.last_whole == first.last_whole, "what was checked together is not said to be checked as a whole"
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(AuditCheckRow))).all()
        assert len(rows) == 1, "a view of little that is new records nothing"
        anchors = (await session.scalars(select(AuditAnchor).order_by(AuditAnchor.number))).all()
    async with firm.db.transaction() as session:
        loaded: list[AuditAnchor] = []
        event.listen(AuditAnchor, "load", take := lambda anchor, _: loaded.append(anchor))
        some = await audit_chain.verify(session, most=1)
        event.remove(AuditAnchor, "load", take)
    assert (len(anchors), len(loaded)) == (7, 3), "later anchors are not read"
    assert (some.broken_at, some.through) == (None, anchors[0].through), "it ends at an anchor"
    _tamper(firm.db.url, f"UPDATE audit_log SET reason = 'other' WHERE seq = {second.through}")
    assert (await _checked(firm)).broken_at == second.through


async def test_tampering_below_what_was_remembered_is_found_by_the_verification_of_all(firm: World) -> None:
    await _write(firm, 5)
    start = await _checked(firm)
    await _write(firm, 1)
    _tamper(firm.db.url, "UPDATE audit_log SET reason = 'other' WHERE seq = 3")
    view = await _checked(firm)
    assert (view.whole, view.after) == (True, start.through), "it claims the entries after the point only"
    found = await _checked(firm, all_by="usr_ana")
    assert (found.whole, found.broken_at, found.after) == (False, 3, 0)
    later = await _checked(firm)
    assert (later.whole, later.broken_at) == (False, 3), "a view does not forget what the verification of all found"
    assert later.last_whole is not None and (later.last_whole.by, later.last_whole.broken_at) == ("usr_ana", 3)


@pytest.mark.parametrize("how", ["DELETE FROM audit_anchors", "UPDATE audit_anchors SET digest = repeat('0', 64)"])
async def test_a_point_whose_anchor_changed_is_not_believed(firm: World, how: str) -> None:
    await _write(firm, 5)
    known = await _checked(firm)
    assert known.whole
    _tamper(firm.db.url, how)
    assert (await _checked(firm)).broken_at == (1 if "DELETE" in how else known.through)


async def test_a_reason_rests_encrypted_and_its_digest_is_in_the_chain(firm: World) -> None:
    words = "He called from +49 170 1234567, Mara Lindqvist."
    trader, fay = await firm.add_trader("tina"), await firm.add_user("fay", "finance")
    payout = await firm.awaiting(trader, LARGE)
    assert await firm.decide(payout, fay, "reject", reason=words) == "releasing"
    async with firm.db.transaction() as session:
        kept = (await session.scalars(select(Decision.reason).where(Decision.subject_id == payout))).all()
        chained = (await session.scalars(select(AuditEntry.reason).where(AuditEntry.actor == fay.user_id))).all()
        raw = (await session.execute(text("SELECT digest, reason FROM sealed_reasons"))).all()
        shown = await decided(session, FIRM, "payout", payout)
        listed = await read_audit.page(session, Window(), actor=fay.user_id)
    assert kept[0].startswith("sealed ") and set(chained) - {""} == set(kept)
    assert "Mara" not in f"{kept}{chained}" and all(b"Mara" not in bytes(row.reason) for row in raw)
    assert [row.reason for row in shown] == [words]
    assert words in [row.reason for row in listed.items]
    await _anchor(firm)
    assert await _broken_at(firm) is None


async def test_a_reason_that_was_altered_is_not_shown_as_what_was_said(firm: World) -> None:
    async with firm.db.transaction() as session:
        first, second = (
            await reasons.seal(session, "The figures are right."),
            await reasons.seal(session, "They are not."),
        )
        assert await reasons.seal(session, "The figures are right.") == first, "the same words, the same digest"
        assert await reasons.seal(session, first) == first and await reasons.seal(session, "") == ""
    digests = [each.removeprefix(reasons.SEAL) for each in (first, second)]
    _tamper_reasons(firm.db.url, digests)
    async with firm.db.transaction() as session:
        found = await reasons.opened(session, [first, second, "In clear, from before."])
    assert "altered" in found[first] and found[second] == "They are not."
    assert found["In clear, from before."] == "In clear, from before."


async def test_transactions_with_the_same_new_reasons_do_not_wait_in_a_cycle(firm: World) -> None:
    reached = [asyncio.Event(), asyncio.Event()]

    async def both(me: int, *words: str) -> None:
        async with firm.db.transaction() as session:
            for text in words:
                sealed = await reasons.seal(session, text)
                assert (await reasons.opened(session, [sealed]))[sealed] == text
                reached[me].set()
                await reached[1 - me].wait()

    await asyncio.gather(both(0, "One.", "Two."), both(1, "Two.", "One."))
    async with firm.db.transaction() as session:
        kept = await reasons.seal(session, "Before.")
        savepoint = await session.begin_nested()
        gone = await reasons.seal(session, "Refused.")
        await savepoint.rollback()
        async with session.begin_nested():
            inner = await reasons.seal(session, "Within.")
        so_far = {row.reason for row in await session.scalars(select(SealedReason))}
        assert not so_far & {"Before.", "Within."}, "no text is stored before the commit"
    async with firm.db.transaction() as session:
        stored = {row.reason for row in await session.scalars(select(SealedReason))}
        found = await reasons.opened(session, [kept, gone, inner])
    assert found == {kept: "Before.", gone: gone, inner: "Within."}
    assert stored >= {"One.", "Two.", "Before.", "Within."} and "Refused." not in stored


def _tamper_reasons(url: str, digests: list[str]) -> None:
    """Puts the text of the second reason under the digest of the first, as the owner of the tables could."""
    with psycopg.connect(as_owner(url)) as connection:
        connection.execute("ALTER TABLE sealed_reasons DISABLE TRIGGER keep_but_for_keys")
        connection.execute(
            "UPDATE sealed_reasons a SET reason = b.reason FROM sealed_reasons b WHERE (a.digest, b.digest) = (%s, %s)",
            digests,
        )
