"""`propos ledger check` finds every fault that somebody with all rights on the database can make."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, Final

import psycopg
import pytest
from sqlalchemy import text

from domain.ledger import fee_paid, payout_reserved, payout_sent, payout_settled, reversal
from domain.money import Money
from store import ledger, ledger_periods
from tests import servers
from tests.command_line import propos
from tests.payout_world import START, World, a_firm

FEE: Final = fee_paid("chl_1", Money(minor=54_000, currency="USD"), "fakepay")
SHARE: Final = Money(minor=26_025, currency="USD")


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    """A firm with a fee and its reversal, a payout that was settled, one that is pending, and a sealed period."""
    async with a_firm(database_url) as world:
        async with world.db.transaction() as session:
            number = await ledger.post(session, FEE, occurred_at=START)
            await ledger.post(session, reversal(FEE), occurred_at=START, reverses=number)
            for entry in (
                payout_reserved("pay_1", SHARE),
                payout_sent("pay_1", SHARE, "bank"),
                payout_settled("pay_1", SHARE, "bank"),
                payout_reserved("pay_2", SHARE),
            ):
                await ledger.post(session, entry, occurred_at=START)
            until = START + timedelta(hours=1)
            await session.execute(text("UPDATE market_clock SET watermark = :now"), {"now": until})
            await ledger_periods.close(session, until=until, by="tester")
        async with world.db.transaction() as session:
            await ledger.post(session, payout_reserved("pay_3", SHARE), occurred_at=until)
        yield world


def _propos(*arguments: str) -> tuple[int, dict[str, Any]]:
    done = propos("ledger", *arguments, "--json")
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, json.loads(done.stdout or "{}")


def _check(url: str, *more: str) -> tuple[int, dict[str, int]]:
    """(exit code, faults by check)"""
    code, body = _propos("check", "--database-url", url, *more)
    return code, {each["name"]: each["faults"] for each in body["checks"] if each["faults"]}


def _tamper(url: str, *statements: str) -> None:
    """What a superuser can do past every trigger and foreign key."""
    with psycopg.connect(url) as connection:
        connection.execute("SET session_replication_role = replica")
        for statement in statements:
            connection.execute(statement.encode())


def test_untouched_books_are_whole_and_so_is_a_copy(firm: World, owner_url: str, postgres_url: str) -> None:
    assert _check(firm.db.url) == (0, {})
    name = "copied_books"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        source = owner_url.split("@/")[1].split("?", maxsplit=1)[0]
        connection.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (source,))
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {source}".encode())
    try:
        copy = servers.database_of(postgres_url, name)
        assert _check(copy) == (0, {})
        assert _check(copy, "--copy") == (0, {})
    finally:
        servers.drop_database(postgres_url, name)


_LINE = "INSERT INTO postings (transaction_id, account, currency, amount_minor, layer) VALUES "
_FIRST = "(SELECT min(id) FROM ledger_transactions)"
FAULTS: Final = {
    "balanced": "UPDATE postings SET amount_minor = amount_minor + 1 WHERE id = (SELECT min(id) FROM postings)",
    "whole": "INSERT INTO ledger_transactions (key, input_digest, kind, reference, lines, occurred_at)"
    " VALUES ('empty', '-', 'fee_paid', 'chl_1', 2, '2030-01-01')",
    "kept-balances": "UPDATE ledger_balances SET debit_minor = debit_minor + 1, credit_minor = credit_minor + 1",
    "trial-balance": "UPDATE ledger_balances SET debit_minor = debit_minor + 1 WHERE account = 'fees'",
    "memorandum-apart": f"{_LINE} ({_FIRST}, 'forfeited-profit', 'USD', 5, 'posted'), ({_FIRST}, 'fees', 'USD', -5,"
    " 'posted')",
    "accounts": "UPDATE ledger_accounts SET type = 'asset' WHERE name = 'fees'",
    "currencies": "UPDATE currencies SET digits = 2 WHERE code = 'KWD'",
    "rates": f"{_LINE} ({_FIRST}, 'fx-position', 'USD', 5, 'posted'), ({_FIRST}, 'fees', 'USD', -5, 'posted')",
    "reversals": "UPDATE postings SET amount_minor = amount_minor * 2 WHERE transaction_id ="
    " (SELECT id FROM ledger_transactions WHERE reverses IS NOT NULL)",
    "reserves": "UPDATE postings SET amount_minor = amount_minor * 2 WHERE layer = 'pending' AND transaction_id ="
    " (SELECT id FROM ledger_transactions WHERE kind = 'payout_confirmed')",
    "sealed-periods": "UPDATE ledger_transactions SET reference = 'chl_2' WHERE key = 'chl_1/fee_paid'",
    "triggers": "ALTER TABLE postings DISABLE TRIGGER opens_lines",
    "privileges": "GRANT DELETE ON postings TO propos_app",
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_is_found(firm: World, owner_url: str, name: str) -> None:
    _tamper(owner_url, FAULTS[name])
    code, faults = _check(firm.db.url)
    assert (code, faults.get(name, 0) > 0) == (1, True), faults


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE ledger_periods SET balances = '[]'",
        "UPDATE ledger_periods SET number = 2",
        "UPDATE ledger_periods SET ends_at = ends_at + interval '1 day'",
        "UPDATE ledger_transactions SET occurred_at = '2014-01-01' WHERE reference = 'pay_3'",
    ],
)
def test_a_sealed_period_that_was_touched_is_found(firm: World, owner_url: str, statement: str) -> None:
    _tamper(owner_url, statement)
    assert "sealed-periods" in _check(firm.db.url)[1]


def test_a_role_with_too_many_rights_is_found(firm: World, owner_url: str) -> None:
    try:
        _tamper(owner_url, "ALTER ROLE propos_app CREATEDB")
        assert _check(firm.db.url)[1] == {"roles": 1}
        assert _check(firm.db.url, "--copy") == (0, {})
    finally:
        _tamper(owner_url, "ALTER ROLE propos_app NOCREATEDB")


def test_the_books_are_read_from_the_command_line(firm: World) -> None:
    code, balance = _propos("trial-balance", "--database-url", firm.db.url)
    figures = {row["account"]: (row["balance_minor"], row["pending_minor"]) for row in balance["money"]}
    assert (code, balance["imbalance"], balance["memorandum"]) == (0, 0, [])
    assert figures == {
        "provider:bank": (-26_025, 0),
        "provider:fakepay": (0, 0),
        "in-transit:bank": (0, 0),
        "trader-payable": (0, -52_050),
        "fees": (0, 0),
        "payout-expense": (26_025, 52_050),
    }
    arguments = ("fees", "--currency", "USD", "--limit", "1", "--database-url", firm.db.url)
    _, page = _propos("statement", *arguments)
    assert [(line["amount_minor"], line["balance_minor"]) for line in page["lines"]] == [(54_000, 0)]
    _, page = _propos("statement", *arguments, "--cursor", page["next"])
    assert [(line["amount_minor"], line["balance_minor"]) for line in page["lines"]] == [(-54_000, -54_000)]
    assert page["next"] is None
