"""Steps on an account that the platform refused for good. Each waits for a person and then gets a new key."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import MarketTimeReached
from domain import keys, record_keys
from domain.errors import WaitsForPerson
from firm import challenges, messages, payment_reviews
from store.models import Review


async def usable_key(session: AsyncSession, challenge_id: str, key: str) -> str:
    """Returns the key for the step of `key`: another one for each time that the platform refused it. Raises
    WaitsForPerson while the review about the last refusal is open."""
    refused = 0
    while True:
        usable = keys.after_refusals(key, refused)
        status = await session.scalar(
            select(Review.status).where(Review.key == _review_key(challenge_id, usable)).limit(1)
        )
        if status is None:
            return usable
        if status == "open":
            raise WaitsForPerson(key)
        refused += 1


async def report(session: AsyncSession, challenge_id: str, key: str, why: str) -> None:
    """Opens the review about the refusal of this key, once."""
    challenge = await challenges.lock(session, challenge_id)
    detail = {
        "step": key,
        "why": why,
        "remedy": "Mend it at the platform, or do it there by hand. Closing this review tries the step again.",
    }
    await payment_reviews.open_review(session, payment_reviews.PLATFORM_REFUSED, challenge, about=key, detail=detail)


async def wake(session: AsyncSession, review: Review) -> None:
    """Tells the challenge that its review was closed, if it is one about a refused step."""
    if review.kind == payment_reviews.PLATFORM_REFUSED:
        workflow_id = challenge_workflow(str(review.detail["challenge_id"]))
        await messages.signal(session, workflow_id, MarketTimeReached(key=keys.review_wakes(review.id)))


def _review_key(challenge_id: str, key: str) -> str:
    return record_keys.payment_review(payment_reviews.PLATFORM_REFUSED, challenge_id, key)
