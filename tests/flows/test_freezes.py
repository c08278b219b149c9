"""A person freezes an account and thaws it, on real Postgres and Temporal: trading, time, payouts, suspensions."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotAllowed
from firm import freezes
from store.models import AuditEntry, Wakeup
from tests.challenge_world import START, Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
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
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    dispute = firm.provider.disputes(checkout_id, withdrawn=True)
    firm.provider.tells("chargeback.changed", dispute)
    await firm.news()
    await firm.quiet()

    await _thaw(firm, challenge_id, rosa)
    await firm.quiet()
    await _trading(firm, challenge_id, enabled=False)

    await _freeze(firm, challenge_id, rosa)
    firm.provider.disputes(checkout_id, status="won", withdrawn=False)
    firm.provider.tells("chargeback.changed", dispute)
    await firm.news()
    await firm.quiet()
    await _trading(firm, challenge_id, enabled=False)
    await _thaw(firm, challenge_id, rosa)
    await _trading(firm, challenge_id, enabled=True)
