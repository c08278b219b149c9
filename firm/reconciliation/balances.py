"""The balance of a source by its own word against its movements, and how a difference is kept: it counts when it is
seen twice, because money moves between two reads."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncSession

from domain.reconciliation import BY_ITSELF, BreakKind
from firm.reconciliation.matching import opened
from store import audit
from store.models import ReconciliationBreak
from store.reconciliation import balances, breaks


async def compare_source(
    session: AsyncSession, source: str, currency: str, amount_minor: int, at: datetime, now: datetime
) -> None:
    """Compares a source's own balance with the movements that it showed."""
    expected = await balances.expected(session, source, currency)
    await balances.keep(
        session,
        source=source,
        currency=currency,
        amount_minor=amount_minor,
        expected_minor=expected,
        at=at,
        checked_at=now,
    )
    what, difference = f"balance/{source}/{currency}", amount_minor - expected
    if not difference:
        await agree(session, what, now, reason="The balances agree.")
        return
    await note(
        session,
        what,
        difference,
        now,
        kind="balance_differs",
        source=source,
        account=f"provider:{source}",
        currency=currency,
        detail={"shown": amount_minor, "expected": expected, "at": at.isoformat()},
    )


async def note(
    session: AsyncSession,
    what: str,
    difference: int,
    now: datetime,
    *,
    kind: BreakKind,
    confirms: Callable[[ReconciliationBreak], bool] = lambda _: True,
    **about: Any,
) -> None:
    """Keeps a difference, first as a suspicion. The same one again is a break, unless `confirms` says of the suspicion
    that it is too soon. `difference`: in minor units; what else differs is in `about["detail"]["difference"]`."""
    row, detail = await breaks.current(session, what), about["detail"]
    if row is None:
        accepted = await breaks.last_closed(session, what)
        if accepted is not None and accepted.resolution == "explain" and _same(accepted, difference, detail):
            return
        values = {"subject": "", "what": what, "kind": kind, "amount_minor": difference, "first_seen_at": now, **about}
        await breaks.add(session, [{**values, "state": "suspected"}])
        return
    if row.state == "suspected" and not _same(row, difference, detail):
        row.amount_minor, row.detail = difference, detail
    elif row.state == "suspected" and confirms(row):
        row.state = "open"
        await opened(session, row, now)
    elif row.state == "open":
        row.amount_minor, row.detail = difference, {**row.detail, **detail}


def _same(row: ReconciliationBreak, difference: int, detail: dict[str, Any]) -> bool:
    return row.amount_minor == difference and row.detail.get("difference") == detail.get("difference")


async def agree(session: AsyncSession, what: str, now: datetime, *, reason: str) -> None:
    """Closes what was seen before of a difference that is no more."""
    row = await breaks.current(session, what)
    if row is None:
        return
    was_open = row.state == "open"
    row.state, row.resolution, row.closed_at = "closed", BY_ITSELF, now
    row.close_reason = reason
    if was_open:
        await audit.record(
            session,
            action="break.resolved",
            subject_kind="break",
            subject_id=row.id,
            occurred_at=now,
            evidence={"kind": row.kind},
        )
