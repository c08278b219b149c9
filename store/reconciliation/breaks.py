"""Breaks as rows: what waits too long for its other side, and what agrees by now.

Every query reads open rows only, by partial indexes: what was matched before costs nothing.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy import BigInteger, DateTime, String, Subquery, column, func, select, text, update
from sqlalchemy.dialects.postgresql import JSONB, insert
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import bindparam

from domain import keys
from domain.reconciliation import BY_ITSELF, LEDGER_KINDS, PATIENCE, TRANSIT_PATIENCE
from store.models import OpenLine, ProviderEntryRow, ReconciliationBreak

_PAIRS: Final = [{"entry_kind": kind, "ledger_kind": each} for kind, kinds in LEDGER_KINDS.items() for each in kinds]

_LONELY_ENTRIES: Final = text("""
    SELECT e.entry_id, e.kind, e.subject, e.object_id, e.amount_minor, e.currency, e.at,
           l.posting_id, l.amount_minor AS line_minor, l.currency AS line_currency,
           EXISTS (SELECT FROM provider_entries d
                    WHERE d.provider = :source AND d.subject = e.subject AND e.subject <> '' AND d.kind = e.kind
                      AND d.amount_minor = e.amount_minor AND d.currency = e.currency
                      AND d.transaction_id IS NOT NULL) AS repeats
      FROM provider_entries e
      LEFT JOIN LATERAL (
           SELECT o.posting_id, o.amount_minor, o.currency FROM open_lines o
             JOIN jsonb_to_recordset(:kinds) AS k(entry_kind text, ledger_kind text) ON k.ledger_kind = o.kind
            WHERE o.account = 'provider:' || :source AND o.reference = e.subject AND k.entry_kind = e.kind
            ORDER BY o.currency <> e.currency, o.posting_id LIMIT 1) l ON true
     WHERE e.provider = :source AND e.transaction_id IS NULL AND e.amount_minor <> 0 AND e.seen_at <= :until
       AND NOT EXISTS (SELECT FROM reconciliation_breaks b
                        WHERE b.what = 'entry/' || e.provider || '/' || e.entry_id AND b.state <> 'closed')
     ORDER BY e.position LIMIT :limit
""").bindparams(bindparam("kinds", type_=JSONB))


async def lonely_entries(session: AsyncSession, source: str, *, until: datetime, limit: int) -> Sequence[Any]:
    """Returns entries that were read before `until`, have no match and no break yet. Each comes with an open line of
    the same subject and kind, if there is one, and whether an equal entry has its match."""
    values = {"source": source, "until": until, "limit": limit, "kinds": _PAIRS}
    return (await session.execute(_LONELY_ENTRIES, values)).all()


_LONELY_LINES: Final = text("""
    SELECT o.posting_id, o.account, o.kind, o.reference, o.amount_minor, o.currency, o.occurred_at
      FROM open_lines o
     WHERE o.account = :account AND o.occurred_at <= :until
       AND NOT EXISTS (SELECT FROM reconciliation_breaks b
                        WHERE b.what = 'line/' || o.posting_id AND b.state <> 'closed')
       AND NOT EXISTS (SELECT FROM reconciliation_breaks b WHERE b.posting_id = o.posting_id AND b.state = 'open')
     ORDER BY o.posting_id LIMIT :limit
""")


async def lonely_lines(session: AsyncSession, account: str, *, until: datetime, limit: int) -> Sequence[Any]:
    """Returns lines of a cash account from before `until` that no statement has shown and no break is about."""
    values = {"account": account, "until": until, "limit": limit}
    return (await session.execute(_LONELY_LINES, values)).all()


_LONELY_TRANSITS: Final = text("""
    SELECT t.* FROM (
        SELECT account, reference, currency, sum(amount_minor) AS amount_minor, min(occurred_at) AS occurred_at,
               min(posting_id) AS posting_id
          FROM open_lines WHERE account = :account GROUP BY account, reference, currency
        HAVING sum(amount_minor) <> 0 AND min(occurred_at) <= :until) t
     WHERE NOT EXISTS (SELECT FROM reconciliation_breaks b
                        WHERE b.what = concat_ws('/', 'transit', t.account, t.reference, t.currency)
                          AND b.state <> 'closed')
     ORDER BY t.posting_id LIMIT :limit
""")


async def lonely_transits(session: AsyncSession, account: str, *, until: datetime, limit: int) -> Sequence[Any]:
    """Returns what each subject has in transit over `account` since before `until`, without a break yet."""
    values = {"account": account, "until": until, "limit": limit}
    return (await session.execute(_LONELY_TRANSITS, values)).all()


async def add(session: AsyncSession, rows: Sequence[dict[str, Any]]) -> Sequence[ReconciliationBreak]:
    """Adds breaks; one about the same thing that is not closed stays as it is. Returns the new ones."""
    if not rows:
        return ()
    values = [{"id": keys.new_id("brk"), "state": "open", "round": 1, **row} for row in rows]
    made = insert(ReconciliationBreak).values(values)
    made = made.on_conflict_do_nothing(index_elements=["what"], index_where=ReconciliationBreak.state != "closed")
    return (await session.scalars(made.returning(ReconciliationBreak))).all()


_RESOLVED: Final = text("""
    UPDATE reconciliation_breaks b
       SET state = 'closed', resolution = :resolution, close_reason = :reason, closed_at = :now
     WHERE b.state = 'open' AND b.source = :source AND (
           EXISTS (SELECT FROM provider_entries e WHERE b.entry_id IS NOT NULL AND e.provider = b.source
                      AND e.entry_id = b.entry_id AND e.transaction_id IS NOT NULL)
        OR (b.what NOT LIKE 'transit/%' AND b.posting_id IS NOT NULL
            AND NOT EXISTS (SELECT FROM open_lines o WHERE o.posting_id = b.posting_id))
        OR (b.what LIKE 'transit/%' AND b.amount_minor <> -coalesce((
               SELECT sum(o.amount_minor) FROM open_lines o WHERE o.account = b.account AND o.reference = b.subject
                  AND o.currency = b.currency), 0)))
    RETURNING b.id, b.kind
""")


async def close_resolved(session: AsyncSession, source: str, *, reason: str, now: datetime) -> Sequence[Any]:
    """Closes the open breaks of a source whose other side has come, or whose difference is another one by now. Returns
    (id, kind) of each."""
    values = {"source": source, "resolution": BY_ITSELF, "reason": reason, "now": now}
    return (await session.execute(_RESOLVED, values)).all()


async def current(session: AsyncSession, what: str) -> ReconciliationBreak | None:
    """Returns the break about `what` that is not closed, locked."""
    found = select(ReconciliationBreak).where(ReconciliationBreak.what == what, ReconciliationBreak.state != "closed")
    row: ReconciliationBreak | None = await session.scalar(found.with_for_update())
    return row


async def last_closed(session: AsyncSession, what: str) -> ReconciliationBreak | None:
    """Returns the break about `what` that was closed last."""
    found = (
        select(ReconciliationBreak)
        .where(ReconciliationBreak.what == what, ReconciliationBreak.state == "closed")
        .order_by(ReconciliationBreak.recorded_at.desc(), ReconciliationBreak.id.desc())
        .limit(1)
    )
    row: ReconciliationBreak | None = await session.scalar(found)
    return row


async def partner(session: AsyncSession, row: ReconciliationBreak) -> ProviderEntryRow | OpenLine | None:
    """Returns what a break can be matched with by hand, because it is the only one of that amount: an open line for an
    entry, an entry for a line. None when there is none, or several."""
    if row.entry_id is not None:
        lines = select(OpenLine).where(
            OpenLine.account == f"provider:{row.source}",
            OpenLine.amount_minor == row.amount_minor,
            OpenLine.currency == row.currency,
        )
        found: Sequence[ProviderEntryRow | OpenLine] = (await session.scalars(lines.limit(2))).all()
    elif row.posting_id is not None and not row.what.startswith("transit/"):
        entries = select(ProviderEntryRow).where(
            ProviderEntryRow.provider == row.source,
            ProviderEntryRow.transaction_id.is_(None),
            ProviderEntryRow.amount_minor == -row.amount_minor,
            ProviderEntryRow.currency == row.currency,
        )
        found = (await session.scalars(entries.limit(2))).all()
    else:
        found = ()
    return found[0] if len(found) == 1 else None


async def explain_entry(session: AsyncSession, source: str, entry_id: str, transaction_id: int | None) -> None:
    """Sets the ledger transaction of an entry; None: it waits again."""
    await session.execute(
        update(ProviderEntryRow)
        .where(ProviderEntryRow.provider == source, ProviderEntryRow.entry_id == entry_id)
        .values(transaction_id=transaction_id)
    )


async def take_lines(session: AsyncSession, *, transactions: Sequence[int], postings: Sequence[int]) -> list[int]:
    """Removes open lines, because they are explained. Returns their ids."""
    removed = await session.scalars(
        text(
            "DELETE FROM open_lines WHERE transaction_id = ANY(:transactions) OR posting_id = ANY(:postings)"
            " RETURNING posting_id"
        ),
        {"transactions": list(transactions), "postings": list(postings)},
    )
    return sorted(removed)


async def cancel_out(session: AsyncSession, *, made: str, undone: str) -> None:
    """Removes the open lines of two ledger transactions, by key, of which the second undoes the first, unless a
    statement has shown the first: no money moved, so none will show either."""
    await session.execute(_CANCEL_OUT, {"made": made, "both": [made, undone]})


_CANCEL_OUT: Final = text("""
    DELETE FROM open_lines o USING ledger_transactions t
     WHERE t.id = o.transaction_id AND t.key = ANY(:both)
       AND EXISTS (SELECT FROM open_lines m JOIN ledger_transactions f ON f.id = m.transaction_id WHERE f.key = :made)
""")


async def transit_lines(session: AsyncSession, account: str, reference: str, currency: str) -> list[int]:
    """Returns the open lines of a subject that is in transit."""
    found = select(OpenLine.posting_id).where(
        OpenLine.account == account, OpenLine.reference == reference, OpenLine.currency == currency
    )
    return list(await session.scalars(found))


async def put_lines_back(session: AsyncSession, postings: Sequence[int]) -> None:
    """Opens lines again that were explained."""
    await session.execute(
        text("""
            INSERT INTO open_lines
            SELECT p.id, t.id, p.account, t.kind, t.reference, p.amount_minor, p.currency, t.occurred_at
              FROM postings p JOIN ledger_transactions t ON t.id = p.transaction_id WHERE p.id = ANY(:postings)
            ON CONFLICT DO NOTHING
        """),
        {"postings": list(postings)},
    )


UNRECONCILED: Final = text("""
    SELECT 'break' AS what, id AS ref, kind, source, subject AS about, amount_minor, currency, first_seen_at AS since
      FROM reconciliation_breaks WHERE state = 'open'
    UNION ALL
    SELECT 'entry', e.provider || '/' || e.entry_id, e.kind, e.provider, e.subject, e.amount_minor, e.currency,
           e.seen_at
      FROM provider_entries e WHERE e.transaction_id IS NULL AND e.amount_minor <> 0
       AND e.seen_at <= :day AND NOT EXISTS (SELECT FROM reconciliation_breaks b
           WHERE b.what = 'entry/' || e.provider || '/' || e.entry_id AND b.state = 'open')
    UNION ALL
    SELECT 'line', o.posting_id::text, o.kind, o.account, o.reference, o.amount_minor, o.currency, o.occurred_at
      FROM open_lines o WHERE (o.account LIKE 'provider:%' AND o.occurred_at <= :day
            OR o.account = 'settlements' AND o.occurred_at <= :days)
       AND NOT EXISTS (SELECT FROM reconciliation_breaks b WHERE b.state = 'open' AND b.posting_id = o.posting_id)
    UNION ALL
    SELECT 'transit', concat_ws('/', t.account, t.reference, t.currency), '', t.account, t.reference, t.amount_minor,
           t.currency, t.since
      FROM (SELECT account, reference, currency, sum(amount_minor)::bigint AS amount_minor, min(occurred_at) AS since
              FROM open_lines WHERE account LIKE 'in-transit:%' GROUP BY account, reference, currency
            HAVING sum(amount_minor) <> 0 AND min(occurred_at) <= :days) t
     WHERE NOT EXISTS (SELECT FROM reconciliation_breaks b WHERE b.state = 'open'
           AND b.what = concat_ws('/', 'transit', t.account, t.reference, t.currency))
""")
_ROWS: Final = UNRECONCILED.columns(
    column("what", String),
    column("ref", String),
    column("kind", String),
    column("source", String),
    column("about", String),
    column("amount_minor", BigInteger),
    column("currency", String),
    column("since", DateTime(timezone=True)),
)
OPEN_ENDS: Final = text("""
    SELECT (SELECT count(*) FROM provider_entries WHERE transaction_id IS NULL AND amount_minor <> 0)
         + (SELECT count(*) FROM open_lines WHERE account NOT LIKE 'in-transit:%')
         + (SELECT count(*) FROM (SELECT 1 FROM open_lines WHERE account LIKE 'in-transit:%'
              GROUP BY account, reference, currency HAVING sum(amount_minor) <> 0) t)
""")


async def unreconciled(session: AsyncSession, now: datetime, *, at_most: int | None = None) -> int:
    """Returns the number of open breaks, and of everything else that has waited for its other side longer than a day;
    money in transit may take five. `at_most`: no more are counted."""
    rows = select(unreconciled_rows(now).c.what).limit(at_most).subquery()
    return await session.scalar(select(func.count()).select_from(rows)) or 0


def unreconciled_rows(now: datetime) -> Subquery:
    """What `unreconciled` counts, a row each: `what` is break, entry, line or transit, and `ref` names it."""
    values = {"day": now - PATIENCE, "days": now - TRANSIT_PATIENCE}
    return _ROWS.bindparams(**values).subquery("unreconciled")


async def open_ends(session: AsyncSession) -> int:
    """Returns the number of entries without a line of the books, lines without an entry, and subjects with money in
    transit, however new."""
    return int(await session.scalar(OPEN_ENDS) or 0)
