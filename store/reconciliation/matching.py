"""Matches entries of a source with lines of the books: one statement per batch, however many entries it has."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from sqlalchemy import text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import bindparam

from domain.reconciliation import LEDGER_KINDS

_PAIRS: Final = [{"entry_kind": kind, "ledger_kind": each} for kind, kinds in LEDGER_KINDS.items() for each in kinds]

# The entries of a batch. Their order numbers equal ones, so that each of them needs a line of its own. The books keep
# 32 characters of a subject; a bank's own words may be longer.
_WAITING: Final = """
    waiting AS (
        SELECT entry_id, position, kind, object_id, left(subject, 32) AS subject, amount_minor, currency, at,
               row_number() OVER (PARTITION BY kind, left(subject, 32), amount_minor, currency ORDER BY position) AS nth
          FROM (SELECT * FROM provider_entries
                 WHERE provider = :source AND transaction_id IS NULL AND amount_minor <> 0 AND position > :after
                 ORDER BY position LIMIT :limit FOR NO KEY UPDATE) batch
    )
"""
_MATCH: Final = text(f"""
    WITH {_WAITING}, lines AS (
        SELECT l.posting_id, l.transaction_id, k.entry_kind, l.reference, l.amount_minor, l.currency,
               row_number() OVER (PARTITION BY k.entry_kind, l.reference, l.amount_minor, l.currency
                                  ORDER BY l.posting_id) AS nth
          FROM open_lines l
          JOIN jsonb_to_recordset(:kinds) AS k(entry_kind text, ledger_kind text) ON k.ledger_kind = l.kind
         WHERE l.account = 'provider:' || :source AND l.reference IN (SELECT subject FROM waiting)
    ), pairs AS (
        SELECT w.entry_id, l.transaction_id, l.posting_id FROM waiting w
          JOIN lines l ON l.entry_kind = w.kind AND l.reference = w.subject AND l.amount_minor = w.amount_minor
                      AND l.currency = w.currency AND l.nth = w.nth
    ), gone AS (
        DELETE FROM open_lines o USING pairs p WHERE o.posting_id = p.posting_id
    ), matched AS (
        UPDATE provider_entries e SET transaction_id = p.transaction_id FROM pairs p
         WHERE e.provider = :source AND e.entry_id = p.entry_id RETURNING 1
    )
    SELECT (SELECT count(*) FROM matched) AS matched, (SELECT max(position) FROM waiting) AS last
""").bindparams(bindparam("kinds", type_=JSONB))


@dataclass(frozen=True, slots=True)
class Batch:
    """`last`: the position of the last entry that was looked at; None: there was none."""

    matched: int
    last: int | None


async def match(session: AsyncSession, source: str, *, after: int, limit: int) -> Batch:
    """Matches the next waiting entries behind position `after` with open lines of the same kind, subject, amount and
    currency."""
    values = {"source": source, "after": after, "limit": limit, "kinds": _PAIRS}
    row = (await session.execute(_MATCH, values)).one()
    return Batch(row.matched, row.last)


_IN_TRANSIT: Final = text(f"""
    WITH {_WAITING}, sent AS (
        SELECT t.key, t.kind, t.reference, p.amount_minor, p.currency, s.entry_kind,
               row_number() OVER (PARTITION BY s.entry_kind, t.reference, p.amount_minor, p.currency
                                  ORDER BY t.id) AS nth
          FROM (VALUES ('transfer', 'payout_sent', 'payout_settled'),
                       ('transfer_return', 'payout_returned', 'payout_return_settled'))
               AS s(entry_kind, ledger_kind, settled_kind)
          JOIN ledger_transactions t ON t.kind = s.ledger_kind AND t.reference IN (SELECT subject FROM waiting)
          JOIN postings p ON p.transaction_id = t.id AND p.account = 'in-transit:' || :source
         WHERE t.reverses IS NULL
           AND NOT EXISTS (SELECT FROM ledger_transactions r WHERE r.reverses = t.id)
           AND NOT EXISTS (SELECT FROM ledger_transactions d
                            WHERE d.key = replace(t.key, '/' || s.ledger_kind, '/' || s.settled_kind))
    )
    SELECT w.entry_id, w.kind, w.subject, w.amount_minor, w.currency, w.at,
           ltrim(split_part(s.key, '/' || s.kind, 2), '/') AS attempt
      FROM waiting w JOIN sent s ON s.entry_kind = w.kind AND s.reference = w.subject
                                AND s.amount_minor = w.amount_minor AND s.currency = w.currency AND s.nth = w.nth
     ORDER BY w.position
""")


async def in_transit(session: AsyncSession, source: str, *, after: int, limit: int) -> Sequence[Any]:
    """Returns the entries of transfers, and of their returns, that the books have in transit, with the attempt."""
    return (await session.execute(_IN_TRANSIT, {"source": source, "after": after, "limit": limit})).all()


# The fee of a chargeback is booked by the chargeback.
_OWN: Final = text(f"""
    WITH {_WAITING}
    SELECT w.entry_id, w.kind, w.subject, w.amount_minor, w.currency, w.at
      FROM waiting w
     WHERE (w.kind = 'settlement' OR w.kind = 'fee' AND NOT EXISTS (
               SELECT FROM provider_entries d WHERE d.provider = :source AND d.subject = w.subject
                  AND d.object_id = w.object_id AND d.kind IN ('dispute', 'dispute_won')))
       AND EXISTS (SELECT FROM currencies c WHERE c.code = w.currency)
       AND NOT EXISTS (SELECT FROM open_lines l WHERE l.account = 'provider:' || :source AND l.reference = w.subject
                          AND l.amount_minor = w.amount_minor AND l.currency = w.currency
                          AND l.kind IN ('chargeback_fee', 'chargeback_fee_returned'))
     ORDER BY w.position
""")


async def own(session: AsyncSession, source: str, *, after: int, limit: int) -> Sequence[Any]:
    """Returns the entries that are booked because the statement shows them: fees of the source, and settlements."""
    return (await session.execute(_OWN, {"source": source, "after": after, "limit": limit})).all()


_EVEN: Final = text("""
    DELETE FROM open_lines o USING (
        SELECT account, reference, currency FROM open_lines WHERE account = 'in-transit:' || :source
         GROUP BY account, reference, currency HAVING sum(amount_minor) = 0) even
     WHERE o.account = even.account AND o.reference = even.reference AND o.currency = even.currency
""")
_SETTLED: Final = text("""
    WITH numbered AS (
        SELECT posting_id, currency, abs(amount_minor) AS size, sign(amount_minor) AS side,
               row_number() OVER (PARTITION BY currency, amount_minor ORDER BY posting_id) AS nth
          FROM open_lines WHERE account = 'settlements'
    ), pairs AS (
        SELECT o.posting_id AS left_at, i.posting_id AS came_at FROM numbered o
          JOIN numbered i ON i.currency = o.currency AND i.size = o.size AND i.nth = o.nth
                         AND o.side = 1 AND i.side = -1
    )
    DELETE FROM open_lines l USING pairs p WHERE l.posting_id IN (p.left_at, p.came_at)
""")


async def tidy(session: AsyncSession, source: str) -> None:
    """Drops the lines in transit that add up to nothing, and settlements that left one account and came to another."""
    await session.execute(_EVEN, {"source": source})
    await session.execute(_SETTLED)
