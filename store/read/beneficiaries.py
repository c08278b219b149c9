"""Where traders are paid. Accounts are always masked."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotFound
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


class BeneficiaryDetail(BeneficiaryView):
    trader_id: str


async def one(session: AsyncSession, beneficiary_id: str) -> BeneficiaryDetail:
    """For staff. Raises NotFound."""
    row = await session.get(Beneficiary, beneficiary_id)
    if row is None:
        raise NotFound
    return BeneficiaryDetail(**_fields(row), trader_id=row.trader_id)


async def of_trader(session: AsyncSession, scope: Scope, trader_id: str) -> tuple[BeneficiaryView, ...]:
    """Returns the beneficiaries, newest first. New payouts go to the first one that is not refused."""
    rows = await session.scalars(
        select(Beneficiary)
        .where(scope.own(Beneficiary.trader_id), Beneficiary.trader_id == trader_id)
        .order_by(Beneficiary.recorded_at.desc(), Beneficiary.id.desc())
    )
    return tuple(BeneficiaryView(**_fields(row)) for row in rows)


def _fields(row: Beneficiary) -> dict[str, Any]:
    return {
        "id": row.id,
        "rail": row.rail,
        "account": mask_iban(row.account),
        "currency": row.currency,
        "state": row.state,
        "changes": row.changes,
        "added_at": row.added_at,
    }
