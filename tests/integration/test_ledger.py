"""What the database itself promises of the books, whoever writes to them."""

from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from sqlalchemy import Executable, delete, event, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError, OperationalError, ProgrammingError
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import BadInput, Conflict, IdempotencyMismatch, NotFound
from domain.exchange import Rate, convert
from domain.ledger import (
    fee_paid,
    payout_converted,
    payout_released,
    payout_reserved,
    payout_return_settled,
    payout_returned,
    payout_sent,
    payout_settled,
    reversal,
)
from domain.money import Money
from store import ledger, ledger_check, ledger_periods
from store.db import Database
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


def head(key: str = "odd", lines: int = 2) -> dict[str, object]:
    fields = {"key": key, "input_digest": "-", "kind": "fee_paid", "reference": "chl_1", "occurred_at": START}
    return {**fields, "lines": lines}


async def write(firm: World, *lines: tuple[str, str, int], count: int | None = None, at: datetime = START) -> None:
    """Writes an entry past the domain's own checks, as the application's role may."""
    async with firm.db.transaction() as session:
        row = {**head(lines=count or len(lines)), "occurred_at": at}
        number = await session.scalar(insert(LedgerTransaction).values(row).returning(LedgerTransaction.id))
        rows = [
            {"transaction_id": number, "account": account, "currency": currency, "amount_minor": amount}
            for account, currency, amount in lines
        ]
        if rows:
            await session.execute(insert(Posting).values(rows))


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
    [
        [("fees", "USD", 1), ("fees", "USD", 1)],
        [("fees", "USD", 1), ("chargebacks", "USD", -2)],
        [("fees", "USD", 1), ("fees", "EUR", -1)],
    ],
)
async def test_an_unbalanced_transaction_does_not_commit(firm: World, lines: list[tuple[str, str, int]]) -> None:
    with pytest.raises(IntegrityError, match="is off by"):
        await write(firm, *lines)
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerTransaction)) == 0


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        ([("fees", "USD", 0), ("suspense", "USD", 0)], "has a line of zero"),
        ([("cash", "USD", 1), ("fees", "USD", -1)], "fk_postings_account"),
        ([("fees", "XXX", 1), ("suspense", "XXX", -1)], "fk_postings_currency"),
        ([("fees", "USD", 1), ("forfeited-profit", "USD", -1)], "mixes money with memorandum"),
        ([("fx-position", "USD", 1), ("suspense", "USD", -1)], "without its rate"),
    ],
)
async def test_a_line_that_means_nothing_is_refused(firm: World, lines: list[tuple[str, str, int]], why: str) -> None:
    with pytest.raises(IntegrityError, match=why):
        await write(firm, *lines)


async def test_an_entry_without_lines_does_not_commit(firm: World) -> None:
    with pytest.raises(IntegrityError, match="has no lines"):
        await write(firm, count=2)
    with pytest.raises(IntegrityError, match="has no lines"):
        async with firm.db.transaction() as session:
            await session.execute(insert(LedgerTransaction).values({**head(), "lines": None}))


async def test_posting_works_in_a_savepoint(firm: World) -> None:
    async with firm.db.transaction() as session:
        async with session.begin_nested():
            await ledger.post(session, FEE, occurred_at=START)
        with pytest.raises(IntegrityError, match="is off by"):
            async with session.begin_nested():
                await session.execute(insert(LedgerTransaction).values(head()))
                number = select(LedgerTransaction.id).where(LedgerTransaction.key == "odd").scalar_subquery()
                row = {"transaction_id": number, "account": "fees", "currency": "USD"}
                await session.execute(insert(Posting).values([{**row, "amount_minor": 1}, {**row, "amount_minor": 2}]))
    async with firm.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == -54_000
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


async def faults(session: AsyncSession) -> dict[str, int]:
    return {result.name: result.faults for result in await ledger_check.check(session) if result.faults}


@pytest.mark.parametrize("table", [Posting, LedgerTransaction])
@pytest.mark.parametrize("change", ["update", "delete", "truncate"])
async def test_what_is_posted_stays(
    firm: World, owner_url: str, table: type[Posting] | type[LedgerTransaction], change: str
) -> None:
    """For the application by privilege, and for the owner of the tables by trigger."""
    await post(firm)
    statements: dict[str, Executable] = {
        "update": update(table).values(id=table.id + 1000),
        "delete": delete(table),
        "truncate": text(f"TRUNCATE {table.__tablename__} CASCADE"),
    }
    with pytest.raises(ProgrammingError, match="permission denied"):
        async with firm.db.transaction() as session:
            await session.execute(statements[change])
    owner = Database(owner_url, pool_size=1)
    with pytest.raises(IntegrityError, match=r"append-only|generated always|cannot be|can only"):
        async with owner.transaction() as session:
            await session.execute(statements[change])
    await owner.close()
    async with firm.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == -54_000


async def test_nothing_is_added_to_an_old_transaction_even_if_it_balances(firm: World) -> None:
    number = await post(firm)
    row = {"transaction_id": number, "account": "fees", "currency": "USD"}
    with pytest.raises(IntegrityError, match="is closed"):
        async with firm.db.transaction() as session:
            await session.execute(insert(Posting).values([{**row, "amount_minor": 5}, {**row, "amount_minor": -5}]))


async def test_a_mistake_is_corrected_by_the_opposite_postings(firm: World) -> None:
    number = await post(firm)
    async with firm.db.transaction() as session:
        undone = await ledger.post(session, reversal(FEE), occurred_at=START, reverses=number)
        assert undone != number
        assert await ledger.balance(session, "fees", "USD") == 0
        assert await ledger.balance(session, "provider:fakepay", "USD") == 0
    with pytest.raises(IntegrityError):
        async with firm.db.transaction() as session:
            await session.execute(insert(LedgerTransaction).values({**head("second reversal"), "reverses": number}))


async def test_currencies_are_kept_apart(firm: World) -> None:
    await post(firm)
    async with firm.db.transaction() as session:
        entry = payout_reserved("pay_1", Money(minor=700, currency="JPY"))
        await ledger.post(session, entry, occurred_at=START)
        assert await ledger.pending(session, "trader-payable", "JPY") == -700
        assert await ledger.pending(session, "trader-payable", "USD") == 0


# reserve, then post or void


SHARE = Money(minor=26_025, currency="USD")


async def standing(session: AsyncSession, *accounts: str) -> list[tuple[int, int]]:
    """(posted, pending) of each account in USD."""
    return [
        (await ledger.balance(session, account, "USD"), await ledger.pending(session, account, "USD"))
        for account in accounts
    ]


async def test_a_reserve_is_pending_until_it_is_sent(firm: World) -> None:
    watched = ("payout-expense", "trader-payable", "in-transit:bank", "provider:bank")
    async with firm.db.transaction() as session:
        await ledger.post(session, payout_reserved("pay_1", SHARE), occurred_at=START)
        assert await standing(session, *watched) == [(0, 26_025), (0, -26_025), (0, 0), (0, 0)]
        await ledger.post(session, payout_sent("pay_1", SHARE, "bank"), occurred_at=START)
        assert await standing(session, *watched) == [(26_025, 0), (0, 0), (-26_025, 0), (0, 0)]
        await ledger.post(session, payout_settled("pay_1", SHARE, "bank"), occurred_at=START)
        assert await standing(session, *watched) == [(26_025, 0), (0, 0), (0, 0), (-26_025, 0)]
    async with firm.db.transaction() as session:
        first = await ledger.post(session, payout_sent("pay_1", SHARE, "bank"), occurred_at=START)
        assert first == await ledger.post(session, payout_sent("pay_1", SHARE, "bank"), occurred_at=START)
        assert await standing(session, *watched) == [(26_025, 0), (0, 0), (0, 0), (-26_025, 0)], "sent once"
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


async def test_a_reserve_that_is_released_was_never_posted(firm: World) -> None:
    async with firm.db.transaction() as session:
        await ledger.post(session, payout_reserved("pay_1", SHARE), occurred_at=START)
        await ledger.post(session, payout_released("pay_1", SHARE), occurred_at=START)
    async with firm.db.transaction() as session:
        await ledger.post(session, payout_released("pay_1", SHARE), occurred_at=START)
        assert await standing(session, "payout-expense", "trader-payable") == [(0, 0), (0, 0)]
        rows = await ledger.trial_balance(session)
        assert {(row.debit_minor, row.credit_minor) for row in rows} == {(0, 0)}
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


async def test_a_returned_payout_is_owed_until_it_is_sent_again_or_released(firm: World) -> None:
    watched = ("payout-expense", "trader-payable", "in-transit:bank", "provider:bank")
    async with firm.db.transaction() as session:
        for entry in (
            payout_reserved("pay_1", SHARE),
            payout_sent("pay_1", SHARE, "bank"),
            payout_returned("pay_1", SHARE, "bank"),
        ):
            await ledger.post(session, entry, occurred_at=START)
        assert await standing(session, *watched) == [(26_025, 0), (-26_025, 0), (0, 0), (0, 0)]
        for again in (payout_sent, payout_settled, payout_returned, payout_return_settled):
            await ledger.post(session, again("pay_1", SHARE, "bank", "2"), occurred_at=START)
        assert await standing(session, *watched) == [(26_025, 0), (-26_025, 0), (0, 0), (0, 0)]
        await ledger.post(session, payout_released("pay_1", SHARE), occurred_at=START)
        assert await standing(session, *watched) == [(0, 0)] * 4


async def test_a_payout_in_another_currency_keeps_its_rate(firm: World) -> None:
    rate = Rate(sold="USD", bought="JPY", price=Decimal("151.237"), source="desk", at=START)
    conversion = convert(SHARE, rate)
    async with firm.db.transaction() as session:
        await ledger.post(session, payout_reserved("pay_1", SHARE), occurred_at=START)
        number = await ledger.post(session, payout_converted("pay_1", conversion), occurred_at=START)
        await ledger.post(session, payout_sent("pay_1", conversion.bought, "bank"), occurred_at=START)
        for currency, sold in (("USD", -26_025), ("JPY", conversion.bought.minor)):
            assert await ledger.balance(session, "fx-position", currency) == sold
            assert await ledger.balance(session, "trader-payable", currency) == 0
        evidence = (await session.get_one(LedgerTransaction, number)).evidence or {}
        assert (evidence["rate"], evidence["source"], evidence["exact"]) == ("151.237", "desk", "39359.42925")
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


# kept balances


async def test_two_that_post_at_once_do_not_wait_for_each_other(firm: World) -> None:
    """Both move the same accounts, in opposite order: one kept balance each would make the second wait, or both die."""
    entries = [fee_paid(f"chl_at_once_{n}", Money(minor=100, currency="USD"), "fakepay") for n in range(4)]
    async with firm.db.transaction() as session:
        await ledger.post(session, FEE, occurred_at=START)
    async with firm.db.transaction() as one, firm.db.transaction() as two:
        await one.execute(text("SET LOCAL lock_timeout = '5s'"))
        await two.execute(text("SET LOCAL lock_timeout = '5s'"))
        for first, second in ((entries[0], entries[1]), (reversal(entries[2]), entries[3])):
            await ledger.post(one, first, occurred_at=START)
            await ledger.post(two, second, occurred_at=START)
    async with firm.db.transaction() as session:
        assert await ledger.balance(session, "fees", "USD") == -54_000 - 200
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


async def test_no_read_of_a_balance_looks_at_postings(firm: World) -> None:
    """Their cost does not grow with history."""
    seen: list[str] = []
    event.listen(
        firm.db.engine.sync_engine, "before_cursor_execute", lambda c, cur, statement, *rest: seen.append(statement)
    )
    async with firm.db.transaction() as session:
        await ledger.trial_balance(session)
        await ledger.trial_balance(session, memorandum=True)
        await ledger.balance(session, "fees", "USD")
        await ledger.imbalance(session)
    assert len(seen) == 4
    assert not [statement for statement in seen if "postings" in statement or "ledger_transactions" in statement]


async def test_a_statement_is_read_page_by_page_from_an_index(firm: World) -> None:
    async with firm.db.transaction() as session:
        for number in range(1, 8):
            fee = fee_paid(f"chl_{number}", Money(minor=100 * number, currency="USD"), "fakepay")
            await ledger.post(session, fee, occurred_at=START)
    pages, cursor = [], None
    async with firm.db.transaction() as session:
        while True:
            lines, cursor = await ledger.statement(session, "fees", "USD", limit=3, cursor=cursor)
            pages.append([(line.amount_minor, line.balance_minor) for line in lines])
            if cursor is None:
                break
        assert pages == [
            [(-700, -2800), (-600, -2100), (-500, -1500)],
            [(-400, -1000), (-300, -600), (-200, -300)],
            [(-100, -100)],
        ]
        with pytest.raises(NotFound):
            await ledger.statement(session, "cash", "USD")
        with pytest.raises(NotFound):
            await ledger.statement(session, "fees", "USD", cursor="x")
        await session.execute(text("SET LOCAL enable_seqscan = off"))
        plan = await session.scalars(
            text("EXPLAIN " + ledger.STATEMENT.text),
            {"account": "fees", "currency": "USD", "before": 5, "limit": 3},
        )
        words = "\n".join(plan)
    assert "ix_postings_account" in words
    assert "Sort" not in words, "the index gives the order, so a page reads its own lines only"


# sealed periods


async def test_a_sealed_period_refuses_entries_and_late_ones_go_to_the_open_one(firm: World) -> None:
    await post(firm)
    until = START + timedelta(hours=1)
    async with firm.db.transaction() as session:
        await session.execute(text("UPDATE market_clock SET watermark = :now"), {"now": until})
        with pytest.raises(BadInput, match="has not come yet"):
            await ledger_periods.close(session, until=until + timedelta(days=900), by="tester")
        sealed = await ledger_periods.close(session, until=until, by="tester")
        assert (sealed.number, sealed.entries, sealed.starts_at) == (1, 1, None)
        assert sealed.balances == [
            {"account": "fees", "currency": "USD", "posted_minor": -54_000, "pending_minor": 0},
            {"account": "provider:fakepay", "currency": "USD", "posted_minor": 54_000, "pending_minor": 0},
        ]
        with pytest.raises(Conflict):
            await ledger_periods.close(session, until=until, by="tester")
    with pytest.raises(IntegrityError, match="sealed until"):
        await write(firm, ("fees", "USD", 1), ("suspense", "USD", -1), at=until - timedelta(seconds=1))
    async with firm.db.transaction() as session:
        late = await ledger.post(session, reversal(FEE), occurred_at=START)
        row = await session.get_one(LedgerTransaction, late)
        assert (row.occurred_at, row.evidence) == (until, {"dated": START.isoformat()})
        await session.execute(text("UPDATE market_clock SET watermark = :now"), {"now": until + timedelta(days=1)})
        second = await ledger_periods.close(session, until=until + timedelta(days=1), by="tester")
        assert (second.number, second.entries, second.starts_at) == (2, 1, until)
        assert {row["posted_minor"] for row in second.balances} == {0}
    async with firm.db.transaction() as session:
        assert await faults(session) == {}


async def test_a_close_waits_for_an_entry_that_is_being_posted(firm: World) -> None:
    await post(firm)
    async with firm.db.transaction() as session:
        await ledger.post(session, reversal(FEE), occurred_at=START)
        with pytest.raises(OperationalError, match="lock timeout"):
            async with firm.db.transaction() as closing:
                await closing.execute(text("SET LOCAL lock_timeout = '300ms'"))
                await closing.execute(text("SELECT seal_ledger_period(:until, 'x')"), {"until": START + timedelta(1)})
