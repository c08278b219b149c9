"""What people did with an item of the work queue besides deciding it. For staff."""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import aliased

from store import reasons
from store.models import AuditEntry, User
from store.read.pages import View

MOST: Final = 20
_WORDS: Final = {
    "work.taken_over": "Taken over",
    "work.snoozed": "Snoozed",
    "work.brought_back": "Brought back",
    "work.escalated": "Escalated",
    "work.undone": "Undone",
    "review.closed": "Closed",
    "review.reopened": "Opened again",
}


class WorkStep(View):
    """`what`: in words. `to`: whom it was escalated to. `at`: market time."""

    what: str
    by: str
    to: str
    reason: str
    at: datetime


async def of(session: AsyncSession, kind: str, subject_id: str) -> list[WorkStep]:
    """The newest first, at most 20."""
    to = aliased(User)
    rows = await session.execute(
        select(AuditEntry, User.name, to.name.label("to_name"))
        .outerjoin(User, User.id == AuditEntry.actor)
        .outerjoin(to, to.id == AuditEntry.evidence["to"].astext)
        .where(AuditEntry.subject_kind == kind, AuditEntry.subject_id == subject_id, AuditEntry.action.in_(_WORDS))
        .order_by(AuditEntry.seq.desc())
        .limit(MOST)
    )
    found = rows.all()
    said = await reasons.opened(session, (row.AuditEntry.reason for row in found)) if found else {}
    return [
        WorkStep(
            what=_WORDS[row.AuditEntry.action],
            by=row.name or row.AuditEntry.actor,
            to=row.to_name or str(row.AuditEntry.evidence.get("to_role", "")),
            reason=said[row.AuditEntry.reason],
            at=row.AuditEntry.occurred_at,
        )
        for row in found
    ]
