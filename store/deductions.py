"""The trades of accounts as a deduction of tainted profit sees them."""

from collections.abc import Collection
from datetime import UTC
from typing import Any

from sqlalchemy import Row, ScalarSelect, Select, case, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.payouts.tainted import Trade
from store.models import Account, BalanceOperationRow, Challenge, DealRow, DeductedTrade


def last_reset(account_id: Any) -> ScalarSelect[int]:
    """The number of the event that last brought the balance back to the initial one. `account_id`: text or column."""
    return (
        select(func.max(BalanceOperationRow.seq))
        .where(
            BalanceOperationRow.account_id == account_id,
            BalanceOperationRow.key.startswith(keys.RESET_BALANCE, autoescape=True),
        )
        .scalar_subquery()
    )


async def trades(
    session: AsyncSession,
    account_ids: Collection[str],
    *,
    positions: Collection[str] | None = None,
    limit: int | None = None,
) -> list[Trade]:
    """Returns the positions of these accounts, with the largest profit first. `positions`: only those with these ids;
    `limit`: at most so many."""
    each = _positions(account_ids, positions).subquery()
    is_deducted = (
        select(DeductedTrade.position_id)
        .where(
            DeductedTrade.account_id == each.c.account_id,
            DeductedTrade.position_id == each.c.position_id,
            DeductedTrade.counts,
        )
        .exists()
    )
    rows = await session.execute(
        select(
            each,
            Account.currency,
            ((Challenge.account_id == Account.id) & (Challenge.state == "funded")).label("pays_out"),
            func.coalesce(last_reset(each.c.account_id), -1).label("reset_seq"),
            is_deducted.label("is_deducted"),
        )
        .join(Account, Account.id == each.c.account_id)
        .join(Challenge, Challenge.id == Account.challenge_id)
        .order_by(each.c.profit_minor.desc(), each.c.account_id, each.c.position_id)
        .limit(limit)
    )
    return [_trade(row) for row in rows]


def _positions(account_ids: Collection[str], positions: Collection[str] | None) -> Select[Any]:
    """Each position with the sums of its deals."""
    lots, net = DealRow.lots, DealRow.profit_minor + DealRow.commission_minor + DealRow.swap_minor
    made = (
        select(
            DealRow.account_id,
            DealRow.position_id,
            func.min(DealRow.symbol).label("symbol"),
            func.min(DealRow.at).label("opened_at"),
            func.max(DealRow.at).label("closed_at"),
            func.max(DealRow.seq).label("closed_seq"),
            func.sum(case((DealRow.entry == "in", lots), else_=0)).label("lots_in"),
            func.sum(case((DealRow.entry == "out", lots), else_=0)).label("lots_out"),
            func.sum(net).label("profit_minor"),
        )
        .where(DealRow.account_id.in_(account_ids))
        .group_by(DealRow.account_id, DealRow.position_id)
    )
    return made if positions is None else made.where(DealRow.position_id.in_(positions))


def _trade(row: Row[Any]) -> Trade:
    return Trade(
        account_id=row.account_id,
        position_id=row.position_id,
        symbol=row.symbol,
        currency=row.currency,
        opened_at=row.opened_at.astimezone(UTC),
        closed_at=row.closed_at.astimezone(UTC),
        closed_seq=row.closed_seq,
        lots_in=row.lots_in,
        lots_out=row.lots_out,
        profit_minor=int(row.profit_minor),
        pays_out=bool(row.pays_out),
        was_reset=row.closed_seq < row.reset_seq,
        is_deducted=row.is_deducted,
    )
