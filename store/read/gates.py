"""Where the gates of an account stand: what must be met before it may pass or be paid."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, GateStanding
from store.read.pages import Scope, View


class GateView(View):
    """As of the account's last trading day at which it changed; the proof shows how it follows."""

    rule_id: str
    met: bool
    outcome: str
    sentence: str
    blocks: tuple[str, ...]
    proof_id: str
    occurred_at: datetime


async def of(session: AsyncSession, scope: Scope, account_id: str) -> list[GateView]:
    """By rule; empty before the first trading day has ended."""
    found = await session.scalars(
        select(GateStanding)
        .join(Account, Account.id == GateStanding.account_id)
        .where(Account.id == account_id, scope.own(Account.trader_id))
        .order_by(GateStanding.rule_id)
    )
    return [
        GateView(
            rule_id=row.rule_id,
            met=row.met,
            outcome=row.outcome,
            sentence=row.sentence,
            blocks=tuple(row.blocks),
            proof_id=row.proof_id,
            occurred_at=row.occurred_at,
        )
        for row in found
    ]
