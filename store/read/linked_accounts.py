"""Other accounts of the same trader, and those of traders whom surveillance ties to that trader."""

from typing import Final, Literal

from sqlalchemy import literal, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, Trader, TraderCluster
from store.read.pages import View, account_number

MOST: Final = 8


class LinkedAccount(View):
    """`by`: the same trader, or the same cluster: identity facts tie the traders together."""

    number: str
    product: str
    status: str
    trader_id: str
    trader_name: str
    by: Literal["trader", "cluster"]


async def of_account(session: AsyncSession, account: Account, *, clusters: bool) -> tuple[LinkedAccount, ...]:
    """Returns at most `MOST` accounts, active ones first. `clusters`: the reader may know who is tied to whom."""
    mine = select(literal(account.trader_id))
    cluster = select(TraderCluster.cluster).where(TraderCluster.trader_id == account.trader_id)
    tied = mine.union(select(TraderCluster.trader_id).where(TraderCluster.cluster.in_(cluster)))
    rows = await session.execute(
        select(Account, Trader.name)
        .join(Trader, Trader.id == Account.trader_id)
        .where(Account.trader_id.in_(tied if clusters else mine), Account.id != account.id)
        .where(Account.challenge_id != account.challenge_id)
        .order_by(Account.status != "active", Account.number.desc())
        .limit(MOST)
    )
    return tuple(
        LinkedAccount(
            number=account_number(row.Account.number),
            product=row.Account.product,
            status=row.Account.status,
            trader_id=row.Account.trader_id,
            trader_name=row.name,
            by="trader" if row.Account.trader_id == account.trader_id else "cluster",
        )
        for row in rows
    )
