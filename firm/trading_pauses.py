"""Why an active account may not trade for now."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from firm import challenges
from firm.reviews import VENUE_LOCKED
from store import changing, deliveries, stops, suspensions
from store.models import Review

FROZEN: Final = "a person has frozen it"


async def reasons(
    session: AsyncSession, *, account_id: str, challenge_id: str, platform: str, product: str
) -> tuple[str, ...]:
    """Returns what keeps an active account from trading, each as a clause; empty if nothing is known."""
    suspended = await suspensions.binds(session, challenge_id)
    found = (
        (suspended and await suspensions.frozen_since(session, challenge_id) is not None, FROZEN),
        (suspended and not await suspensions.only_frozen(session, challenge_id), "a payment is charged back"),
        (await deliveries.is_paused_now(session, account_id), "it is paused until the next reset"),
        (await changing.is_under_way(session, account_id), "it goes to another platform"),
        (await stops.stops_account(session, platform, product), "trading at its platform is stopped"),
        (await challenges.verdict_waits(session, account_id), "a breach or a pass is being carried out"),
        (await venue_locked(session, account_id), "a review asks why the venue locked it"),
    )
    return tuple(words for binds, words in found if binds)


async def venue_locked(session: AsyncSession, account_id: str) -> bool:
    """Whether an open review asks why the venue has locked the account."""
    asks = (Review.account_id == account_id, Review.kind == VENUE_LOCKED, Review.status == "open")
    return await session.scalar(select(Review.id).where(*asks).limit(1)) is not None
