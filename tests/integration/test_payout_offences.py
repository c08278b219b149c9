"""Offences between the request of a payout and its end: they lower the share, and take back profit that was held."""

from collections.abc import AsyncIterator
from typing import Any, NoReturn

import pytest
from sqlalchemy import select, update
from sqlalchemy.sql import func

from domain import keys
from domain.approvals import Actor
from domain.errors import Conflict, Unavailable
from domain.keys import new_id
from domain.money import Money
from firm import parked
from firm.payouts import account as payout_account
from firm.payouts.preview import preview
from firm.payouts.situation import situation
from relay.outbox import OutboxDispatcher
from store import deliveries, operations, outbox
from store.models import AccountLive, AuditEntry, BalanceOperationRow, Offence, OutboxMessage, Proof
from tests.payout_world import INITIAL, MEDIUM, START, Killed, World, a_firm, ref


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def offends(firm: World, consequence: str, **body: Any) -> str:
    """The monitor commits an offence of the account."""
    offence_id, proof_id = new_id("off"), new_id("prf")
    sheet = {"consequence": {"kind": consequence, **body}}
    async with firm.db.transaction() as session:
        session.add(Proof(id=proof_id, account_id="acc_tina", kind="violation", digest="0" * 64, body=sheet))
        await session.flush()
        session.add(
            Offence(
                id=offence_id,
                account_id="acc_tina",
                challenge_id="chl_tina",
                phase_index=3,
                rule_id="daily_loss",
                offence=1,
                consequence=consequence,
                sentence="Too much was lost.",
                deducted_minor=0,
                proof_id=proof_id,
                seq=9,
                occurred_at=START,
                epoch=1,
            )
        )
    return offence_id


async def asked(firm: World, gross: int = MEDIUM) -> tuple[Actor, str]:
    tina = await firm.add_trader("tina")
    return tina, await firm.request(tina, gross)


async def test_a_share_that_an_offence_lowers_after_the_request_is_lower_when_the_money_is_held(firm: World) -> None:
    _, payout_id = await asked(firm)
    assert (await firm.payout(payout_id)).trader_minor == MEDIUM * 80 // 100
    await offends(firm, "lower_split", split_pct="50")
    assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"
    held = await firm.payout(payout_id)
    assert (held.gross_minor, held.trader_minor, held.firm_minor) == (MEDIUM, MEDIUM // 2, MEDIUM // 2)
    assert "it was 2,400.00 USD when the payout was requested" in held.checks["amount"]["words"]
    assert await firm.books() == (-MEDIUM // 2, 0, 0)
    async with firm.db.transaction() as session:
        current = await preview(session, "acc_tina", Money(minor=MEDIUM, currency="USD"))
        (entry,) = await session.scalars(select(AuditEntry).where(AuditEntry.action == "payout.amounts_changed"))
    assert current.trader_minor == held.trader_minor
    assert entry.evidence["requested"]["trader_minor"] == MEDIUM * 80 // 100
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def _no_temporal() -> NoReturn:
    raise Unavailable("no workflows here")


async def resets(firm: World) -> None:
    """The monitor commits an offence that brings the balance back to the initial one."""
    key = keys.reset_balance(await offends(firm, "reset_balance"))
    (login,) = firm.venue.balances
    async with firm.db.transaction() as session:
        payload = {"account_id": "acc_tina"}
        session.add(OutboxMessage(key=key, topic="venue.reset_balance", target=str(login), name="", payload=payload))


async def relayed(firm: World) -> bool:
    """The relay tries what is due. Returns whether the reset has reached the venue."""
    async with firm.db.transaction() as session:
        await session.execute(update(OutboxMessage).values(next_at=func.clock_timestamp()))
    await OutboxDispatcher(firm.db, _no_temporal, firm.deps.platforms).step()
    async with firm.db.transaction() as session:
        found = select(OutboxMessage.dispatched_at).where(OutboxMessage.topic == "venue.reset_balance")
        return (await session.scalars(found)).one() is not None


async def recorded(firm: World) -> None:
    """What the monitor stores of the operations at the venue, and its next checkpoint."""
    (balance,) = firm.venue.balances.values()
    async with firm.db.transaction() as session:
        for seq, (key, (operation, amount)) in enumerate(firm.venue.done.items(), start=20):
            change = -abs(amount) if operation == "payout_hold" else amount
            row = {"key": key, "operation": operation, "seq": seq, "at": START, "amount_minor": change}
            session.add(BalanceOperationRow(account_id="acc_tina", balance_minor=balance, **row))
        live = await session.get_one(AccountLive, "acc_tina")
        live.balance_minor = live.equity_minor = balance


async def test_profit_that_was_held_before_a_reset_does_not_come_back_when_the_payout_is_rejected(firm: World) -> None:
    _, payout_id = await asked(firm)
    await firm.activities.place_hold(ref(payout_id))
    await firm.activities.check_risk(ref(payout_id))
    await resets(firm)
    assert await relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL}
    assert await firm.decide(payout_id, await firm.add_user("fay", "finance"), "reject") == "releasing"
    for _ in range(2):
        assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL}
    assert await firm.books() == (0, 0, 0)
    assert "does not go back to the account" in ((await firm.payout(payout_id)).told or "")
    await recorded(firm)
    async with firm.db.transaction() as session:
        facts = (await situation(session, "acc_tina")).facts
        assert await operations.open_holds(session) == 0
    assert (facts.balance_minor, facts.profit_minor) == (INITIAL, 0)


async def test_money_that_was_held_after_a_reset_goes_back(firm: World) -> None:
    tina = await firm.add_trader("tina")
    await resets(firm)
    assert await relayed(firm)
    await recorded(firm)
    firm.venue.balances = dict.fromkeys(firm.venue.balances, INITIAL + MEDIUM)
    async with firm.db.transaction() as session:
        live = await session.get_one(AccountLive, "acc_tina")
        live.balance_minor = live.equity_minor = INITIAL + MEDIUM
    payout_id = await firm.awaiting(tina, MEDIUM)
    assert await firm.decide(payout_id, await firm.add_user("fay", "finance"), "reject") == "releasing"
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + MEDIUM}


async def test_a_reset_waits_while_money_is_being_held(firm: World) -> None:
    """Else it would read the balance before the money is off the account, and leave less than the initial one."""
    _, payout_id = await asked(firm)
    firm.venue.dies_at = (firm.venue.calls + 2, "before")  # after the look-up of the hold
    with pytest.raises(Killed):
        await firm.activities.place_hold(ref(payout_id))
    firm.venue.dies_at = None
    await resets(firm)
    assert not await relayed(firm)
    assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000 - MEDIUM}
    assert await relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL}


async def test_a_reset_waits_while_money_is_being_released(firm: World) -> None:
    _, payout_id = await asked(firm)
    await firm.activities.place_hold(ref(payout_id))
    await firm.activities.check_risk(ref(payout_id))
    await firm.decide(payout_id, await firm.add_user("fay", "finance"), "reject")
    firm.venue.dies_at = (firm.venue.calls + 2, "before")
    with pytest.raises(Killed):
        await firm.activities.release_hold(ref(payout_id))
    firm.venue.dies_at = None
    await resets(firm)
    assert not await relayed(firm)
    assert (await firm.activities.release_hold(ref(payout_id))).state == "rejected"
    assert set(firm.venue.balances.values()) == {INITIAL + 400_000}
    assert await relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL}


async def test_profit_waits_for_a_reset_that_was_given_up_and_the_reset_can_be_tried_again(firm: World) -> None:
    await firm.add_trader("tina")

    async def profit() -> int | None:
        async with firm.db.transaction() as session:
            return (await situation(session, "acc_tina")).facts.profit_minor

    assert await profit() == 400_000
    await resets(firm)
    assert await profit() == 0
    by = {"actor": "usr_ana", "role": "admin"}
    async with firm.db.transaction() as session:
        row = (await session.scalars(select(OutboxMessage).where(OutboxMessage.topic == outbox.RESET))).one()
        row.parked_at = row.recorded_at
        await parked.drop(session, "outbox", row.id, reason="The venue refuses it.", **by)
    assert await profit() == 0, "the venue has not been told, whoever gave it up"
    async with firm.db.transaction() as session:
        await parked.retry(session, "outbox", row.id, **by)
    assert await relayed(firm)
    assert set(firm.venue.balances.values()) == {INITIAL}
    async with firm.db.transaction() as session:
        assert not await payout_account.reset_waits(session, "acc_tina")
        with pytest.raises(Conflict):
            await parked.retry(session, "outbox", row.id, **by)


async def test_a_reset_that_one_relay_parked_and_another_delivered_does_not_count_as_given_up(firm: World) -> None:
    await firm.add_trader("tina")
    await resets(firm)
    async with firm.db.transaction() as session:
        (message,) = await deliveries.claim(session, limit=1, lease_seconds=30)
        await deliveries.park(session, message, error="The venue refused it.")
        await deliveries.mark_dispatched(session, [message])
        assert not await payout_account.reset_waits(session, "acc_tina")
