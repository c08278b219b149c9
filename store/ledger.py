"""The double-entry ledger: post entries, read balances."""

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import IdempotencyMismatch
from domain.ledger import Entry
from store.models import LedgerTransaction, Posting


async def post(session: AsyncSession, entry: Entry, *, occurred_at: datetime, reverses: int | None = None) -> int:
    """Append `entry`. Returns its transaction id; posting the same entry again returns the first id.

    Raises IdempotencyMismatch when the key was used with other postings.
    """
    head = (
        insert(LedgerTransaction)
        .values(
            key=entry.key,
            input_digest=entry.digest,
            kind=entry.kind,
            reference=entry.reference,
            occurred_at=occurred_at,
            reverses=reverses,
        )
        .on_conflict_do_nothing(index_elements=["key"])
        .returning(LedgerTransaction.id)
    )
    created = (await session.execute(head)).scalar_one_or_none()
    if created is None:
        first = (
            await session.execute(select(LedgerTransaction).where(LedgerTransaction.key == entry.key))
        ).scalar_one()
        if first.input_digest != entry.digest:
            raise IdempotencyMismatch(entry.key)
        return first.id
    rows = [{"transaction_id": created, **line.model_dump()} for line in entry.lines]
    await session.execute(insert(Posting), rows)
    return created


async def balance(session: AsyncSession, account: str, currency: str) -> int:
    """Returns the sum of an account's postings in minor units, debit positive."""
    total = await session.execute(
        select(func.coalesce(func.sum(Posting.amount_minor), 0)).where(
            Posting.account == account, Posting.currency == currency
        )
    )
    return int(total.scalar_one())


async def imbalance(session: AsyncSession) -> int:
    """Returns the sum of absolute imbalances over transactions and currencies. It is 0 while the constraint holds."""
    per = (
        select(func.sum(Posting.amount_minor).label("off"))
        .group_by(Posting.transaction_id, Posting.currency)
        .having(func.sum(Posting.amount_minor) != 0)
        .subquery()
    )
    return int((await session.execute(select(func.coalesce(func.sum(func.abs(per.c.off)), 0)))).scalar_one())
