"""Balances by the word of a statement source, beside what the books say."""

from collections.abc import Sequence
from typing import Any, Final

from sqlalchemy import select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import StatementBalanceRow

# The kept balance of the books, without what the source has not shown, and with what the books do not have.
_EXPECTED: Final = text("""
    SELECT coalesce((SELECT sum(debit_minor - credit_minor) FROM ledger_balances
                      WHERE account = 'provider:' || :source AND currency = :currency), 0)
         - coalesce((SELECT sum(amount_minor) FROM open_lines
                      WHERE account = 'provider:' || :source AND currency = :currency), 0)
         + coalesce((SELECT sum(amount_minor) FROM provider_entries
                      WHERE provider = :source AND currency = :currency AND transaction_id IS NULL
                        AND amount_minor <> 0), 0)
""")


async def expected(session: AsyncSession, source: str, currency: str) -> int:
    """Returns the balance that the source must have if it showed every movement, in minor units."""
    found = await session.scalar(_EXPECTED, {"source": source, "currency": currency})
    return int(found or 0)


async def keep(session: AsyncSession, **balance: Any) -> None:
    """Keeps the newest balance of a source and currency; fields as in StatementBalanceRow."""
    made = insert(StatementBalanceRow).values(**balance)
    await session.execute(made.on_conflict_do_update(index_elements=["source", "currency"], set_=balance))


async def kept(session: AsyncSession) -> Sequence[StatementBalanceRow]:
    order = StatementBalanceRow.source, StatementBalanceRow.currency
    return (await session.scalars(select(StatementBalanceRow).order_by(*order))).all()
