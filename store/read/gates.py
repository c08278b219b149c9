"""Gates of an account: conditions for a pass or a payout."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, GateStanding
from store.read.pages import View
from store.scope import Scope


class GateView(View):
    """State of a gate after the last trading day that changed it, with the proof."""

    rule_id: str
    met: bool
    outcome: str
    sentence: str
    blocks: tuple[str, ...]
    proof_id: str
    occurred_at: datetime


async def list_gates(session: AsyncSession, scope: Scope, account_id: str) -> list[GateView]:
    """Returns the account's gates by rule id. Empty before the first trading day has ended."""
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
