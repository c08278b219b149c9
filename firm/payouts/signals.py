"""Sends signals to open payouts when something changes that they depend on."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import payout_workflow
from contracts.messages import RiskChanged, TransferChanged
from domain import keys
from domain.payouts.payout import PAYOUT
from firm import messages
from firm.payouts import attempts, row
from store.models import Payout, PayoutTransfer


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


async def send_transfer_changed(session: AsyncSession, *, key: str, rail: str, transfer_id: str) -> bool:
    """Makes the open payout of a transfer ask its rail for the status. Returns False when no open payout follows it."""
    attempt = await attempts.of_rail(session, rail, transfer_id=transfer_id)
    if attempt is None:
        return False
    payout = await row.locked(session, attempt.payout_id)
    if not await is_followed(session, payout, attempt):
        return False
    await signal_transfer(session, payout, key=key, transfer_id=transfer_id)
    return True


async def is_followed(session: AsyncSession, payout: Payout, attempt: PayoutTransfer) -> bool:
    """Returns whether the workflow of the payout asks the rail about this attempt: about the last one while it is open,
    and about the one that it was sent with."""
    if payout.state in PAYOUT.terminal:
        return False
    find = attempts.current if payout.state == "sent" else attempts.last
    found = await find(session, payout.id)
    return found is not None and found.id == attempt.id


async def signal_transfer(session: AsyncSession, payout: Payout, *, key: str, transfer_id: str) -> None:
    """`key` of the event."""
    await messages.signal_each(session, [transfer_signal(payout.id, key, transfer_id)])


def transfer_signal(payout_id: str, key: str, transfer_id: str) -> messages.KeyedSignal:
    """Returns the signal of an event `key` about a transfer of an open payout."""
    changed = TransferChanged(key=key, transfer_id=transfer_id)
    return keys.transfer_message(key), payout_workflow(payout_id), changed
