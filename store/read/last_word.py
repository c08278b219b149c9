"""The last word of a person on something that people decide: who, what and when. For staff."""

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import or_, select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import AuditEntry, Decision, User


class LastWord(NamedTuple):
    """`words`: as a sentence. `at`: market time."""

    user_id: str
    name: str
    what: str
    at: datetime

    @property
    def words(self) -> str:
        return f"{self.what.replace('_', ' ').capitalize()} by {self.name}, {self.at:%Y-%m-%d %H:%M} UTC."


async def last(session: AsyncSession, kind: str, subject_id: str) -> LastWord | None:
    """The last decision on it; of what is closed without one, such as a review, who closed it. None: nobody did."""
    decided = (
        select(Decision.user_id, User.name, Decision.decision, Decision.occurred_at)
        .join(User, User.id == Decision.user_id)
        .where(Decision.subject_kind == kind, Decision.subject_id == subject_id)
        .order_by(Decision.id.desc())
        .limit(1)
    )
    row = (await session.execute(decided)).one_or_none()
    if row is None:
        closed = (
            select(AuditEntry.actor, User.name, AuditEntry.action, AuditEntry.occurred_at)
            .join(User, User.id == AuditEntry.actor)
            .where(AuditEntry.subject_id == subject_id, AuditEntry.subject_kind == kind)
            .where(or_(AuditEntry.action == f"{kind}.closed", AuditEntry.action == f"{kind}.assigned"))
            .order_by(AuditEntry.seq.desc())
            .limit(1)
        )
        row = (await session.execute(closed)).one_or_none()
    return None if row is None else LastWord(row[0], row[1], row[2].rpartition(".")[2], row[3])
