"""Loss limits at a venue: loosened before money moves, sent again afterwards, by one call at a time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta

import pytest
from sqlalchemy import select, update
from temporalio.testing import ActivityEnvironment

from activities.operations import OperationsActivities
from activities.reconciliation import ReconciliationActivities
from contracts.messages import DailyCloseStart
from contracts.operations import SourceRef
from domain.approvals import Actor
from domain.clocks import Clock
from domain.errors import BadInput, OutcomeUnknown, PropOSError, Unavailable
from domain.products.second_wall import NO_FLOORS, VenueFloors, VenueMeaning
from firm import messages, venue_limits
from relay.outbox import OutboxDispatcher
from store import venue_limits as kept
from store.models import Account, AccountMove, AccountMoveRow, BalanceOperationRow, OutboxMessage, Payout, VenueLimits
from tests.integration.sandbox_firm import no_temporal
from tests.payout_world import INITIAL, MEDIUM, START, Venue, World, a_firm, ref

PRAGUE = Clock(zone="Europe/Prague", reset="00:00")
WHOLE = VenueFloors(500_001, 1_000_001, 8_999_999, "live")
FAR = INITIAL * 100
TINA = Actor(user_id="usr_tina", person_id="person-tina", role="trader", trader_id="trd_tina")


@dataclass
class HoldingVenue(Venue):
    """`sent`: what it was sent, in order, beside the balances at that moment. `fails`: what the next calls raise."""

    floors_mean: VenueMeaning = field(default_factory=lambda: VenueMeaning(PRAGUE, "balance"))
    limits: dict[int, VenueFloors] = field(default_factory=dict)
    sent: list[tuple[VenueFloors, int]] = field(default_factory=list)
    fails: list[PropOSError] = field(default_factory=list)
    held_up: asyncio.Event | None = None

    async def set_floors(self, login: int, *, key: str, floors: VenueFloors) -> None:
        self.sent.append((floors, self.balances[login]))
        held_up, self.held_up = self.held_up, None  # one call only
        if held_up is not None:
            await held_up.wait()
        if self.fails:
            raise self.fails.pop(0)
        self.limits[login] = floors

    async def floors(self, login: int) -> VenueFloors:
        return self.limits.get(login, NO_FLOORS)


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url, HoldingVenue()) as world:
        yield world


def venue(firm: World) -> HoldingVenue:
    assert isinstance(firm.venue, HoldingVenue)
    return firm.venue


async def deliver(firm: World) -> None:
    relay = OutboxDispatcher(firm.db, no_temporal, firm.deps.platforms)
    await relay.release()
    await relay.step()
    await relay.step()


async def begun(firm: World, name: str = "tina") -> str:
    await firm.add_trader(name)
    async with firm.db.transaction() as session:
        await kept.begin(session, f"acc_{name}")
        await messages.send_limits(session, [f"acc_{name}"], "opened")
    await deliver(firm)
    return f"acc_{name}"


async def row_of(firm: World, account_id: str) -> VenueLimits:
    async with firm.db.transaction() as session:
        return await session.get_one(VenueLimits, account_id)


async def send(firm: World, account_id: str, *, moving: bool = False) -> None:
    at_venue = venue(firm)
    await venue_limits.send(
        firm.db, account_id, at_venue.name, at_venue.floors_mean, at_venue.set_floors, moving=moving
    )


async def test_a_payout_loosens_the_limits_before_its_money_leaves_and_they_are_sent_again_at_its_end(
    firm: World,
) -> None:
    account_id = await begun(firm)
    assert [floors for floors, _ in venue(firm).sent] == [WHOLE]
    before = venue(firm).balances[next(iter(venue(firm).balances))]
    payout_id = await firm.awaiting(TINA, MEDIUM)
    loosened, balance = venue(firm).sent[-1]
    assert (loosened.daily_loss_minor, loosened.trailing_stop_minor, balance) == (FAR, 8_999_999, before)
    async with firm.db.transaction() as session:
        row = await session.get_one(VenueLimits, account_id)
        row.money_at = START  # another day begins
        payout = await session.get_one(Payout, payout_id)
        payout.state = "rejected"
        await messages.send_limits(session, [account_id], "ended")
    await deliver(firm)
    assert venue(firm).sent[-1][0] == WHOLE


async def test_a_payout_waits_while_its_venue_takes_no_limits(firm: World) -> None:
    await begun(firm)
    venue(firm).fails = [Unavailable("The venue is away.")]
    payout_id = await firm.request(TINA, MEDIUM)
    with pytest.raises(Unavailable):
        await firm.activities.place_hold(ref(payout_id))
    assert venue(firm).done == {}, "no money moved"
    await firm.activities.place_hold(ref(payout_id))
    assert len(venue(firm).done) == 1


async def test_an_unknown_outcome_is_sent_again_even_if_the_limits_are_as_before(firm: World) -> None:
    account_id = await begun(firm)
    venue(firm).fails = [OutcomeUnknown("No answer.")]
    with pytest.raises(OutcomeUnknown):
        await send(firm, account_id, moving=True)
    async with firm.db.transaction() as session:
        (await session.get_one(VenueLimits, account_id)).money_at = None
    await send(firm, account_id)
    floors, _ = venue(firm).sent[-1]
    assert floors == WHOLE and len(venue(firm).sent) == 3
    await send(firm, account_id)
    assert len(venue(firm).sent) == 3, "the same limits are not sent again"


async def test_two_calls_never_send_limits_of_one_account_at_once(firm: World) -> None:
    account_id = await begun(firm)
    held_up = venue(firm).held_up = asyncio.Event()
    first = asyncio.create_task(send(firm, account_id, moving=True))
    while len(venue(firm).sent) < 2:
        await asyncio.sleep(0.01)
    try:
        with pytest.raises(Unavailable):
            await send(firm, account_id, moving=True)
    finally:
        held_up.set()
        await first
    assert (await row_of(firm, account_id)).sending_until is None


async def test_limits_that_a_venue_refuses_are_parked_for_a_person(firm: World) -> None:
    venue(firm).fails = [BadInput("Too low.") for _ in range(20)]
    await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await kept.begin(session, "acc_tina")
        await messages.send_limits(session, ["acc_tina"], "opened")
    relay = OutboxDispatcher(firm.db, no_temporal, firm.deps.platforms)
    for _ in range(20):
        await relay.release()
        if not await relay.step():
            break
    async with firm.db.transaction() as session:
        message = (await session.scalars(select(OutboxMessage).where(OutboxMessage.topic == kept.TOPIC))).one()
    assert message.parked_at is not None and (await row_of(firm, "acc_tina")).sent is None


async def test_an_approved_move_to_other_terms_lifts_the_limits_until_it_is_done(firm: World) -> None:
    account_id = await begun(firm)
    await firm.add_user("rosa", "risk")
    async with firm.db.transaction() as session:
        session.add(
            AccountMove(
                id="mov_1",
                product="two-step",
                from_version=1,
                to_version=1,
                reason="x",
                state="approved",
                proposed_by="usr_rosa",
                proposed_at=START,
            )
        )
        await session.flush()
        session.add(AccountMoveRow(move_id="mov_1", account_id=account_id, state="waiting", why=""))
    await send(firm, account_id)
    assert venue(firm).sent[-1][0] == VenueFloors(FAR, FAR, FAR, "live")
    async with firm.db.transaction() as session:
        await session.execute(update(AccountMoveRow).values(state="moved"))
    await send(firm, account_id)
    assert venue(firm).sent[-1][0] == WHOLE


async def test_after_a_reset_the_round_of_reconciliation_sends_what_changed(firm: World) -> None:
    account_id = await begun(firm)
    async with firm.db.transaction() as session:  # a credit of today, which the record has seen
        now = START + timedelta(days=20)
        await session.execute(update(Account).values(opened_at=START))
        values = {"key": "gift", "operation": "adjustment", "seq": 1, "amount_minor": 1, "balance_minor": 1}
        session.add(BalanceOperationRow(account_id=account_id, at=now - timedelta(minutes=1), **values))
    await send(firm, account_id)
    assert venue(firm).sent[-1][0].daily_loss_minor == FAR
    count = len(venue(firm).sent)
    rounds = ReconciliationActivities(firm.deps)
    await ActivityEnvironment().run(rounds.read_platform, SourceRef(name="fake"))
    assert len(venue(firm).sent) == count, "nothing was asked for"
    await firm.market_time(now + timedelta(days=1, hours=4))
    close = OperationsActivities(firm.deps)
    start = DailyCloseStart(clock_group=PRAGUE.group, zone=PRAGUE.zone, reset=PRAGUE.reset, after=now)
    await ActivityEnvironment().run(close.check_daily_close, start)
    venue(firm).fails = [Unavailable("The venue is away.")]
    for _ in range(2):
        await ActivityEnvironment().run(rounds.read_platform, SourceRef(name="fake"))
    assert [floors for floors, _ in venue(firm).sent[count:]] == [WHOLE, WHOLE], "the round after goes on"
    assert not (await row_of(firm, account_id)).asked
