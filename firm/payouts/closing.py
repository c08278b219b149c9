"""Payouts that close their account: once such a payout is paid, its challenge is told to close."""

from sqlalchemy.ext.asyncio import AsyncSession

from contracts.ids import challenge_workflow
from contracts.messages import ClosedByFirm
from domain import keys
from firm import messages
from firm.payouts import row
from firm.payouts.paid import closing_payout
from store import products
from store.models import Account, Challenge, Payout


async def tell_challenge(session: AsyncSession, payout: Payout) -> None:
    """Has the account of a paid payout closed, if the chosen cycle says so."""
    if (await row.product_of(session, payout)).payout.closes(payout.cycle):
        fact = ClosedByFirm(key=keys.payout_closes(payout.id), case_id="")
        await messages.signal(session, challenge_workflow(payout.challenge_id), fact)


async def closed_by(session: AsyncSession, challenge: Challenge) -> str | None:
    """Returns the id of the paid payout that closes the account of this challenge; None when there is none."""
    account = await session.get(Account, challenge.account_id or "")
    if account is None:
        return None
    product = await products.load(session, account.product, account.version)
    return await closing_payout(session, challenge.id, product.payout)
