"""Where positions may stay open: what they have lost is not there to be paid out."""

from collections.abc import AsyncIterator
from datetime import date
from decimal import Decimal

import pytest
from sqlalchemy import select

from domain.approvals import Actor
from domain.errors import PayoutRefused
from domain.money import Money
from domain.proofs.check import check
from firm.payouts.preview import preview
from ports.platform import PositionState
from store.models import AccountLive, DealRow, EquityBar, Proof
from tests.payout_world import LARGE, MEDIUM, START, World, a_firm, ref

LOST = -890_000  # balance 104,000.00, equity 95,100.00; the daily floor is at 95,000.00
WHY = (
    "4,000.00 USD is more than the 0.00 USD available: open positions have lost 8,900.00 USD; "
    "it would break daily loss by itself; at most 100.00 USD can leave the account, "
    "because the room after open losses is 100.00 USD"
)
POSITION = PositionState(
    position_id="1", symbol="EURUSD", side="buy", lots=Decimal(1), open_price=Decimal(1), opened_at=START
)


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def trader(firm: World) -> Actor:
    """Of a product that lets positions stay open; with 4,000.00 of profit."""
    return await firm.add_trader("tina", product=await firm.add_product("open", requires_flat=False))


async def float_on_record(firm: World, minor: int) -> None:
    async with firm.db.transaction() as session:
        live = await session.get_one(AccountLive, "acc_tina")
        live.positions = [POSITION.model_dump(mode="json")]
        live.equity_minor = live.balance_minor + minor


def float_at_venue(firm: World, minor: int) -> None:
    (login,) = firm.venue.balances
    firm.venue.positions[login], firm.venue.floating[login] = (POSITION,), minor


async def test_a_request_is_judged_on_equity_and_says_the_room(firm: World) -> None:
    asked = await trader(firm)
    await float_on_record(firm, LOST)
    with pytest.raises(PayoutRefused) as refused:
        await firm.request(asked, LARGE)
    assert refused.value.message == f"This payout cannot be made: {WHY}."
    async with firm.db.transaction() as session:
        (proof,) = (await session.scalars(select(Proof))).all()
        ahead = await preview(session, "acc_tina", Money(minor=LARGE, currency="USD"))
    assert check(proof.body) == []
    assert proof.body["facts"]["equity_minor"] == 9_510_000
    assert (ahead.most_minor, ahead.least_room_minor) == (0, -390_000)


async def test_the_hold_is_judged_on_the_venues_own_equity(firm: World) -> None:
    payout_id = await firm.request(await trader(firm), LARGE)
    float_at_venue(firm, LOST)
    assert (await firm.activities.place_hold(ref(payout_id))).state == "refused"
    payout = await firm.payout(payout_id)
    assert WHY in (payout.reason or "")
    assert firm.venue.done == {}
    async with firm.db.transaction() as session:
        assert check((await session.get_one(Proof, payout.proof_id)).body) == []


async def test_an_open_gain_is_not_paid_out(firm: World) -> None:
    asked = await trader(firm)
    await float_on_record(firm, 100_000)
    float_at_venue(firm, 100_000)
    with pytest.raises(PayoutRefused, match=r"4,000\.01 USD is more than the 4,000\.00 USD available$|available\."):
        await firm.request(asked, LARGE + 1)
    payout_id = await firm.request(asked, LARGE)
    assert (await firm.activities.place_hold(ref(payout_id))).state == "reserved"


async def test_a_newer_minute_bar_counts_before_the_checkpoint_does(firm: World) -> None:
    asked, balance = await trader(firm), 10_400_000
    async with firm.db.transaction() as session:
        session.add(
            EquityBar(
                account_id="acc_tina",
                minute=START.replace(hour=22),
                **dict.fromkeys(("open_minor", "high_minor", "low_minor", "close_minor"), balance + LOST),
                balance_minor=balance,
            )
        )
    with pytest.raises(PayoutRefused, match=r"open positions have lost 8,900\.00 USD"):
        await firm.request(asked, LARGE)


async def test_an_equity_that_fell_after_the_hold_holds_the_payout(firm: World) -> None:
    payout_id = await firm.awaiting(await trader(firm), MEDIUM)
    await float_on_record(firm, LOST)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "in_review"
    words = str((await firm.payout(payout_id)).checks["equity"]["words"])
    assert words == "With the equity on record, -2,900.00 USD of room would be left under daily loss."
    await float_on_record(firm, 0)
    assert (await firm.activities.check_risk(ref(payout_id))).state == "awaiting_approval"


async def test_positions_opened_after_the_checkpoint_are_open(firm: World) -> None:
    asked = await firm.add_trader("tina")
    await firm.traded("tina", date(2014, 5, 6))
    async with firm.db.transaction() as session:
        await session.delete((await session.scalars(select(DealRow).where(DealRow.entry == "out"))).one())
    with pytest.raises(PayoutRefused, match=r"close all positions first \(1 open\)"):
        await firm.request(asked, MEDIUM)
