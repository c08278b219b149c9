"""What happened on each venue of a demo with several, read from the database when it is over."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import ColumnElement, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from cli.demo.report import RETURN_DECISIONS
from store.db import Database
from store.models import (
    Account,
    Breach,
    CaseAccount,
    Challenge,
    Chargeback,
    DealRow,
    Decision,
    Dispute,
    Payout,
    PayoutTransfer,
    PhasePass,
)


async def by_venue(db: Database, challenges: Mapping[str, Sequence[str]]) -> dict[str, dict[str, Any]]:
    """Returns the outcomes on each venue. `challenges`: the challenge ids of each."""
    async with db.transaction() as session:
        return {venue: await _outcomes(session, ids) for venue, ids in challenges.items()}


async def _outcomes(session: AsyncSession, ids: Sequence[str]) -> dict[str, Any]:
    mine = select(Account.id).where(Account.challenge_id.in_(ids))
    payouts = select(Payout.id).where(Payout.challenge_id.in_(ids))
    came_back = PayoutTransfer.payout_id.in_(payouts) & (PayoutTransfer.state == "returned")
    decided = (Decision.subject_kind == "payout") & Decision.subject_id.in_(payouts)
    return {
        "accounts": len(ids),
        "accounts_opened": await _counted(session, Account.platform, Account.challenge_id.in_(ids)),
        "states": await _counted(session, Challenge.state, Challenge.id.in_(ids)),
        "deals": await session.scalar(select(func.count()).where(DealRow.account_id.in_(mine))),
        "breaches": await _counted(session, Breach.rule_id, Breach.account_id.in_(mine)),
        "passes": await session.scalar(select(func.count()).where(PhasePass.account_id.in_(mine))),
        "payouts": await _counted(session, Payout.state, Payout.id.in_(payouts)),
        "payouts_came_back": await session.scalar(
            select(func.count(func.distinct(PayoutTransfer.payout_id))).where(came_back)
        ),
        "returns_decided": await _counted(
            session, Decision.decision, decided & Decision.decision.in_(RETURN_DECISIONS)
        ),
        "chargebacks": await _counted(session, Chargeback.state, Chargeback.challenge_id.in_(ids)),
        "cases": await session.scalar(
            select(func.count(func.distinct(CaseAccount.case_id))).where(CaseAccount.account_id.in_(mine))
        ),
        "disputes": await _counted(session, Dispute.state, Dispute.challenge_id.in_(ids)),
    }


async def _counted(session: AsyncSession, column: Any, which: ColumnElement[bool]) -> dict[str, int]:
    rows = await session.execute(select(column, func.count()).where(which).group_by(column).order_by(column))
    return {str(name): int(count) for name, count in rows}
