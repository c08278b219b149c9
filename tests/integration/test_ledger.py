"""What the database itself promises of the books, whoever writes to them."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import Executable, delete, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from domain.errors import IdempotencyMismatch
from domain.ledger import fee_paid, payout_reserved, reversal
from domain.money import Money
from store import ledger
from store.models import LedgerTransaction, Posting
from tests.payout_world import START, World, a_firm


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


FEE = fee_paid("chl_1", Money(minor=54_000, currency="USD"), "fakepay")


async def post(firm: World) -> int:
    async with firm.db.transaction() as session:
        return await ledger.post(session, FEE, occurred_at=START)


async def head(firm: World, key: str = "odd") -> dict[str, object]:
    return {"key": key, "input_digest": "-", "kind": "fee_paid", "reference": "chl_1", "occurred_at": START}


async def test_the_same_entry_is_posted_once(firm: World) -> None:
    assert await post(firm) == await post(firm)
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Posting)) == 2
        assert await ledger.balance(session, "fees", "USD") == -54_000
        assert await ledger.imbalance(session) == 0


async def test_the_same_key_with_other_postings_is_refused(firm: World) -> None:
    await post(firm)
    other = fee_paid("chl_1", Money(minor=54_001, currency="USD"), "fakepay")
    with pytest.raises(IdempotencyMismatch):
        async with firm.db.transaction() as session:
            await ledger.post(session, other, occurred_at=START)


async def test_books_are_kept_in_a_currency_of_four_letters(firm: World) -> None:
    async with firm.db.transaction() as session:
        fee = fee_paid("chl_1", Money.parse("540.00", "USDT"), "fakepay")
        await ledger.post(session, fee, occurred_at=START)
    async with firm.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USDT") == -54_000


@pytest.mark.parametrize(
    "lines",
    [[("fees", "USD", 1)], [("fees", "USD", 1), ("chargebacks", "USD", -2)], [("fees", "USD", 1), ("fees", "EUR", -1)]],
)
async def test_an_unbalanced_transaction_does_not_commit(firm: World, lines: list[tuple[str, str, int]]) -> None:
    with pytest.raises(IntegrityError, match="is off by"):
        async with firm.db.transaction() as session:
            made = insert(LedgerTransaction).values(await head(firm)).returning(LedgerTransaction.id)
            number = await session.scalar(made)
            for account, currency, amount in lines:
                row = {"account": account, "currency": currency, "amount_minor": amount}
                await session.execute(insert(Posting).values(transaction_id=number, **row))
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerTransaction)) == 0


@pytest.mark.parametrize("table", [Posting, LedgerTransaction])
@pytest.mark.parametrize("change", ["update", "delete", "truncate"])
async def test_what_is_posted_stays(firm: World, table: type[Posting] | type[LedgerTransaction], change: str) -> None:
    await post(firm)
    statements: dict[str, Executable] = {
        "update": update(table).values(id=table.id + 1000),
        "delete": delete(table),
        "truncate": text(f"TRUNCATE {table.__tablename__} CASCADE"),
    }
    with pytest.raises(IntegrityError, match=r"append-only|generated always|cannot be|can only") as caught:
        async with firm.db.transaction() as session:
            await session.execute(statements[change])
    assert caught.value is not None
    async with firm.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == -54_000


async def test_nothing_is_added_to_an_old_transaction_even_if_it_balances(firm: World) -> None:
    number = await post(firm)
    with pytest.raises(IntegrityError, match="is closed"):
        async with firm.db.transaction() as session:
            for amount in (5, -5):
                row = {"account": "fees", "currency": "USD", "amount_minor": amount}
                await session.execute(insert(Posting).values(transaction_id=number, **row))


async def test_a_mistake_is_corrected_by_the_opposite_postings(firm: World) -> None:
    number = await post(firm)
    async with firm.db.transaction() as session:
        undone = await ledger.post(session, reversal(FEE), occurred_at=START, reverses=number)
        assert undone != number
        assert await ledger.balance(session, "fees", "USD") == 0
        assert await ledger.balance(session, "provider:fakepay", "USD") == 0
    with pytest.raises(IntegrityError):
        async with firm.db.transaction() as session:
            await session.execute(
                insert(LedgerTransaction).values({**await head(firm, "second reversal"), "reverses": number})
            )


async def test_currencies_are_kept_apart(firm: World) -> None:
    await post(firm)
    async with firm.db.transaction() as session:
        entry = payout_reserved("pay_1", Money(minor=700, currency="JPY"))
        await ledger.post(session, entry, occurred_at=START)
        assert await ledger.balance(session, "trader-payable", "JPY") == -700
        assert await ledger.balance(session, "trader-payable", "USD") == 0
