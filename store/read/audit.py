"""The audit log and its verification. For staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store import audit_chain, audit_checks, reasons
from store.audit_chain import Verdict
from store.models import AuditCheckRow, AuditEntry, User
from store.read.pages import Page, View, Window, keyset


class AuditRow(View):
    seq: int
    actor: str
    actor_name: str | None
    role: str
    action: str
    subject_kind: str
    subject_id: str
    reason: str
    evidence: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime
    digest: str


class WholeCheck(View):
    """A verification of every entry up to seq `through`. `by`: who asked for it; None: a view of the log."""

    through: int
    broken_at: int | None
    at: datetime
    by: str | None


class AuditCheck(View):
    """What was verified. `whole`: nothing broken is known.

    This request checked the entries after seq `after` up to `through`. Those up to `after` were found right at
    `after_at` and were not looked at again: only the verification of all finds a change there. `complete`: no entry
    follows `through`. `broken_at`: the first broken entry that this request or the last verification of all found.
    `last_whole`: that verification; None: there was none.
    """

    whole: bool
    entries: int
    broken_at: int | None
    after: int
    after_at: datetime | None
    through: int
    complete: bool
    last_whole: WholeCheck | None


async def page(
    session: AsyncSession,
    window: Window,
    *,
    subject_id: str | None = None,
    actor: str | None = None,
    action: str | None = None,
) -> Page[AuditRow]:
    """Newest first."""
    statement = select(AuditEntry, User.name).outerjoin(User, User.id == AuditEntry.actor)
    wanted = ((AuditEntry.subject_id, subject_id), (AuditEntry.actor, actor), (AuditEntry.action, action))
    for column, value in wanted:
        if value is not None:
            statement = statement.where(column == value)
    rows, cursor = await keyset(session, statement, [AuditEntry.seq], window)
    said = await reasons.opened(session, (row.AuditEntry.reason for row in rows))
    items = tuple(_view(row.AuditEntry, row.name, said[row.AuditEntry.reason]) for row in rows)
    return Page[AuditRow](items=items, next_cursor=cursor)


def _view(entry: AuditEntry, name: str | None, reason: str) -> AuditRow:
    return AuditRow(
        seq=entry.seq,
        actor=entry.actor,
        actor_name=name,
        role=entry.role,
        action=entry.action,
        subject_kind=entry.subject_kind,
        subject_id=entry.subject_id,
        reason=reason,
        evidence=entry.evidence,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        digest=entry.digest,
    )


async def check(session: AsyncSession) -> AuditCheck:
    """Checks what follows the last verification."""
    found, begun = await audit_checks.check_on(session)
    return await _told(session, found, begun)


async def check_all(session: AsyncSession, by: str) -> AuditCheck:
    """Recomputes and checks every entry. `by`: a user id, or `command-line`."""
    return await _told(session, await audit_checks.check_all(session, by), None)


async def _told(session: AsyncSession, found: Verdict, begun: AuditCheckRow | None) -> AuditCheck:
    entries = await session.scalar(select(func.count()).select_from(AuditEntry)) or 0
    row = await audit_checks.last_whole(session)
    broken_at = found.broken_at or (row.broken_at if row else None)
    whole = (
        None if row is None else WholeCheck(through=row.through, broken_at=row.broken_at, at=row.checked_at, by=row.by)
    )
    return AuditCheck(
        whole=broken_at is None,
        entries=entries,
        broken_at=broken_at,
        after=begun.anchor_through or 0 if begun else 0,
        after_at=begun.checked_at if begun else None,
        through=found.through,
        complete=await audit_chain.is_last(session, found.through),
        last_whole=whole,
    )
