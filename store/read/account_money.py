"""The firm's real money around one account: what its fee and its payouts did to the cash of the firm."""

from datetime import datetime

from sqlalchemy import func, select, union_all
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Account, LedgerTransaction, Payout, Posting
from store.read.pages import View


class MoneyLine(View):
    """One transaction of the books. `amount_minor`: what came in; negative what left. `balance_minor`: all of it up to
    here, in the same currency."""

    transaction_id: int
    kind: str
    reference: str
    currency: str
    amount_minor: int
    balance_minor: int
    occurred_at: datetime


async def newest(session: AsyncSession, account: Account, most: int = 10) -> tuple[MoneyLine, ...]:
    """Returns the newest transactions of the account's challenge and its payouts that moved cash, newest first."""
    payouts = select(Payout.id).where(Payout.account_id == account.id)
    about = union_all(select(Account.challenge_id).where(Account.id == account.id), payouts)
    moved = (
        select(
            LedgerTransaction.id.label("transaction_id"),
            LedgerTransaction.kind,
            LedgerTransaction.reference,
            LedgerTransaction.occurred_at,
            Posting.currency,
            func.sum(Posting.amount_minor).label("amount_minor"),
        )
        .join(Posting, Posting.transaction_id == LedgerTransaction.id)
        .where(
            LedgerTransaction.reference.in_(about),
            Posting.account.startswith("provider:"),
            Posting.layer == "posted",
        )
        .group_by(
            LedgerTransaction.id,
            LedgerTransaction.kind,
            LedgerTransaction.reference,
            LedgerTransaction.occurred_at,
            Posting.currency,
        )
        .having(func.sum(Posting.amount_minor) != 0)  # what only went from one provider to another, or came and went
        .subquery("moved")
    )
    so_far = func.sum(moved.c.amount_minor).over(partition_by=moved.c.currency, order_by=moved.c.transaction_id)
    rows = await session.execute(
        select(moved, so_far.label("balance_minor")).order_by(moved.c.transaction_id.desc()).limit(most)
    )
    return tuple(
        MoneyLine(**{**row._mapping, "amount_minor": int(row.amount_minor), "balance_minor": int(row.balance_minor)})
        for row in rows
    )
