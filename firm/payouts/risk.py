"""What is in the way of a payout now, as the record has it."""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.checks import RiskFacts
from firm import payment_reviews
from firm.payouts import account as payout_account
from firm.payouts import row
from store import products, surveillance
from store.models import Account, Case, CaseAccount, Dispute, Intent, Payout, Trader

_OPEN_DISPUTES: Final = ("opened", "awaiting_decision", "reinstating")


async def risk_facts(session: AsyncSession, payout: Payout) -> RiskFacts:
    """Returns what is in this payout's way now. Locks challenge, account and identity until the transaction ends."""
    challenge, account = await payout_account.lock(session, payout.challenge_id, payout.account_id)
    product = await products.load(session, account.product, account.version)
    identity = await session.scalar(
        select(Trader.identity).where(Trader.id == payout.trader_id).with_for_update(read=True)
    )
    cases = select(Case.id).join(CaseAccount).join(Account, Account.id == CaseAccount.account_id).distinct()
    cases = cases.order_by(Case.id)
    is_open = await session.scalars(cases.where(Account.trader_id == payout.trader_id, Case.state == "open"))
    confirmed = await surveillance.confirmed_against(session, payout.challenge_id)
    transfer = await session.get(Intent, keys.payout_transfer(payout.id), populate_existing=True)
    outcome = transfer.result if transfer is not None else None
    disputes = await session.scalars(
        select(Dispute.id).where(Dispute.challenge_id == payout.challenge_id, Dispute.state.in_(_OPEN_DISPUTES))
    )
    return RiskFacts(
        challenge_state=challenge.state,
        account_status=account.status,
        breaches=await payout_account.breaches(session, account.id),
        open_reviews=await payout_account.open_reviews(session, account.id),
        levels_beyond=await payout_account.levels_beyond(session, payout, account, product),
        identity=identity or "gone",
        open_cases=tuple(is_open),
        confirmed_cases=tuple(confirmed),
        open_disputes=tuple(disputes),
        open_payment_reviews=await payment_reviews.holding(session, payout.trader_id),
        terms_intact=row.digest(payout, product) == payout.terms_digest,
        transfer_refused=str((outcome or {}).get("refused", "")),
        transfer_begun=transfer is not None and outcome is None,
    )
