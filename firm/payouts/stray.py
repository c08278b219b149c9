"""Money that a rail sent although its payout does not wait for it: shown to people, and nothing more is sent."""

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from domain import keys, record_keys
from domain.money import Money
from domain.payouts import trader_messages
from domain.payouts.payout import OPEN_TO_PEOPLE
from firm.payouts import row
from store.clock import market_now
from store.models import Payout, PayoutTransfer, Review


async def report(session: AsyncSession, payout: Payout, attempt: PayoutTransfer, moved: Money) -> None:
    """Opens a review, once per attempt. A payout that was to be sent again goes back to people."""
    key = record_keys.stray_transfer_review(attempt.id)
    words = f"{moved} of payout {payout.id} left over {attempt.rail} after the attempt was given up."
    detail = {"workflow": payout_workflow(payout.id), "payout_id": payout.id, "transfer": attempt.id, "words": words}
    made = insert(Review).values(
        id=keys.review_id(key),
        key=key,
        kind="stray_transfer",
        detail={**detail, "remedy": "docs/runbooks/stuck-payout.md"},
        status="open",
        occurred_at=await market_now(session),
    )
    await session.execute(made.on_conflict_do_nothing(index_elements=["key"]))
    if payout.state in ("approved", *OPEN_TO_PEOPLE):
        payout.halted = "An earlier transfer of this payout was made after all."
    if payout.state == "approved":
        await row.advance(
            session,
            payout,
            "payout_stopped",
            reason="an earlier transfer was made after all",
            trader_message=trader_messages.UNDER_REVIEW,
        )
