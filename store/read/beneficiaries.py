"""Where traders are paid. Accounts are always masked."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Beneficiary
from store.read.pages import View, mask_iban
from store.scope import Scope


class BeneficiaryView(View):
    """`state`: waiting (for the second channel), confirmed, refused. `changes`: payouts to it wait for the firm's
    cooling period after `added_at`. `currency`: what is sent to it; None: the currency of the payout's account."""

    id: str
    rail: str
    account: str | None
    currency: str | None
    state: str
    changes: bool
    added_at: datetime


async def of_trader(session: AsyncSession, scope: Scope, trader_id: str) -> tuple[BeneficiaryView, ...]:
    """Returns the beneficiaries, newest first. New payouts go to the first one that is not refused."""
    rows = await session.scalars(
        select(Beneficiary)
        .where(scope.own(Beneficiary.trader_id), Beneficiary.trader_id == trader_id)
        .order_by(Beneficiary.recorded_at.desc(), Beneficiary.id.desc())
    )
    return tuple(
        BeneficiaryView(
            id=row.id,
            rail=row.rail,
            account=mask_iban(row.account),
            currency=row.currency,
            state=row.state,
            changes=row.changes,
            added_at=row.added_at,
        )
        for row in rows
    )
