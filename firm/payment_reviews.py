"""Reviews about the payment of a challenge: what happened to the money, for a person to look at and close."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import Select, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys, record_keys
from domain import reviews as kinds
from store import audit
from store.clock import market_now
from store.models import Challenge, Review, Trader
from store.together import Param

CHARGEBACK: Final = "chargeback"
CHARGEBACK_DUE: Final = "chargeback_due"
REFUND_FAILED: Final = "refund_failed"
UNCLEAR_REFUND: Final = "unclear_refund"
PAYMENT_DIFFERS: Final = "payment_differs"
REFUND_REFUSED: Final = "refund_refused"
REFUND_CUT_OFF: Final = "refund_cut_off"
PLATFORM_REFUSED: Final = "platform_refused"

# what happened, of the kinds that hold every payout of a trader
HAPPENED: Final = {
    CHARGEBACK: "the fee of {challenge} was charged back",
    UNCLEAR_REFUND: "the provider refunded something of the fee of {challenge}",
}


async def open_review(
    session: AsyncSession, kind: str, challenge: Challenge, *, about: str = "", detail: dict[str, Any] | None = None
) -> bool:
    """Open a review of `kind` about a locked challenge, unless one of the same `about` was opened before. Returns
    whether it is new. The trader's row is locked too: a payout of theirs is judged either before the review is opened
    or with it.
    """
    await session.execute(select(Trader.id).where(Trader.id == challenge.trader_id).with_for_update(key_share=True))
    key = record_keys.payment_review(kind, challenge.id, about)
    now = await market_now(session)
    made = await session.scalar(
        insert(Review)
        .values(
            id=keys.review_id(key),
            key=key,
            kind=kind,
            account_id=challenge.account_id,
            detail={"challenge_id": challenge.id, "checkout_id": challenge.checkout_id, **(detail or {})},
            status="open",
            occurred_at=now,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(Review.id)
    )
    if made is None:
        return False
    await audit.record(
        session,
        action="review.opened",
        subject_kind="review",
        subject_id=made,
        occurred_at=now,
        evidence={"kind": kind, "challenge_id": challenge.id},
    )
    return True


async def of_challenge(session: AsyncSession, kind: str, challenge_id: str) -> Sequence[Review]:
    """Returns the reviews of this kind that the challenge had, open or closed, locked."""
    return (await session.scalars(select(Review).where(*_of(kind, challenge_id)).with_for_update())).all()


async def settle(session: AsyncSession, kind: str, challenge_id: str, reason: str) -> None:
    """Close the open reviews of this kind, because what they asked for has happened."""
    await session.execute(
        update(Review)
        .where(*_of(kind, challenge_id), Review.status == "open")
        .values(status="closed", outcome="settled", close_reason=reason)
    )


def _of(kind: str, challenge_id: str) -> tuple[Any, Any]:
    return Review.kind == kind, Review.detail["challenge_id"].astext == challenge_id


def holding_query(trader_id: Param[str]) -> Select[tuple[str, str, str]]:
    """The open reviews that hold the trader's payouts: (id, kind, challenge_id)."""
    challenges = select(Challenge.id).where(Challenge.trader_id == trader_id)
    return (
        select(Review.id, Review.kind, Review.detail["challenge_id"].astext.label("challenge_id"))
        .where(
            Review.status == "open",
            Review.kind.in_(kinds.holding("trader")),
            Review.detail["challenge_id"].astext.in_(challenges),
        )
        .order_by(Review.occurred_at, Review.id)
    )


def happened(kind: str, challenge_id: str) -> str:
    """Returns what a review that holds payouts is about, as a clause for people."""
    return HAPPENED[kind].format(challenge=challenge_id)


async def trader_held_by(session: AsyncSession, review: Review) -> str | None:
    """Returns the trader who has payouts held by this review; None for a review that holds nothing."""
    if kinds.KINDS[review.kind].holds != "trader":
        return None
    found: str | None = await session.scalar(
        select(Challenge.trader_id).where(Challenge.id == review.detail["challenge_id"])
    )
    return found


async def asks_for_refund(session: AsyncSession, review: Review) -> bool:
    """Returns whether the review is about a wrong payment that is still with the firm."""
    if kinds.KINDS[review.kind].closed_by != "refund":
        return False
    state = await session.scalar(select(Challenge.state).where(Challenge.id == review.detail["challenge_id"]))
    return state == "payment_review"
