"""What the sources showed: their entries, each stored once, and whom to tell of those that the books do not have."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import bindparam

from store.models import ProviderEntryRow

_COLUMNS: Final = """
    n int, entry_id text, kind text, object_id text, reference text, amount_minor bigint, currency text, at timestamptz
"""
_STORE: Final = text(f"""
    INSERT INTO provider_entries
           (provider, entry_id, kind, object_id, reference, subject, amount_minor, currency, at, seen_at)
    SELECT :source, r.entry_id, r.kind, r.object_id, r.reference,
           coalesce((SELECT payout_id FROM payout_transfers t WHERE t.id = r.reference),
                    split_part(r.reference, '/', 1)),
           r.amount_minor, r.currency, r.at, :now
      FROM jsonb_to_recordset(:rows) AS r({_COLUMNS}) ORDER BY r.n
    ON CONFLICT (provider, entry_id) DO NOTHING RETURNING entry_id
""").bindparams(bindparam("rows", type_=JSONB))
_CHANGED: Final = text(f"""
    SELECT r.entry_id, r.kind, r.object_id FROM jsonb_to_recordset(:rows) AS r({_COLUMNS})
      JOIN provider_entries e ON e.provider = :source AND e.entry_id = r.entry_id
     WHERE (e.amount_minor, e.currency) <> (r.amount_minor, r.currency) ORDER BY r.n
""").bindparams(bindparam("rows", type_=JSONB))


async def cursor(session: AsyncSession, source: str, *, back: int) -> str | None:
    """Returns the id of the entry `back` places before the newest one; None when there are not as many: then the source
    is read from its beginning."""
    place: str | None = await session.scalar(
        select(ProviderEntryRow.entry_id)
        .where(ProviderEntryRow.provider == source)
        .order_by(ProviderEntryRow.position.desc())
        .offset(back)
        .limit(1)
    )
    return place


async def store(session: AsyncSession, source: str, rows: Sequence[dict[str, Any]], now: datetime) -> int:
    """Adds entries in the source's order; stored ones are skipped. Returns how many were new."""
    values = {"source": source, "rows": _numbered(rows), "now": now}
    return len((await session.execute(_STORE, values)).all())


async def changed(session: AsyncSession, source: str, rows: Sequence[dict[str, Any]]) -> Sequence[Any]:
    """Returns (entry_id, kind, object_id) of stored entries that the source now shows with another amount."""
    return (await session.execute(_CHANGED, {"source": source, "rows": _numbered(rows)})).all()


def _numbered(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    return [{**row, "n": number} for number, row in enumerate(rows)]


# An entry whose booking belongs to a workflow is told to it as if its webhook had arrived. Refunds and chargebacks are
# told by their checkout, which the challenge knows; a return by its transfer.
_HINT: Final = text("""
    WITH waiting AS (
        SELECT e.entry_id, e.object_id, e.reference, e.subject, h.event, h.kind
          FROM provider_entries e
          JOIN (VALUES ('refund', 'charge.refunded'), ('refund_failed', 'charge.refunded'),
                       ('dispute', 'charge.disputed'), ('dispute_won', 'charge.disputed'),
                       ('transfer_return', 'transfer.returned')) AS h(kind, event) ON h.kind = e.kind
         WHERE e.provider = :source AND e.transaction_id IS NULL AND e.amount_minor <> 0 AND NOT e.hinted
         ORDER BY e.position LIMIT :limit
    ), told AS (
        INSERT INTO inbox (provider, event_id, kind, attempts, object_id)
        SELECT :source, 'entry/' || w.entry_id, w.event, 0,
               coalesce(CASE w.kind
                        WHEN 'transfer_return'
                        THEN coalesce((SELECT provider_id FROM payout_transfers WHERE id = w.reference),
                                      (SELECT transfer_id FROM payouts WHERE id = w.subject AND rail = :source))
                        ELSE (SELECT checkout_id FROM challenges WHERE id = w.subject AND provider = :source) END,
                        w.object_id)
          FROM waiting w
         WHERE w.kind <> 'transfer_return' OR NOT EXISTS (
               SELECT FROM ledger_transactions t WHERE t.reference = w.subject AND t.kind = 'payout_returned')
        ON CONFLICT (provider, event_id) DO NOTHING RETURNING id
    ), marked AS (
        UPDATE provider_entries e SET hinted = true FROM waiting w
         WHERE e.provider = :source AND e.entry_id = w.entry_id RETURNING 1
    )
    SELECT (SELECT count(*) FROM marked) AS marked, (SELECT count(*) FROM told) AS told
""")


async def hint(session: AsyncSession, source: str, *, limit: int) -> int:
    """Tells the workflows that book such movements of entries that the books do not have, each entry once. Returns how
    many entries were looked at; 0 at the end."""
    return int((await session.execute(_HINT, {"source": source, "limit": limit})).one().marked)


async def newest(session: AsyncSession) -> dict[str, datetime]:
    """Returns the time of the newest entry of each source, by a skip scan over the sources."""
    rows = await session.execute(_NEWEST)
    return {row.provider: row.at for row in rows}


_NEWEST: Final = text("""
    WITH RECURSIVE sources AS (
        (SELECT provider FROM provider_entries ORDER BY provider LIMIT 1)
        UNION ALL
        SELECT (SELECT provider FROM provider_entries e WHERE e.provider > s.provider ORDER BY provider LIMIT 1)
          FROM sources s WHERE s.provider IS NOT NULL
    )
    SELECT s.provider, (SELECT e.seen_at FROM provider_entries e WHERE e.provider = s.provider
                         ORDER BY e.position DESC LIMIT 1) AS at
      FROM sources s WHERE s.provider IS NOT NULL
""")


async def waiting(session: AsyncSession) -> int:
    """Returns the number of entries that no ledger transaction explains yet."""
    found = select(func.count()).where(ProviderEntryRow.transaction_id.is_(None), ProviderEntryRow.amount_minor != 0)
    return int(await session.scalar(found) or 0)
