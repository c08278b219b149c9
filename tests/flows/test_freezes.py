"""A person freezes an account and thaws it, on real Postgres and Temporal: trading, time, payouts, suspensions."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from functools import partial
from typing import Any

import pytest
from sqlalchemy import select, text

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed, OutcomeUnknown
from domain.keys import new_id
from domain.orders.order import Order
from domain.products.product import Product
from firm import challenges, freezes, orders
from firm.order_checks import check_order_of
from store import outbox, products
from store.models import AuditEntry, Review, Wakeup
from store.scope import FIRM
from tests.challenge_world import PATIENCE_SECONDS, START, Firm, a_firm, after
from tests.stop_world import LimitingVenue, held


@pytest.fixture
def venue() -> LimitingVenue:
    return LimitingVenue()


@pytest.fixture
async def firm(database_url: str, temporal_address: str, venue: LimitingVenue) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, venue) as found:
        yield found


async def _freeze(firm: Firm, challenge_id: str, actor: Actor, reason: str = "The login was shared.") -> None:
    account = await firm.account(challenge_id)
    async with firm.db.transaction() as session:
        await freezes.freeze(session, account.id, sets_trading=True, actor=actor, reason=reason)


async def _thaw(firm: Firm, challenge_id: str, actor: Actor, reason: str = "It was a mistake.") -> None:
    account = await firm.account(challenge_id)
    async with firm.db.transaction() as session:
        await freezes.thaw(session, account.id, actor=actor, reason=reason)


async def _trading(firm: Firm, challenge_id: str, enabled: bool) -> None:
    login = (await firm.account(challenge_id)).login or 0

    async def so() -> bool:
        return firm.venue.seats[login].enabled == enabled

    await firm.until(so)


async def _login(firm: Firm, challenge_id: str) -> int:
    return (await firm.account(challenge_id)).login or 0


async def _chargeback(firm: Firm, challenge_id: str, **state: Any) -> None:
    """The acquirer tells of the chargeback of a challenge, or of its change, and all of it is acted on."""
    chargeback_id = firm.provider.disputes(str((await firm.challenge(challenge_id)).checkout_id), **state)
    firm.provider.tells("chargeback.changed", chargeback_id)
    await firm.news()


async def _meanwhile(firm: Firm, happens: Callable[[], Awaitable[None]]) -> None:
    """Something happens, and every message about it is delivered."""
    await happens()
    while await firm.relay.step():
        pass


async def _has_happened(venue: LimitingVenue) -> bool:
    return venue.overtaken is None


async def _resettable(firm: Firm) -> str:
    """`two-step` that sells resets; gives its name on the shelf."""
    async with firm.db.transaction() as session:
        body = (await products.newest(session, "two-step")).model_dump(mode="json")
        body |= {"product": "again", "fees": {"reset": {"type": "pct_of_purchase", "value": "50"}}}
        await products.publish(session, Product.model_validate(body))
    return "again"


async def _reset(firm: Firm, challenge_id: str, actor: Actor) -> str:
    async with firm.db.transaction() as session:
        row = await orders.order(
            session, challenge_id, "reset", return_url="https://firm.example/", provider=firm.provider.name, actor=actor
        )
    await firm.until(lambda: firm._has_checkout(row.id))
    await firm.pay(row.id)
    await firm.ends(challenge_id, "closed")
    await firm.becomes(row.id, "active")
    return row.id


async def _lock_is_waited_for(firm: Firm, by: int) -> None:
    """So many transactions wait for the lock of a row."""
    waiting = text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            async with firm.db.transaction() as session:
                if await session.scalar(waiting) == by:
                    return
            await asyncio.sleep(0.02)


async def test_a_frozen_account_neither_trades_nor_ages_until_a_person_thaws_it(firm: Firm) -> None:
    rosa, sam = await firm.add_user("rosa", "risk"), await firm.add_user("sam", "support")
    challenge_id = await firm.bought(await firm.add_trader("ada"), await firm.lenient_product())
    async with firm.db.transaction() as session:
        before = (await session.get_one(Wakeup, f"challenge/{challenge_id}")).due_at
    with pytest.raises(BadInput):
        await _freeze(firm, challenge_id, rosa, " ")
    with pytest.raises(Conflict, match="not frozen"):
        await _thaw(firm, challenge_id, rosa)

    await _freeze(firm, challenge_id, sam)
    await _trading(firm, challenge_id, enabled=False)
    with pytest.raises(Conflict, match="frozen already"):
        await _freeze(firm, challenge_id, rosa)
    with pytest.raises(NotAllowed):
        await _thaw(firm, challenge_id, sam)
    await firm.market_time(START + timedelta(days=40))  # far beyond the time of the phase, if its clock ran
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active"

    await _thaw(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=True)
    async with firm.db.transaction() as session:
        row = await session.get_one(Wakeup, f"challenge/{challenge_id}")
        named = select(AuditEntry.action).where(AuditEntry.subject_kind == "account").order_by(AuditEntry.seq)
        actions = list(await session.scalars(named))
    assert (row.due_at - before, row.fired_at) == (timedelta(days=40), None)
    assert actions == ["account.frozen", "account.thawed"]


async def test_payouts_of_a_frozen_account_wait(firm: Firm) -> None:
    rosa, ada = await firm.add_user("rosa", "risk"), await firm.add_trader("ada", "verified")
    challenge_id = await firm.bought(ada, "instant")
    await firm.earns(challenge_id, 200_000)
    await firm.market_time(after(days=8))
    payout_id = await firm.ask_payout(challenge_id, ada, 100_000)
    await firm.payout_becomes(payout_id, "awaiting_approval")
    await _freeze(firm, challenge_id, rosa)
    await firm.payout_becomes(payout_id, "in_review")
    assert "a person has frozen the account" in str((await firm.payout(payout_id)).reason)
    await _thaw(firm, challenge_id, rosa)
    await firm.payout_becomes(payout_id, "awaiting_approval")


async def test_a_thaw_enables_nothing_that_something_else_keeps_disabled(firm: Firm) -> None:
    rosa = await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    await _freeze(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=False)
    await _chargeback(firm, challenge_id, withdrawn=True)

    await _thaw(firm, challenge_id, rosa)
    await firm.quiet()
    await _trading(firm, challenge_id, enabled=False)

    await _freeze(firm, challenge_id, rosa)
    await _chargeback(firm, challenge_id, status="won", withdrawn=False)
    await _trading(firm, challenge_id, enabled=False)
    await _thaw(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=True)


async def test_a_freeze_and_a_chargeback_that_suspends_nothing_leave_positions_open(firm: Firm) -> None:
    rosa, ada = await firm.add_user("rosa", "risk"), await firm.add_trader("ada")
    inquired, won = await firm.bought(ada), await firm.bought(ada)
    await _chargeback(firm, inquired, status="inquiry")
    for state in ({"withdrawn": True}, {"status": "won", "withdrawn": False}):
        await _chargeback(firm, won, **state)
    await _trading(firm, won, enabled=True)
    for challenge_id in (inquired, won):
        firm.venue.seats[await _login(firm, challenge_id)].positions = [held("p1", "EURUSD")]
        await _freeze(firm, challenge_id, rosa)
        await _trading(firm, challenge_id, enabled=False)
    await _chargeback(firm, inquired, status="evidence_due")
    await _chargeback(firm, won, fee_minor=1_500)
    for challenge_id in (inquired, won):
        seat = firm.venue.seats[await _login(firm, challenge_id)]
        assert [each.position_id for each in seat.positions] == ["p1"] and not seat.enabled
    await _chargeback(firm, inquired, withdrawn=True)
    assert firm.venue.seats[await _login(firm, inquired)].positions == [], "a chargeback that suspends closes them"


async def test_a_freeze_cancels_pending_orders_once_and_waits_for_no_earlier_message(
    firm: Firm, venue: LimitingVenue
) -> None:
    rosa = await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    login = await _login(firm, challenge_id)
    async with firm.db.transaction() as session:  # an earlier message of the account that is tried again in a day
        waits = START.replace(year=2100)
        await outbox.enqueue(session, key="waits", topic=outbox.CLOSE, target=str(login), next_at=waits)
    await _freeze(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=False)
    await firm.quiet()
    assert venue.cancelled == [login]


async def test_a_freeze_and_a_thaw_that_meet_leave_the_account_as_the_record_has_it(
    firm: Firm, venue: LimitingVenue
) -> None:
    rosa = await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    venue.overtaken = (False, partial(_meanwhile, firm, partial(_thaw, firm, challenge_id, rosa)))
    await _freeze(firm, challenge_id, rosa)
    await firm.quiet()
    assert venue.overtaken is None and venue.seats[await _login(firm, challenge_id)].enabled

    await _freeze(firm, challenge_id, rosa)
    await firm.quiet()
    venue.overtaken = (True, partial(_meanwhile, firm, partial(_freeze, firm, challenge_id, rosa)))
    await _thaw(firm, challenge_id, rosa)
    await firm.quiet()
    assert venue.overtaken is None and not venue.seats[await _login(firm, challenge_id)].enabled

    await _thaw(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=True)

    async def answer_is_lost() -> None:
        await _meanwhile(firm, partial(_thaw, firm, challenge_id, rosa))
        venue.seats[await _login(firm, challenge_id)].enabled = False
        raise OutcomeUnknown("no answer")

    venue.overtaken = (False, answer_is_lost)
    await _freeze(firm, challenge_id, rosa)
    await firm.until(lambda: _has_happened(venue))
    await _trading(firm, challenge_id, enabled=True)


async def test_a_thaw_enables_no_account_that_the_venue_locked_while_a_review_asks_why(firm: Firm) -> None:
    rosa = await firm.add_user("rosa", "risk")
    challenge_id = await firm.bought(await firm.add_trader("ada"))
    account = await firm.account(challenge_id)
    await _freeze(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=False)
    async with firm.db.transaction() as session:
        at = {"detail": {}, "occurred_at": START, "account_id": account.id}
        session.add(Review(id=new_id("rev"), key="venue_locked/1", kind="venue_locked", **at))
    await _thaw(firm, challenge_id, rosa)
    await firm.quiet()
    assert not firm.venue.seats[account.login or 0].enabled


async def test_thaws_of_two_accounts_of_a_chain_meet_and_one_is_told_that_it_is_over(firm: Firm) -> None:
    rosa, ada = await firm.add_user("rosa", "risk"), await firm.add_trader("ada")
    first = await firm.bought(ada, await _resettable(firm))
    await _freeze(firm, first, rosa)
    second = await _reset(firm, first, ada)
    account = await firm.account(second)
    await firm.quiet()
    assert not firm.venue.seats[account.login or 0].enabled
    async with firm.db.transaction() as session:
        order = Order(kind="market", symbol="EURUSD", side="buy", lots=Decimal(1))
        found = await check_order_of(session, FIRM, order, account_id=account.id)
        assert "account_frozen" in [each.code for each in found.refusals], "it goes on from a frozen one"

    async with firm.db.transaction() as session:
        await challenges.lock(session, min(first, second))
        thaws = []
        for number, challenge_id in enumerate(sorted((first, second)), 1):
            thaws.append(asyncio.create_task(_thaw(firm, challenge_id, rosa)))
            await _lock_is_waited_for(firm, number)
    results = await asyncio.gather(*thaws, return_exceptions=True)
    assert results[0] is None and isinstance(results[1], Conflict), results
    await _trading(firm, second, enabled=True)
