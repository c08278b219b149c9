"""The audit log and its verification. For staff."""

from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncSession

from store import audit
from store.models import AuditEntry, User
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


class AuditCheck(View):
    """`broken_at` is the seq of the first entry that does not follow from the one before it."""

    whole: bool
    entries: int
    broken_at: int | None


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
    return Page[AuditRow](items=tuple(_view(row.AuditEntry, row.name) for row in rows), next_cursor=cursor)


def _view(entry: AuditEntry, name: str | None) -> AuditRow:
    return AuditRow(
        seq=entry.seq,
        actor=entry.actor,
        actor_name=name,
        role=entry.role,
        action=entry.action,
        subject_kind=entry.subject_kind,
        subject_id=entry.subject_id,
        reason=entry.reason,
        evidence=entry.evidence,
        occurred_at=entry.occurred_at,
        recorded_at=entry.recorded_at,
        digest=entry.digest,
    )


async def check(session: AsyncSession) -> AuditCheck:
    """Recompute and check the whole chain."""
    broken_at = await audit.verify(session)
    entries = await session.scalar(select(func.count()).select_from(AuditEntry))
    return AuditCheck(whole=broken_at is None, entries=entries or 0, broken_at=broken_at)
