"""What the record promises whoever writes to it: sold terms stay, history only grows, tampering shows."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from psycopg import sql
from sqlalchemy import func, select

from domain.errors import NotFound, ProductInvalid
from domain.products.product import Product
from firm.products.shelf import SHELF, load_product, load_products
from store import audit, products
from store.db import sync_engine
from store.migrate import upgrade
from store.models import AuditEntry, Base, ProductVersion, Proof
from tests.payout_world import LARGE, START, World, a_firm

APPEND_ONLY: Final = {
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
        assert newest == {product.product: product.version for product in load_products()} | {"two-step": 2}
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
            with psycopg.connect(history.db.url) as connection, pytest.raises(psycopg.errors.RestrictViolation) as no:
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
        with psycopg.connect(history.db.url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
            connection.execute(statement.encode())
    with psycopg.connect(history.db.url) as connection:
        rows = connection.execute("SELECT verb, outcome, answer->>'decision' FROM decision_requests").fetchall()
    assert rows == [("approve", "taken", "approve")]


async def test_a_row_cannot_be_written_over_by_an_upsert(history: World) -> None:
    with psycopg.connect(history.db.url) as connection, pytest.raises(psycopg.errors.RestrictViolation):
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


async def _broken_at(firm: World) -> int | None:
    async with firm.db.transaction() as session:
        return await audit.verify(session)


def _tamper(url: str, *statements: str) -> None:
    """What somebody with every right on the database can do."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            assert connection.execute(statement.encode()).rowcount > 0


async def test_an_untouched_chain_is_whole(firm: World) -> None:
    assert await _broken_at(firm) is None
    await _write(firm, 5)
    assert await _broken_at(firm) is None
    async with firm.db.transaction() as session:
        entries = list(await session.scalars(select(AuditEntry).order_by(AuditEntry.seq)))
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert len([entry for entry in entries if entry.action != "product.published"]) == 5
    assert [entry.previous for entry in entries] == [audit.GENESIS, *(entry.digest for entry in entries[:-1])]


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
    "previous": "repeat('0', 64)",
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
    "a middle row removed": (["DELETE FROM audit_log WHERE seq = 3"], 3),
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
        assert compare_metadata(MigrationContext.configure(connection, opts=options), Base.metadata) == []
    engine.dispose()


def test_migrating_again_changes_nothing(database_url: str) -> None:
    tables = "SELECT table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = 'public'"

    def schema() -> list[tuple[Any, ...]]:
        with psycopg.connect(database_url) as connection:
            return sorted(connection.execute(tables).fetchall())

    before = schema()
    upgrade(database_url)
    assert schema() == before
