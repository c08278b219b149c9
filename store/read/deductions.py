"""Deductions of tainted profit: what a case proposes, the trades it can name, and what counts on an account."""

from collections.abc import Collection
from datetime import datetime

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store import deductions
from store.models import Account, CaseAction, DeductedTrade
from store.read.pages import View, account_number

MOST_SHOWN = 200


class DeductedTradeView(View):
    """`profit_minor`: net of commission and swap, in minor units of `currency`."""

    account_id: str
    account_number: str
    position_id: str
    symbol: str
    closed_at: datetime
    profit_minor: int
    currency: str


class CaseTradeView(DeductedTradeView):
    """`why_not`: why its profit cannot be deducted; empty when it can."""

    opened_at: datetime
    why_not: str


class AccountDeduction(View):
    """A trade whose profit does not count for payouts, as its trader reads it. `decided_at`: market time."""

    position_id: str
    symbol: str
    closed_at: datetime
    profit_minor: int
    currency: str
    rule: str
    decided_at: datetime


async def of_action(session: AsyncSession, action_id: str) -> tuple[DeductedTradeView, ...]:
    """Returns the trades that an action of a case names, in order of their closing."""
    trades = await session.execute(
        select(DeductedTrade, Account.number, Account.currency)
        .join(Account, Account.id == DeductedTrade.account_id)
        .where(DeductedTrade.action_id == action_id)
        .order_by(DeductedTrade.closed_seq, DeductedTrade.account_id, DeductedTrade.position_id)
    )
    return tuple(
        DeductedTradeView(
            account_id=trade.account_id,
            account_number=account_number(number),
            position_id=trade.position_id,
            symbol=trade.symbol,
            closed_at=trade.closed_at,
            profit_minor=trade.profit_minor,
            currency=currency,
        )
        for trade, number, currency in trades
    )


async def trades(session: AsyncSession, accounts: Collection[str]) -> tuple[CaseTradeView, ...]:
    """Returns the trades of these accounts with the largest profits, at most `MOST_SHOWN`."""
    found = await deductions.trades(session, accounts, limit=MOST_SHOWN)
    named = select(Account.id, Account.number).where(Account.id.in_(accounts))
    numbers = {account_id: account_number(number) for account_id, number in await session.execute(named)}
    return tuple(
        CaseTradeView(
            account_id=trade.account_id,
            account_number=numbers[trade.account_id],
            position_id=trade.position_id,
            symbol=trade.symbol,
            opened_at=trade.opened_at,
            closed_at=trade.closed_at,
            profit_minor=trade.profit_minor,
            currency=trade.currency,
            why_not=trade.why_not,
        )
        for trade in found
    )


async def of_account(session: AsyncSession, account_id: str) -> tuple[AccountDeduction, ...]:
    """Returns the trades of an account whose profit does not count, in order of their closing. The caller has made sure
    that the account may be seen."""
    rows = await session.execute(
        select(DeductedTrade, CaseAction.rule, CaseAction.closed_at, Account.currency)
        .join(CaseAction, CaseAction.id == DeductedTrade.action_id)
        .join(Account, Account.id == DeductedTrade.account_id)
        .where(DeductedTrade.account_id == account_id, DeductedTrade.counts)
        .order_by(DeductedTrade.closed_seq, DeductedTrade.position_id)
    )
    return tuple(
        AccountDeduction(
            position_id=trade.position_id,
            symbol=trade.symbol,
            closed_at=trade.closed_at,
            profit_minor=trade.profit_minor,
            currency=currency,
            rule=rule,
            decided_at=decided_at,
        )
        for trade, rule, decided_at, currency in rows
    )
