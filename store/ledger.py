"""The double-entry ledger: post entries, read kept balances.

No read here sums over history: the database keeps a balance per account and currency in `ledger_balances`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from sqlalchemy import exists, func, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import bindparam

from domain.errors import IdempotencyMismatch, NotFound
from domain.ledger import CONFIRMS, RELEASES, RESERVES, Entry, Line, payout_confirmed
from store.models import LedgerAccountRow, LedgerBalance, LedgerTransaction, Posting

# One statement: the entry, the accounts of a new connection, and its lines. An entry dated into a sealed period is
# posted at the beginning of the open one, and its evidence keeps the date.
_POST: Final = text("""
    WITH due AS (
        SELECT greatest(CAST(:occurred_at AS timestamptz), (SELECT max(ends_at) FROM ledger_periods)) AS at
    ), head AS (
        INSERT INTO ledger_transactions (key, input_digest, kind, reference, occurred_at, reverses, lines, evidence)
        SELECT CAST(:key AS text), CAST(:digest AS text), CAST(:kind AS text), CAST(:reference AS text), due.at,
               CAST(:reverses AS bigint), CAST(:count AS smallint),
               CASE WHEN due.at > CAST(:occurred_at AS timestamptz)
                    THEN coalesce(CAST(:evidence AS jsonb), '{}') || jsonb_build_object('dated', CAST(:dated AS text))
                    ELSE CAST(:evidence AS jsonb) END
          FROM due
        ON CONFLICT (key) DO NOTHING RETURNING id
    ), lines AS (
        INSERT INTO postings (transaction_id, account, currency, amount_minor, layer)
        SELECT head.id, ledger_account(l.account), l.currency, l.amount_minor, l.layer
          FROM head, jsonb_to_recordset(CAST(:lines AS jsonb))
                     AS l(account text, currency text, amount_minor bigint, layer text)
    )
    SELECT id FROM head
""").bindparams(bindparam("lines", type_=JSONB), bindparam("evidence", type_=JSONB(none_as_null=True)))


async def post(session: AsyncSession, entry: Entry, *, occurred_at: datetime, reverses: int | None = None) -> int:
    """Appends `entry`. Returns its transaction id; posting the same entry again returns the first id.

    A reserve is posted as pending. What is sent or released afterwards ends that: the reserve is posted first, or taken
    back. The caller holds the lock of the entry's payout. Raises IdempotencyMismatch when the key was used with other
    inputs.
    """
    booked = entry
    if entry.kind in RESERVES:
        booked = entry.pending()
    elif entry.kind in CONFIRMS | RELEASES:
        open_lines = await _pending_before(session, entry)
        if open_lines and entry.kind in RELEASES:
            booked = entry.pending()
        elif open_lines:
            await _append(session, payout_confirmed(entry.reference, open_lines), occurred_at)
    created = await _append(session, booked, occurred_at, digest=entry.digest, reverses=reverses)
    if created is not None:
        return created
    first = await _first(session, entry)
    if first is None or first.input_digest not in (entry.digest, entry.earlier_digest):
        raise IdempotencyMismatch(entry.key)
    return first.id


_POST_MANY: Final = text("""
    WITH due AS (
        SELECT e.*, greatest(e.occurred_at, (SELECT max(ends_at) FROM ledger_periods)) AS at
          FROM jsonb_to_recordset(CAST(:entries AS jsonb)) AS e(key text, digest text, kind text, reference text,
               occurred_at timestamptz, lines jsonb, evidence jsonb)
    ), head AS (
        INSERT INTO ledger_transactions (key, input_digest, kind, reference, occurred_at, lines, evidence)
        SELECT key, digest, kind, reference, at, jsonb_array_length(lines),
               CASE WHEN at > occurred_at
                    THEN coalesce(nullif(evidence, 'null'), '{}') || jsonb_build_object('dated', occurred_at)
                    ELSE nullif(evidence, 'null') END
          FROM due ON CONFLICT (key) DO NOTHING RETURNING id, key
    ), lines AS (
        INSERT INTO postings (transaction_id, account, currency, amount_minor, layer)
        SELECT head.id, ledger_account(l.account), l.currency, l.amount_minor, l.layer
          FROM head JOIN due ON due.key = head.key,
               jsonb_to_recordset(due.lines) AS l(account text, currency text, amount_minor bigint, layer text)
    )
    SELECT count(*) FROM head
""").bindparams(bindparam("entries", type_=JSONB))


async def post_many(session: AsyncSession, dated: Sequence[tuple[Entry, datetime]]) -> int:
    """Appends entries in one statement, each at its own time. Returns how many are new: one with a key that is taken is
    skipped, so the key must say everything about it. Not for reserves and what ends them."""
    if not dated:
        return 0
    rows = [
        {
            "key": entry.key,
            "digest": entry.digest,
            "kind": entry.kind,
            "reference": entry.reference,
            "occurred_at": at.isoformat(),
            "lines": [line.model_dump() for line in entry.lines],
            "evidence": entry.evidence,
        }
        for entry, at in dated
    ]
    return int((await session.execute(_POST_MANY, {"entries": rows})).scalar_one())


async def _append(
    session: AsyncSession, entry: Entry, occurred_at: datetime, *, digest: str = "", reverses: int | None = None
) -> int | None:
    """Returns the id of the new transaction; None when the key is taken."""
    values: dict[str, Any] = {
        "key": entry.key,
        "digest": digest or entry.digest,
        "kind": entry.kind,
        "reference": entry.reference,
        "occurred_at": occurred_at,
        "dated": occurred_at.isoformat(),
        "reverses": reverses,
        "evidence": entry.evidence,
        "count": len(entry.lines),
        "lines": [line.model_dump() for line in entry.lines],
    }
    created: int | None = (await session.execute(_POST, values)).scalar_one_or_none()
    return created


async def _first(session: AsyncSession, entry: Entry) -> LedgerTransaction | None:
    found: LedgerTransaction | None = await session.scalar(
        select(LedgerTransaction).where(LedgerTransaction.key == entry.key)
    )
    return found


async def _pending_before(session: AsyncSession, entry: Entry) -> list[Line]:
    """Returns the open pending lines of the entry's payout: none when its reserve was posted or taken back, or when the
    entry itself is on the record."""
    is_posted = exists().where(LedgerTransaction.key == entry.key).correlate(None)
    rows = await session.execute(
        select(Posting.account, Posting.currency, func.sum(Posting.amount_minor))
        .join(LedgerTransaction, LedgerTransaction.id == Posting.transaction_id)
        .where(LedgerTransaction.reference == entry.reference, Posting.layer == "pending", ~is_posted)
        .group_by(Posting.account, Posting.currency)
        .having(func.sum(Posting.amount_minor) != 0)
        .order_by(Posting.account, Posting.currency)
    )
    return [
        Line(account=account, currency=currency, amount_minor=int(total), layer="pending")
        for account, currency, total in rows
    ]


async def balance(session: AsyncSession, account: str, currency: str) -> int:
    """Returns the posted balance of an account in minor units, debit positive. Pending lines are not in it."""
    return await _kept(session, account, currency, LedgerBalance.debit_minor - LedgerBalance.credit_minor)


async def pending(session: AsyncSession, account: str, currency: str) -> int:
    """Returns the sum of an account's pending lines in minor units, debit positive."""
    return await _kept(session, account, currency, LedgerBalance.pending_minor)


async def _kept(session: AsyncSession, account: str, currency: str, column: Any) -> int:
    kept = select(func.coalesce(func.sum(column), 0)).where(
        LedgerBalance.account == account, LedgerBalance.currency == currency
    )
    return int(await session.scalar(kept) or 0)


async def imbalance(session: AsyncSession) -> int:
    """Returns by how much debits and credits differ, as a sum over currencies, books and layers. It is 0 while the
    database's guards hold. `propos ledger check` looks at every transaction."""
    per = (
        select(
            func.sum(LedgerBalance.debit_minor - LedgerBalance.credit_minor).label("posted"),
            func.sum(LedgerBalance.pending_minor).label("pending"),
        )
        .join(LedgerAccountRow, LedgerAccountRow.name == LedgerBalance.account)
        .group_by(LedgerBalance.currency, LedgerAccountRow.type == "memorandum")
        .subquery()
    )
    off = func.coalesce(func.sum(func.abs(per.c.posted) + func.abs(per.c.pending)), 0)
    return int((await session.execute(select(off))).scalar_one())


@dataclass(frozen=True, slots=True)
class TrialRow:
    """One account in one currency. Debits, credits and pending lines in minor units; the balance is debit positive."""

    account: str
    title: str
    type: str
    currency: str
    debit_minor: int
    credit_minor: int
    pending_minor: int

    @property
    def balance_minor(self) -> int:
        return self.debit_minor - self.credit_minor


async def trial_balance(session: AsyncSession, *, memorandum: bool = False) -> Sequence[TrialRow]:
    """Returns the trial balance now: of the money accounts, or of the memorandum accounts."""
    is_memorandum = LedgerAccountRow.type == "memorandum"
    columns = (LedgerBalance.account, LedgerAccountRow.title, LedgerAccountRow.type, LedgerBalance.currency)
    sums = (LedgerBalance.debit_minor, LedgerBalance.credit_minor, LedgerBalance.pending_minor)
    rows = await session.execute(
        select(*columns, *(func.sum(column) for column in sums))
        .join(LedgerAccountRow, LedgerAccountRow.name == LedgerBalance.account)
        .where(is_memorandum if memorandum else ~is_memorandum)
        .group_by(*columns)
        .order_by(LedgerBalance.currency, LedgerAccountRow.type, LedgerBalance.account)
    )
    return [
        TrialRow(account, title, kind, currency, int(debit), int(credit), int(open_minor))
        for account, title, kind, currency, debit, credit, open_minor in rows
    ]


@dataclass(frozen=True, slots=True)
class StatementLine:
    """One posted line and the account's balance after it, in minor units, debit positive."""

    id: int
    occurred_at: datetime
    kind: str
    reference: str
    key: str
    amount_minor: int
    balance_minor: int


STATEMENT: Final = text("""
    SELECT p.id, t.occurred_at, t.kind, t.reference, t.key, p.amount_minor,
           (SELECT coalesce(sum(debit_minor - credit_minor), 0) FROM ledger_balances
             WHERE account = :account AND currency = :currency) AS kept
      FROM postings p JOIN ledger_transactions t ON t.id = p.transaction_id
     WHERE p.account = :account AND p.currency = :currency AND p.layer = 'posted'
       AND (CAST(:before AS bigint) IS NULL OR p.id < :before)
     ORDER BY p.id DESC LIMIT :limit
""")


async def statement(
    session: AsyncSession, account: str, currency: str, *, limit: int = 50, cursor: str | None = None
) -> tuple[list[StatementLine], str | None]:
    """Returns posted lines of an account, newest first, each with the balance after it, and the cursor of the next
    page; None at the end. An entry that commits while pages are read may be missing from them. Raises NotFound when
    there is no such account or cursor."""
    if await session.get(LedgerAccountRow, account) is None:
        raise NotFound(f"There is no account {account!r} in the books.")
    before, after = _cursor(cursor)
    values = {"account": account, "currency": currency, "before": before, "limit": limit + 1}
    rows = (await session.execute(STATEMENT, values)).all()
    lines = []
    for row in rows[:limit]:
        after = int(row.kept) if after is None else after
        lines.append(StatementLine(row.id, row.occurred_at, row.kind, row.reference, row.key, row.amount_minor, after))
        after -= row.amount_minor
    return lines, f"{lines[-1].id}:{after}" if len(rows) > limit else None


def _cursor(cursor: str | None) -> tuple[int | None, int | None]:
    """Returns the id before which a page begins and the balance after its first line."""
    if cursor is None:
        return None, None
    try:
        number, balance_minor = (int(part) for part in cursor.split(":"))
    except ValueError:
        raise NotFound(f"There is no page {cursor[:40]!r} of this statement.") from None
    return number, balance_minor
