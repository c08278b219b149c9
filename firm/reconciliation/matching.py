"""Books what a source's statement shows, matches it with the books, and keeps what does not agree as breaks."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain import keys
from domain.ledger import Entry, payout_return_settled, payout_settled, statement_entry
from domain.money import Money
from domain.reconciliation import (
    PATIENCE,
    TRANSIT_PATIENCE,
    Counterpart,
    classify,
)
from store import audit, ledger
from store.models import ReconciliationBreak
from store.reconciliation import breaks, entries, matching
from store.reconciliation.matching import Batch

AT_ONCE: Final = 500  # rows of one transaction
_SETTLEMENTS: Final = "settlements"  # the account, and the source of its breaks: they are between two sources
_AGREES: Final = "The other side has come: nothing differs any more."


async def advance(session: AsyncSession, source: str, *, after: int) -> Batch:
    """Books and matches the next entries of a source that wait, behind position `after`."""
    here = {"after": after, "limit": AT_ONCE}
    settled = [(_settlement(row, source), row.at) for row in await matching.in_transit(session, source, **here)]
    await ledger.post_many(session, settled)
    own = [(_of_statement(row, source), row.at) for row in await matching.own(session, source, **here)]
    await ledger.post_many(session, own)
    return await matching.match(session, source, **here)


def _settlement(row: Any, source: str) -> Entry:
    moved = Money(minor=abs(row.amount_minor), currency=row.currency)
    post = payout_settled if row.kind == "transfer" else payout_return_settled
    return post(row.subject, moved, source, row.attempt)


def _of_statement(row: Any, source: str) -> Entry:
    moved = Money(minor=row.amount_minor, currency=row.currency)
    key = keys.statement_posting(source, row.entry_id)
    if row.kind == "fee":
        return statement_entry("provider_fee", key, row.subject, moved, source)
    kind: Any = "settlement_sent" if row.amount_minor < 0 else "settlement_received"
    return statement_entry(kind, key, row.subject, moved, source)


async def finish(session: AsyncSession, source: str, now: datetime) -> None:
    """After the last batch: closes the breaks that agree by now, and drops lines that add up to nothing."""
    await matching.tidy(session, source)
    for of in (source, _SETTLEMENTS):
        for row in await breaks.close_resolved(session, of, reason=_AGREES, now=now):
            await _record(session, "break.resolved", row.id, row.kind, now)


async def tell(session: AsyncSession, source: str) -> int:
    """Tells the workflows that book refunds, chargebacks and returns of entries that the books do not have."""
    return await entries.hint(session, source, limit=AT_ONCE)


async def open_breaks(session: AsyncSession, source: str, now: datetime) -> int:
    """Opens breaks for the next entries and lines that have waited too long. Returns how many are new; 0 at the end."""
    rows = [
        _of_entry(row, source)
        for row in await breaks.lonely_entries(session, source, until=now - PATIENCE, limit=AT_ONCE)
    ]
    new = await _add(session, rows, now)
    cash, transit = f"provider:{source}", f"in-transit:{source}"
    lines = await breaks.lonely_lines(session, cash, until=now - PATIENCE, limit=AT_ONCE)
    new += await _add(session, [_of_line(row, source, f"line/{row.posting_id}") for row in lines], now)
    sent = await breaks.lonely_transits(session, transit, until=now - TRANSIT_PATIENCE, limit=AT_ONCE)
    whats = [f"transit/{row.account}/{row.reference}/{row.currency}" for row in sent]
    return new + await _add(session, [_of_line(row, source, what) for row, what in zip(sent, whats, strict=True)], now)


async def open_settlement_breaks(session: AsyncSession, now: datetime) -> int:
    """Opens breaks for settlements that left an acquirer and came to no bank, or the other way round."""
    lines = await breaks.lonely_lines(session, _SETTLEMENTS, until=now - TRANSIT_PATIENCE, limit=AT_ONCE)
    return await _add(session, [_of_line(row, _SETTLEMENTS, f"line/{row.posting_id}") for row in lines], now)


def _of_entry(row: Any, source: str) -> dict[str, Any]:
    line = None
    if row.posting_id is not None:
        line = Counterpart(row.posting_id, row.line_minor, row.line_currency)
    found = classify(row.amount_minor, row.currency, line, repeats=row.repeats)
    detail = {"entry_kind": row.kind, "object_id": row.object_id, "at": row.at.isoformat(), "shown": row.amount_minor}
    if found.posting_id is not None:
        detail |= {"booked": row.line_minor, "booked_currency": row.line_currency}
    return {
        "what": f"entry/{source}/{row.entry_id}",
        "kind": found.kind,
        "source": source,
        "account": f"provider:{source}",
        "subject": row.subject,
        "entry_id": row.entry_id,
        "posting_id": found.posting_id,
        "amount_minor": found.amount_minor,
        "currency": row.currency,
        "detail": detail,
    }


def _of_line(row: Any, source: str, what: str) -> dict[str, Any]:
    booked = int(row.amount_minor)
    return {
        "what": what,
        "kind": "missing_at_source",
        "source": source,
        "account": row.account,
        "subject": row.reference,
        "entry_id": None,
        "posting_id": row.posting_id,
        "amount_minor": -booked,
        "currency": row.currency,
        "detail": {"booked": booked, "at": row.occurred_at.isoformat()},
    }


async def _add(session: AsyncSession, rows: Sequence[dict[str, Any]], now: datetime) -> int:
    made = await breaks.add(session, [{**row, "first_seen_at": now} for row in rows])
    for row in made:
        await opened(session, row, now)
    return len(made)


async def opened(session: AsyncSession, row: ReconciliationBreak, now: datetime) -> None:
    """Records in the audit log that people have to look at a break."""
    evidence = {"amount_minor": row.amount_minor, "currency": row.currency, "what": row.what}
    await _record(session, "break.opened", row.id, row.kind, now, evidence)


async def _record(
    session: AsyncSession, action: str, break_id: str, kind: str, now: datetime, evidence: dict[str, Any] | None = None
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind="break",
        subject_id=break_id,
        occurred_at=now,
        evidence={"kind": kind, **(evidence or {})},
    )
