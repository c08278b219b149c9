"""Which funded accounts may have something to pay out: one query for all, before each is looked at closely."""

from collections.abc import Sequence

from sqlalchemy import Text, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, AccountLive, Payout

Figures = tuple[object, ...]


async def payout_figures(session: AsyncSession, account_ids: Sequence[str | None]) -> dict[str, Figures]:
    """Returns what the payable amount depends on, of the accounts without open positions and without an open payout.

    While the figures of an account are the same, its payable amount is the same too.
    """
    waiting = select(Payout.account_id).where(Payout.closed_at.is_(None))
    states = (
        select(func.string_agg(Payout.id + Payout.state, ","))
        .where(Payout.account_id == AccountLive.account_id)
        .scalar_subquery()
    )
    rows = await session.execute(
        select(
            AccountLive.account_id,
            AccountLive.balance_minor,
            AccountLive.equity_minor,
            AccountLive.trading_days,
            func.md5(AccountLive.rule_state.cast(Text)),
            Account.version,
            states,
        )
        .join(Account, Account.id == AccountLive.account_id)
        .where(
            AccountLive.account_id.in_([each for each in account_ids if each]),
            func.jsonb_array_length(AccountLive.positions) == 0,
            AccountLive.account_id.not_in(waiting),
        )
    )
    return {row[0]: tuple(row[1:]) for row in rows}
