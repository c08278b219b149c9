"""The console and the API show breaks with their age, and finance closes one there."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain.ledger import fee_paid
from domain.money import Money
from domain.products.second_wall import VenueFloors, floors_json
from domain.venue_accounts import AtVenue, OnRecord, SentLimits
from firm.reconciliation import matching
from firm.reconciliation import venue as compared
from store import ledger
from store.clock import market_now
from store.models import Account, OutboxMessage, ReconciliationBreak, User, VenueLimits
from store.reconciliation import venue
from tests.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def a_break(world: ConsoleWorld) -> str:
    async with world.db.transaction() as session:
        now = await market_now(session)
        paid = fee_paid("chl_unknown", Money(minor=12_345, currency="USD"), "elsewhere")
        await ledger.post(session, paid, occurred_at=now - timedelta(days=2))
        assert await matching.open_breaks(session, "elsewhere", now) == 1
        return (await session.scalars(select(ReconciliationBreak.id))).one()


async def test_finance_reads_a_break_and_writes_it_off(world: ConsoleWorld) -> None:
    break_id = await a_break(world)
    async with world.browser("finn@firm.example") as browser:
        page = (await browser.get("/reconciliation")).text
        for said in ("Open breaks by age", "A posting that the source does not show", "123.45", "Liability", "<svg"):
            assert said in page, said
        assert "123.45" in (await browser.get("/queue?kind=break")).text
        own = (await browser.get(f"/breaks/{break_id}")).text
        for said in ("123.45", "less than the books", "One person closes it", "Write off", "nobody"):
            assert said in own, said
        answer = await browser.post(f"/breaks/{break_id}/decision", decision="write_off", reason="It never came.")
        assert answer.status_code == 303
        closed = (await browser.get(f"/breaks/{break_id}")).text
        assert "Written off by" in closed and "Open again" in closed
    async with world.db.transaction() as session:
        assert await ledger.balance(session, "write-offs", "USD") == 12_345


async def limits_differ(world: ConsoleWorld) -> tuple[str, str, str]:
    """An account whose venue holds another daily loss than it was sent. Returns the break, the account's number, and
    its trader's login."""
    sent = VenueFloors(daily_loss_minor=500_000, trailing_loss_minor=1_000_001, trailing_stop_minor=8_999_999)
    shown = replace(sent, daily_loss_minor=250_000)
    async with world.db.transaction() as session:
        now = await market_now(session)
        account = (await session.scalars(select(Account).where(Account.status == "active").limit(1))).one()
        levels = [{"rule_id": "max_loss", "holds": "exact", "sentence": "Max loss: held as a floor of 89,999.99 USD."}]
        row = VenueLimits(account_id=account.id, sent=floors_json(sent), sent_at=now, levels=levels)
        session.add(row)
        await session.flush()
        recorded = (await venue.these(session, [account.id]))[account.id]
        figures = compared.money_and_lots(recorded)
        record = OnRecord(True, account.currency, figures, figures, limits=SentLimits(sent, sent))
        balance, lots = figures or (0, {})
        at_venue = AtVenue(trading_enabled=True, balance_minor=balance, lots=lots, floors=shown)
        for _ in range(2):
            await compared.compare(session, account.platform, recorded, record, at_venue, now)
        break_id = (await session.scalars(select(ReconciliationBreak.id))).one()
        login = (await session.scalars(select(User.login).where(User.trader_id == account.trader_id))).one()
        return break_id, f"A-{account.number}", login


async def test_risk_sends_limits_again_that_somebody_changed_at_the_venue(world: ConsoleWorld) -> None:
    break_id, number, trader = await limits_differ(world)
    async with world.browser("rosa@firm.example") as browser:
        page = (await browser.get("/reconciliation")).text
        assert "The platform holds other loss limits than it was sent" in page and "no money" in page
        own = (await browser.get(f"/breaks/{break_id}")).text
        for said in ("daily loss 5,000.00 USD", "daily loss 2,500.00 USD", "Push again"):
            assert said in own, said
        assert "Write off" not in own and "Accept" not in own, "what only finance does"
        account = (await browser.get(f"/accounts/{number}")).text
        for said in ("Limits at the platform", "differ", "2,500.00", "5,000.00", "held as a floor of 89,999.99 USD"):
            assert said in account, said
        answer = await browser.post(f"/breaks/{break_id}/decision", decision="push_again", reason="It was a mistake.")
        assert answer.status_code == 303
        assert "1 times" in (await browser.get(f"/breaks/{break_id}")).text
    async with world.db.transaction() as session:
        message = (await session.scalars(select(OutboxMessage).where(OutboxMessage.topic == "venue.limits"))).one()
        assert message.payload["again"] and (await session.get_one(ReconciliationBreak, break_id)).state == "open"
    async with world.browser(trader) as browser:
        assert "Limits at the platform" not in (await browser.get(f"/accounts/{number}")).text
