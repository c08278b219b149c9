"""Books of an earlier version: they stay as they are, get accounts and kept balances, and go on."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

import psycopg
import pytest

from domain.errors import Conflict, NotAllowed
from domain.ledger import fee_paid, payout_released, payout_reserved, payout_returned, payout_sent
from domain.money import Money
from store import ledger, ledger_check
from store.db import Database
from store.migrate import upgrade
from tests import servers
from tests.integration.earlier_database import upgrade_to

AT: Final = datetime(2026, 3, 6, tzinfo=UTC)
SHARE: Final = Money(minor=26_025, currency="USD")
# Digests as earlier versions wrote them: `payout_sent` took the money from the cash account at once.
EARLIER: Final[tuple[tuple[str, str, str, str, tuple[tuple[str, int], ...]], ...]] = (
    (
        "chl_1/fee_paid",
        fee_paid("chl_1", SHARE, "sandbox").digest,
        "fee_paid",
        "chl_1",
        (("provider:sandbox", 26_025), ("fees", -26_025)),
    ),
    (
        "pay_1/payout_reserved",
        payout_reserved("pay_1", SHARE).digest,
        "payout_reserved",
        "pay_1",
        (("payout-expense", 26_025), ("trader-payable", -26_025)),
    ),
    (
        "pay_1/payout_sent",
        payout_sent("pay_1", SHARE, "sandbox").earlier_digest,
        "payout_sent",
        "pay_1",
        (("trader-payable", 26_025), ("provider:sandbox", -26_025)),
    ),
    (
        "pay_2/payout_reserved",
        payout_reserved("pay_2", SHARE).digest,
        "payout_reserved",
        "pay_2",
        (("payout-expense", 26_025), ("trader-payable", -26_025)),
    ),
)

_REFUSED: Final = (psycopg.errors.InsufficientPrivilege, psycopg.errors.RestrictViolation)


@pytest.fixture
def earlier(postgres_url: str) -> Iterator[str]:
    """A database as it was before 0021, with books."""
    servers.create_database(postgres_url, "earlier_books")
    url = servers.database_of(postgres_url, "earlier_books")
    upgrade_to(url, "0026")
    with psycopg.connect(url) as connection:
        for key, digest, kind, reference, lines in EARLIER:
            _write(connection, key, digest, kind, reference, lines)
    yield url
    servers.drop_database(postgres_url, "earlier_books")


def _write(
    connection: psycopg.Connection[Any],
    key: str,
    digest: str,
    kind: str,
    reference: str,
    lines: tuple[tuple[str, int], ...],
) -> None:
    row = connection.execute(
        "INSERT INTO ledger_transactions (key, input_digest, kind, reference, occurred_at)"
        " VALUES (%s, %s, %s, %s, %s) RETURNING id",
        (key, digest, kind, reference, AT),
    ).fetchone()
    assert row is not None
    for account, amount in lines:
        connection.execute(
            "INSERT INTO postings (transaction_id, account, currency, amount_minor) VALUES (%s, %s, 'USD', %s)",
            (row[0], account, amount),
        )


def _rows(url: str) -> list[tuple[Any, ...]]:
    with psycopg.connect(url) as connection:
        return connection.execute(
            "SELECT t.id, t.key, t.input_digest, t.kind, t.reference, t.occurred_at, p.id, p.account, p.currency,"
            " p.amount_minor FROM ledger_transactions t JOIN postings p ON p.transaction_id = t.id ORDER BY p.id"
        ).fetchall()


async def test_earlier_books_stay_and_go_on(earlier: str) -> None:
    before = _rows(earlier)
    upgrade(earlier)
    assert _rows(earlier) == before
    upgrade(earlier)  # a second time changes nothing
    db = Database(servers.as_app(earlier), pool_size=1)
    async with db.transaction() as session:
        assert {result.name for result in await ledger_check.check(session) if result.faults} == set()
    async with db.transaction() as session:
        assert await ledger.balance(session, "provider:sandbox", "USD") == 0
        assert await ledger.balance(session, "trader-payable", "USD") == -26_025
        for again in (fee_paid("chl_1", SHARE, "sandbox"), payout_sent("pay_1", SHARE, "sandbox")):
            await ledger.post(session, again, occurred_at=AT)  # the same event, repeated under the new version
        assert await ledger.balance(session, "provider:sandbox", "USD") == 0
        await ledger.post(session, payout_released("pay_2", SHARE), occurred_at=AT)  # its reserve was posted
        await ledger.post(session, payout_returned("pay_1", SHARE, "sandbox"), occurred_at=AT)
        assert await ledger.balance(session, "trader-payable", "USD") == -26_025
        assert await ledger.pending(session, "trader-payable", "USD") == 0
        assert await ledger.balance(session, "payout-expense", "USD") == 26_025
    async with db.transaction() as session:
        assert {result.name for result in await ledger_check.check(session) if result.faults} == set()
    await db.close()


def test_a_posting_that_no_version_made_stops_the_upgrade(earlier: str) -> None:
    with psycopg.connect(earlier) as connection:
        _write(connection, "odd", "-", "fee_paid", "chl_1", (("cash", 1), ("fees", -1)))
    with pytest.raises(Conflict, match="cash in USD"):
        upgrade(earlier)


def test_only_the_owner_changes_the_schema(owner_url: str, database_url: str, earlier: str) -> None:
    upgrade(database_url)  # it is at the newest schema: nothing to do
    with psycopg.connect(database_url) as connection:
        for statement in (
            "DROP TABLE postings",
            "ALTER TABLE postings DISABLE TRIGGER ALL",
            "ALTER TABLE audit_log DISABLE TRIGGER append_only",
            "CREATE TABLE public.mine (id int)",
            "SET ROLE propos_owner",
            "SET session_replication_role = replica",
            "UPDATE ledger_balances SET debit_minor = 0",
            "INSERT INTO ledger_accounts VALUES ('mine', 'asset', 'debit', '')",
            "UPDATE currencies SET digits = 0",
            "DELETE FROM decisions",
            "DELETE FROM decision_requests",
            "TRUNCATE payouts CASCADE",
            "SELECT drop_part('audit_log_default')",
        ):
            with pytest.raises(_REFUSED), connection.transaction():
                connection.execute(statement.encode())
    with psycopg.connect(owner_url) as connection:
        owners = connection.execute(
            "SELECT DISTINCT pg_get_userbyid(relowner) FROM pg_class"
            " WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'S')"
        ).fetchall()
    assert owners == [("propos_owner",)]
    with pytest.raises(NotAllowed, match="may not change the schema"):
        upgrade(servers.as_app(earlier))


_OWNER_OF_ANOTHER: Final = (
    "DO $$ BEGIN CREATE ROLE propos_owner NOLOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
)


def test_a_database_whose_role_makes_no_roles_is_upgraded_without_them(earlier: str) -> None:
    """A plain role of a server keeps what it owns, where another database has made the two roles as well."""
    with psycopg.connect(earlier, autocommit=True) as connection:
        connection.execute("DROP ROLE IF EXISTS plain")
        connection.execute("CREATE ROLE plain LOGIN")
        connection.execute("CREATE DATABASE plain OWNER plain")
    plain = earlier.replace("/earlier_books?", "/plain?").replace("postgres@", "plain@")
    try:
        upgrade(plain)
        with psycopg.connect(plain) as connection:
            owner = connection.execute("SELECT tableowner FROM pg_tables WHERE tablename = 'postings'").fetchone()
            connection.execute("DROP INDEX ix_transitions_decided")
        assert owner == ("plain",)
        with psycopg.connect(earlier, autocommit=True) as connection:
            connection.execute(_OWNER_OF_ANOTHER)
        upgrade(plain)
        with psycopg.connect(plain) as connection:
            built = connection.execute("SELECT to_regclass('ix_transitions_decided') IS NOT NULL").fetchone()
        assert built == (True,)
    finally:
        with psycopg.connect(earlier, autocommit=True) as connection:
            connection.execute("DROP DATABASE plain WITH (FORCE)")
            connection.execute("DROP ROLE plain")


def test_the_password_of_the_application_is_that_of_its_url(owner_url: str) -> None:
    upgrade(owner_url, "postgresql://propos_app:hidden%21@db/propos")
    with psycopg.connect(owner_url) as connection:
        kept = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'propos_app'").fetchone()
    assert kept is not None
    assert kept[0].startswith("SCRAM-SHA-256$"), "the server never sees the password itself"
