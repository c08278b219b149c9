"""Sends signals to open payouts when something changes that they depend on."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from contracts.messages import RiskChanged, TransferChanged
from domain import keys
from firm import messages
from store.models import Payout


async def send_risk_changed(session: AsyncSession, *, cause: str, trader_ids: list[str]) -> None:
    """Makes every open payout of these traders judge itself again after this transaction commits.

    `cause`: a business key such as `cas_…/confirm`. The same cause signals a payout only once.
    """
    open_payouts = await session.scalars(
        select(Payout.id).where(Payout.trader_id.in_(trader_ids), Payout.closed_at.is_(None)).order_by(Payout.id)
    )
    for payout_id in open_payouts:
        changed = RiskChanged(key=keys.risk_message(payout_id, cause))
        await messages.signal(session, payout_workflow(payout_id), changed)


async def send_transfer_changed(
    session: AsyncSession, *, key: str, rail: str, transfer_id: str, payout_id: str | None = None
) -> bool:
    """Makes the payout of a transfer ask its rail for the status. `payout_id`: if known. Returns False when no payout
    on this rail has this transfer."""
    found = select(Payout.id).where(Payout.rail == rail, Payout.transfer_id == transfer_id)
    payout_id = payout_id or await session.scalar(found)
    if payout_id is None:
        return False
    changed = TransferChanged(key=key, transfer_id=transfer_id)
    await messages.signal(session, payout_workflow(payout_id), changed, key=keys.transfer_message(key))
    return True
