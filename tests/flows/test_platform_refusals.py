"""A challenge whose account the platform refuses for good waits for a person, and hears that its fee went back."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from temporalio.api.enums.v1 import EventType

from domain.errors import RefusedForGood
from firm import reviews
from tests.challenge_world import Firm, Venue, a_firm


@dataclass
class ClosedVenue(Venue):
    """Opens no account while it is `closed`."""

    closed: bool = True
    asked: list[str] = field(default_factory=list)

    async def create_account(self, *, key: str, group: str, currency: str, leverage: int) -> int:
        self.asked.append(key)
        if self.closed:
            raise RefusedForGood(key, "The group is closed.")
        return await super().create_account(key=key, group=group, currency=currency, leverage=leverage)


@pytest.fixture
async def venue() -> ClosedVenue:
    return ClosedVenue()


@pytest.fixture
async def firm(database_url: str, temporal_address: str, venue: ClosedVenue) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address, venue) as opened:
        yield opened


async def _refused(firm: Firm) -> str:
    challenge_id = await firm.buy(await firm.add_trader("tina"))
    await firm.pay(challenge_id)
    await firm.review_opens("platform_refused")

    async def waits() -> bool:
        events = (await firm.handle(challenge_id).fetch_history()).events
        scheduled = [each.activity_task_scheduled_event_attributes.activity_type.name for each in events]
        assert scheduled.count("challenges.open_account") <= 1, "it asks again and again"
        return "challenges.start_phase" in scheduled and events[-1].event_type == EventType.EVENT_TYPE_TIMER_STARTED

    await firm.until(waits)
    return challenge_id


async def test_the_account_is_opened_once_when_a_person_has_looked(firm: Firm, venue: ClosedVenue) -> None:
    challenge_id = await _refused(firm)
    assert venue.asked == [f"{challenge_id}/1"]
    (review,) = await firm.reviews("platform_refused")
    venue.closed = False
    rosa = await firm.add_user("rosa", "risk")
    async with firm.db.transaction() as session:
        await reviews.close(session, review_id=review.id, actor=rosa, reason="The group is open.")
    await firm.becomes(challenge_id, "active")
    assert venue.asked == [f"{challenge_id}/1", f"{challenge_id}/1/try/2"]
    assert [seat.balance_minor for seat in venue.seats.values()] == [10_000_000]


async def test_a_fee_that_goes_back_meanwhile_ends_the_challenge(firm: Firm, venue: ClosedVenue) -> None:
    challenge_id = await _refused(firm)
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    firm.provider.refund_at_desk(checkout_id)
    await firm.news()
    await firm.ends(challenge_id, "refunded")
    assert venue.seats == {}
