"""Trades whose profit a case deducts. The profit stays on the account; it is left out of what payouts come from. So no
money moves and nothing is booked."""

from collections.abc import Sequence

from sqlalchemy import Select, select, update
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import Conflict
from domain.payouts.tainted import Trade, check_named
from store import deductions, rows
from store.models import Account, DeductedTrade


async def checked(session: AsyncSession, blamed: Sequence[str], named: Sequence[tuple[str, str]]) -> list[Trade]:
    """Returns the named trades, (account id, position id) each, once they may be deducted, under the lock of their
    accounts: a payout that is asked for at the same time waits. Raises BadInput."""
    of_case = sorted({account_id for account_id, _ in named} & {*blamed})
    for account_id in of_case:
        await rows.locked(session, Account, account_id)
    return check_named(named, await deductions.trades(session, of_case, positions={each for _, each in named}))


async def check_unchanged(session: AsyncSession, blamed: Sequence[str], named: Sequence[DeductedTrade]) -> None:
    """Refuse trades that are not as they were proposed. Locks the accounts. Raises BadInput, Conflict."""
    kept = {(row.account_id, row.position_id): row.profit_minor for row in named}
    for trade in await checked(session, blamed, list(kept)):
        if trade.profit_minor != kept[trade.account_id, trade.position_id]:
            raise Conflict(
                f"The profit of trade {trade.position_id} is {trade.profit} now.", remedy="Propose the deduction anew."
            )


async def count(session: AsyncSession, action_id: str, *, counts: bool, of: Select[tuple[str]] | None = None) -> None:
    """Bring the deduction of an action into force, or take it back. `of`: only for these accounts."""
    change = update(DeductedTrade).where(DeductedTrade.action_id == action_id)
    if of is not None:
        change = change.where(DeductedTrade.account_id.in_(of))
    await session.execute(change.values(counts=counts).execution_options(synchronize_session=False))
    await session.flush()


async def of(session: AsyncSession, action_id: str) -> Sequence[DeductedTrade]:
    """Returns the trades that an action names, in order of their closing."""
    found = await session.scalars(
        select(DeductedTrade)
        .where(DeductedTrade.action_id == action_id)
        .order_by(DeductedTrade.closed_seq, DeductedTrade.account_id, DeductedTrade.position_id)
    )
    return found.all()


def row(action_id: str, trade: Trade) -> DeductedTrade:
    return DeductedTrade(
        action_id=action_id,
        account_id=trade.account_id,
        position_id=trade.position_id,
        symbol=trade.symbol,
        opened_at=trade.opened_at,
        closed_at=trade.closed_at,
        closed_seq=trade.closed_seq,
        profit_minor=trade.profit_minor,
    )
