"""What does not agree becomes a break with an owner and an age, and a person closes it with a posting or a match."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select, text

from activities.reconciliation import ReconciliationActivities
from contracts.messages import ReconciliationStart
from contracts.operations import SourceRef
from domain.approvals import Actor
from domain.errors import AlreadyDecided, BadInput, Conflict, CursorForgotten, NotAllowed, Unavailable
from domain.ledger import Entry, fee_paid, fee_refunded, payout_reserved, payout_returned, payout_sent
from domain.money import Money
from firm.reconciliation import deciding
from ports.statements import StatementBalance, StatementEntry
from store import ledger
from store.ledger_check import check
from store.models import InboxEvent, LedgerTransaction, OpenLine, ProviderEntryRow, ReconciliationBreak
from store.reconciliation import breaks
from tests.payout_world import INITIAL, START, Provider, World, a_firm

CASH = "provider:fakepay"


class Source(Provider):
    """A provider that pages its movements, counts what it was asked, and may forget or tell its balance."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | None] = []
        self.told: dict[str, int] = {}
        self.page = 1000
        self.forgets = False
        self.fails_after: int | None = None

    async def entries(self, after: str | None, limit: int = 1000) -> list[StatementEntry]:
        self.asked.append(after)
        if self.fails_after is not None and len(self.asked) > self.fails_after:
            raise Unavailable("The source does not answer.")
        if self.forgets and after is not None:
            self.forgets = False
            raise CursorForgotten("Too long ago.")
        return (await super().entries(after))[: min(limit, self.page)]

    async def balances(self) -> list[StatementBalance]:
        return [StatementBalance(currency=c, amount_minor=minor, at=START) for c, minor in self.told.items()]


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        world.provider = Source()
        await world.market_time(START)
        yield world


def source(firm: World) -> Source:
    assert isinstance(firm.provider, Source)
    return firm.provider


def money(minor: int, currency: str = "USD") -> Money:
    return Money(minor=minor, currency=currency)


async def post(firm: World, *entries: Entry) -> None:
    async with firm.db.transaction() as session:
        for entry in entries:
            await ledger.post(session, entry, occurred_at=START)


async def reconcile(firm: World, *, days: float = 0) -> int:
    """A round, so many days after the start; returns the number of breaks and of what waits too long."""
    at = START + timedelta(days=days)
    await firm.market_time(at)
    await ReconciliationActivities(firm.deps).reconcile(ReconciliationStart())
    async with firm.db.transaction() as session:
        return await breaks.unreconciled(session, at)


async def found(firm: World, state: str = "open") -> list[ReconciliationBreak]:
    async with firm.db.transaction() as session:
        rows = await session.scalars(
            select(ReconciliationBreak)
            .where(ReconciliationBreak.state == state)
            .order_by(ReconciliationBreak.kind, ReconciliationBreak.what)
        )
        return list(rows)


async def kinds(firm: World) -> list[tuple[str, int]]:
    return [(row.kind, row.amount_minor) for row in await found(firm)]


async def close(firm: World, actor: Actor, choice: Any, *, target: str = "", number: int = 0) -> ReconciliationBreak:
    row = (await found(firm, "closed" if choice == "reopen" else "open"))[number]
    async with firm.db.transaction() as session:
        key = f"{row.id}/{choice}/{actor.user_id}/{row.round}"
        return await deciding.decide(
            session, break_id=row.id, choice=choice, actor=actor, reason="Seen.", key=key, target=target
        )


async def balance(firm: World, account: str, currency: str = "USD") -> int:
    async with firm.db.transaction() as session:
        return await ledger.balance(session, account, currency)


async def books_are_whole(firm: World) -> None:
    async with firm.db.transaction() as session:
        assert [result for result in await check(session, is_copy=True) if result.faults] == []


# breaks open by age and close by themselves


async def test_each_difference_gets_its_kind_once_and_only_after_a_day(firm: World) -> None:
    await post(
        firm,
        fee_paid("chl_amount", money(500), "fakepay"),
        fee_paid("chl_twice", money(700), "fakepay"),
        fee_paid("chl_silent", money(900), "fakepay"),
        fee_paid("chl_euro", money(300, "EUR"), "fakepay"),
    )
    shown = (("chl_amount", 499), ("chl_twice", 700), ("chl_twice", 700), ("chl_new", 50), ("chl_euro", 300))
    for reference, minor in shown:
        firm.provider.enter("charge", "ch_1", reference, minor)
    await reconcile(firm)
    assert await reconcile(firm, days=0.9) == 0
    assert await found(firm) == []
    for _ in range(2):
        left = await reconcile(firm, days=1.1)
        assert left == 5, await kinds(firm)
    assert await kinds(firm) == [
        ("amount_differs", -1),
        ("currency_differs", 300),
        ("duplicate", 700),
        ("missing_at_source", -900),
        ("missing_in_books", 50),
    ]


async def test_an_entry_of_another_kind_explains_no_posting(firm: World) -> None:
    await post(firm, fee_refunded("chl_1", money(500), "fakepay"))
    firm.provider.enter("dispute", "ch_1", "chl_1", -500)
    await reconcile(firm)
    assert await reconcile(firm, days=1.1) == 2
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(ProviderEntryRow.transaction_id.is_(None))) == 1


async def test_a_transfer_in_transit_is_settled_by_its_own_amount_and_currency(firm: World) -> None:
    await post(
        firm,
        payout_reserved("pay_1", money(500)),
        payout_sent("pay_1", money(500), "fakepay"),
        payout_reserved("pay_2", money(700, "EUR")),
        payout_sent("pay_2", money(700, "EUR"), "fakepay"),
    )
    firm.provider.enter("transfer", "tr_1", "pay_1", -499)
    firm.provider.enter("transfer", "tr_2", "pay_2", -700)  # in USD
    await reconcile(firm)
    assert await balance(firm, "in-transit:fakepay") == -500
    assert await balance(firm, "in-transit:fakepay", "EUR") == -700
    assert await balance(firm, "provider:fakepay") == 0


async def test_charges_of_a_return_are_fees_of_the_firm_and_the_claim_stays_whole(firm: World) -> None:
    await post(
        firm,
        payout_reserved("pay_1", money(500)),
        payout_sent("pay_1", money(500), "fakepay"),
        payout_returned("pay_1", money(500), "fakepay"),
    )
    firm.provider.enter("transfer", "tr_1", "pay_1", -500)
    firm.provider.enter("transfer_return", "tr_1", "pay_1", 500)
    firm.provider.enter("fee", "tr_1", "pay_1", -12)
    source(firm).told = {"USD": -12}
    for days in (0, 6):
        assert await reconcile(firm, days=days) == 0
    assert await balance(firm, "provider-fees") == 12
    assert await balance(firm, "provider:fakepay") == -12
    assert await balance(firm, "in-transit:fakepay") == 0
    assert await balance(firm, "trader-payable") == -500
    await books_are_whole(firm)


async def test_a_late_entry_closes_its_break_by_itself(firm: World) -> None:
    await post(firm, fee_paid("chl_1", money(900), "fakepay"))
    firm.provider.enter("charge", "ch_2", "chl_2", 70)
    await reconcile(firm)
    assert await reconcile(firm, days=2) == 2
    firm.provider.enter("charge", "ch_1", "chl_1", 900)
    await post(firm, fee_paid("chl_2", money(70), "fakepay"))
    assert await reconcile(firm, days=3) == 0
    assert [(row.resolution, row.closed_by) for row in await found(firm, "closed")] == [("resolved", None)] * 2


async def test_equal_movements_are_matched_one_to_one_across_batches(firm: World) -> None:
    source(firm).page = 7
    for number in range(40):
        await post(firm, fee_paid(f"chl_{number:02}", money(100), "fakepay"))
        firm.provider.enter("charge", f"ch_{number}", f"chl_{number:02}", 100)
    assert await reconcile(firm, days=2) == 0
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(OpenLine)) == 0
        assert await session.scalar(select(func.count()).where(ProviderEntryRow.transaction_id.is_(None))) == 0
        own = LedgerTransaction.id == ProviderEntryRow.transaction_id
        pairs = await session.execute(
            select(ProviderEntryRow.subject, LedgerTransaction.reference).join(ProviderEntryRow, own)
        )
        assert [subject for subject, reference in pairs if subject != reference] == []


async def test_a_cut_read_goes_on_from_the_database_and_asks_again_from_before(firm: World) -> None:
    source(firm).page, source(firm).fails_after = 60, 3
    for number in range(300):
        firm.provider.enter("charge", f"ch_{number}", f"chl_{number}", 100)
    with pytest.raises(Unavailable):
        await reconcile(firm)
    source(firm).fails_after, source(firm).asked = None, []
    await reconcile(firm)
    assert source(firm).asked[0] == "ent_80", "a hundred entries back from the newest one, ent_180"
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(ProviderEntryRow)) == 300


async def test_a_forgotten_cursor_starts_from_the_oldest_and_stores_nothing_twice(firm: World) -> None:
    for number in range(150):
        firm.provider.enter("charge", f"ch_{number}", f"chl_{number}", 100)
    await reconcile(firm)
    source(firm).forgets, source(firm).asked = True, []
    await reconcile(firm)
    assert source(firm).asked[:2] == ["ent_50", None]
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(ProviderEntryRow)) == 150


async def test_a_movement_that_changes_its_amount_is_shown_to_a_person(firm: World) -> None:
    firm.provider.enter("charge", "ch_1", "chl_1", 100)
    await reconcile(firm)
    firm.provider.ledger[0] = firm.provider.ledger[0].model_copy(update={"amount_minor": 1})
    for _ in range(2):
        await reconcile(firm)
    async with firm.db.transaction() as session:
        (event,) = await session.scalars(select(InboxEvent))
        (row,) = await session.scalars(select(ProviderEntryRow))
    assert event.parked_at is not None and "another amount" in str(event.error)
    assert row.amount_minor == 100


# money in transit, fees, settlements


async def test_a_refused_transfer_that_never_left_needs_no_entry(firm: World) -> None:
    sent = payout_sent("pay_1", money(400), "fakepay")
    await post(firm, sent, payout_returned("pay_1", money(400), "fakepay"))
    assert await reconcile(firm, days=9) == 0
    firm.provider.enter("transfer", "tr_1", "pay_1", -400)  # the bank shows both days later
    await reconcile(firm, days=10)
    assert await balance(firm, CASH) == -400
    firm.provider.enter("transfer_return", "tr_1", "pay_1", 400)
    assert await reconcile(firm, days=11) == 0
    assert (await balance(firm, CASH), await balance(firm, "in-transit:fakepay")) == (0, 0)
    await books_are_whole(firm)


async def test_a_transfer_that_no_statement_shows_is_a_break_after_five_days(firm: World) -> None:
    await post(firm, payout_sent("pay_1", money(400), "fakepay"))
    assert await reconcile(firm, days=4) == 0
    assert await reconcile(firm, days=6) == 1
    assert await kinds(firm) == [("missing_at_source", 400)]
    firm.provider.enter("transfer", "tr_1", "pay_1", -400)
    assert await reconcile(firm, days=7) == 0


async def test_fees_and_settlements_are_booked_because_the_statement_shows_them(firm: World) -> None:
    firm.provider.enter("fee", "ch_1", "chl_1", -25)
    firm.provider.enter("settlement", "po_1", "", -1_000)
    assert await reconcile(firm, days=1) == 0
    assert await balance(firm, "provider-fees") == 25
    assert (await balance(firm, CASH), await balance(firm, "settlements")) == (-1_025, 1_000)
    assert await reconcile(firm, days=9) == 1, "it came to no bank"
    firm.provider.enter("settlement", "bank_1", "", 1_000)
    await reconcile(firm, days=10)
    assert await kinds(firm) == []
    assert await balance(firm, "settlements") == 0
    await books_are_whole(firm)


async def test_the_words_of_a_bank_may_be_longer_than_what_the_books_keep_of_them(firm: World) -> None:
    for number, subject in enumerate(("ACCOUNT FEE MARCH 2026 BRANCH 0042-7", "ACCOUNT FEE MARCH 2026 BRANCH 0042-8")):
        firm.provider.enter("fee", f"bank_{number}", subject, -25)
    assert await reconcile(firm, days=1) == 0
    assert await reconcile(firm, days=9) == 0
    assert await balance(firm, "provider-fees") == 50
    async with firm.db.transaction() as session:
        assert await breaks.open_ends(session) == 0


async def test_the_fee_of_a_chargeback_is_left_to_the_chargeback(firm: World) -> None:
    firm.provider.enter("dispute", "dp_1", "chl_1", -500)
    firm.provider.enter("fee", "dp_1", "chl_1", -25)
    await reconcile(firm)
    assert await balance(firm, "provider-fees") == 0
    async with firm.db.transaction() as session:
        events = (await session.execute(select(InboxEvent.event_id, InboxEvent.kind))).all()
    assert [tuple(event) for event in events] == [("entry/ent_1", "charge.disputed")]


# balances


async def test_a_balance_that_differs_twice_is_a_break_and_closes_when_it_agrees(firm: World) -> None:
    await post(firm, fee_paid("chl_1", money(500), "fakepay"), fee_paid("chl_2", money(40), "fakepay"))
    firm.provider.enter("charge", "ch_1", "chl_1", 500)
    source(firm).told = {"USD": 500}  # the second fee is not on the statement yet, so it is not expected either
    assert await reconcile(firm) == 0
    source(firm).told = {"USD": 480}
    assert await reconcile(firm) == 0, "money may have moved between two reads"
    assert await reconcile(firm) == 1
    assert await kinds(firm) == [("balance_differs", -20)]
    source(firm).told = {"USD": 500}
    assert await reconcile(firm) == 0


async def test_the_balance_at_the_platform_is_compared_with_the_record(firm: World) -> None:
    await firm.add_trader("tina", profit_minor=0)
    await firm.add_trader("leo", profit_minor=0)
    await reconcile(firm)
    tina = next(iter(firm.venue.balances))
    firm.venue.balances[tina] = INITIAL - 70
    assert await reconcile(firm) == 0, "accounts are compared once a market day"
    assert await reconcile(firm, days=1) == 0
    assert await reconcile(firm, days=1) == 1
    assert await kinds(firm) == [("venue_balance_differs", -70)]
    fay = await firm.add_user("fay", "finance")
    await close(firm, fay, "explain")
    assert await reconcile(firm, days=2) == 0, "the same difference was accepted"
    firm.venue.balances[tina] = INITIAL - 71
    await reconcile(firm, days=3)
    assert await reconcile(firm, days=3) == 1


# people


@pytest.mark.parametrize(
    ("choice", "account"), [("write_off", "write-offs"), ("fee", "provider-fees"), ("suspense", "suspense")]
)
async def test_a_person_closes_every_kind_with_a_posting_and_the_posting_can_be_reversed(
    firm: World, choice: str, account: str
) -> None:
    await post(
        firm,
        fee_paid("chl_amount", money(500), "fakepay"),
        fee_paid("chl_silent", money(900), "fakepay"),
        payout_sent("pay_1", money(60), "fakepay"),
    )
    firm.provider.enter("charge", "ch_1", "chl_amount", 499)
    firm.provider.enter("charge", "ch_2", "chl_new", 50)
    await reconcile(firm)
    assert await reconcile(firm, days=6) == 4
    fay = await firm.add_user("fay", "finance")
    before = await balance(firm, CASH)
    for _ in range(4):
        assert (await close(firm, fay, choice)).state == "closed"
    assert await reconcile(firm, days=7) == 0
    assert await balance(firm, CASH) == before - 1 - 900 + 50 == 549, "the sum of what the source shows"
    assert await balance(firm, account) == 1 + 900 - 50 - 60
    await books_are_whole(firm)
    for _ in range(4):
        assert (await close(firm, fay, "reopen")).state == "open"
    assert (await balance(firm, CASH), await balance(firm, account)) == (before, 0)
    assert await reconcile(firm, days=8) == 4
    await close(firm, fay, choice)
    await books_are_whole(firm)


async def test_a_match_by_hand_joins_an_entry_and_a_posting_and_can_be_undone(firm: World) -> None:
    await post(firm, fee_paid("chl_1", money(900), "fakepay"))
    firm.provider.enter("charge", "ch_1", "unknown", 900)
    await reconcile(firm)
    assert await reconcile(firm, days=2) == 2
    fay = await firm.add_user("fay", "finance")
    await close(firm, fay, "match")
    assert await reconcile(firm, days=2) == 0
    number = [row.resolution for row in await found(firm, "closed")].index("match")
    await close(firm, fay, "reopen", number=number)
    assert await reconcile(firm, days=2) == 2
    with pytest.raises(BadInput):
        await close(firm, fay, "match", target="ent_9")


async def test_above_the_limit_two_people_say_the_same(firm: World) -> None:
    firm.provider.enter("charge", "ch_1", "unknown", 400_000)
    await reconcile(firm)
    await reconcile(firm, days=2)
    fay, finn = await firm.add_user("fay", "finance"), await firm.add_user("finn", "finance")
    ana = await firm.add_user("ana", "admin", person="person-fay")
    assert (await close(firm, fay, "suspense")).state == "open"
    with pytest.raises(AlreadyDecided):
        await close(firm, ana, "suspense")
    assert (await close(firm, finn, "write_off")).state == "open", "they must say the same"
    assert (await close(firm, finn, "suspense")).state == "closed"
    assert await balance(firm, "suspense") == -400_000
    with pytest.raises(Conflict):
        async with firm.db.transaction() as session:
            row = (await found(firm, "closed"))[0]
            await deciding.decide(session, break_id=row.id, choice="fee", actor=fay, reason="Seen.", key="again-again")


async def test_only_finance_closes_and_owns_breaks(firm: World) -> None:
    firm.provider.enter("charge", "ch_1", "unknown", 40)
    await reconcile(firm)
    await reconcile(firm, days=2)
    rita, fay = await firm.add_user("rita", "risk"), await firm.add_user("fay", "finance")
    with pytest.raises(NotAllowed):
        await close(firm, rita, "suspense")
    row = (await found(firm))[0]
    async with firm.db.transaction() as session:
        with pytest.raises(NotAllowed):
            await deciding.take(session, break_id=row.id, actor=rita)
        with pytest.raises(BadInput):
            await deciding.take(session, break_id=row.id, actor=fay, owner_id=rita.user_id)
        assert (await deciding.take(session, break_id=row.id, actor=fay)).owner == fay.user_id


# costs


async def test_no_query_of_reconciliation_reads_what_was_matched(firm: World) -> None:
    async with firm.db.transaction() as session:
        entry = fee_paid("chl_1", money(1), "fakepay")
        await ledger.post(session, entry, occurred_at=START)
        await session.execute(
            text("""
            INSERT INTO provider_entries (provider, entry_id, kind, object_id, reference, subject, amount_minor,
                                          currency, at, seen_at, transaction_id)
            SELECT 'fakepay', 'old_' || n, 'charge', 'ch', 'chl', 'chl', 0, 'USD', now(), now(), NULL
              FROM generate_series(1, 20000) n
        """)
        )
        await session.execute(text("ANALYZE provider_entries"))
        values = {"day": datetime(2030, 1, 1, tzinfo=UTC), "days": datetime(2030, 1, 1, tzinfo=UTC)}
        for query, given in ((breaks.UNRECONCILED, values), (breaks.OPEN_ENDS, {})):
            plan = await session.scalars(text(f"EXPLAIN {query.text}"), given)
            lines = "\n".join(plan)
            assert "Seq Scan on provider_entries" not in lines, lines
            for table in ("postings", "ledger_transactions"):
                assert table not in lines, lines


async def test_one_source_does_not_keep_another_from_its_reconciliation(firm: World) -> None:
    source(firm).fails_after = 0
    activities = ReconciliationActivities(firm.deps)
    with pytest.raises(Unavailable):
        await activities.read_source(SourceRef(name="fakepay"))
    assert (await activities.read_platform(SourceRef(name="fake"))).entries == 0
    async with firm.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(LedgerTransaction)) == 0
