"""Decisions of people on the record: one per person and subject; on a payout one of each kind."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, Subject, Vote
from store.models import Decision, User


async def of(session: AsyncSession, subject_kind: Subject, subject_id: str) -> Sequence[Decision]:
    """All decisions on a subject, oldest first. The caller holds the subject's row lock."""
    rows = await session.scalars(
        select(Decision)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .order_by(Decision.id)
    )
    return rows.all()


async def votes(session: AsyncSession, subject_kind: Subject, subject_id: str) -> list[Vote]:
    """The decisions on a subject as approvals count them: with everybody's role at this moment."""
    rows = await session.execute(
        select(Decision, User)
        .join(User, User.id == Decision.user_id)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .execution_options(populate_existing=True)
    )
    return [
        Vote(
            decision=decision.decision,
            user_id=decision.user_id,
            person_id=decision.person_id,
            role_now=user.role if user.active else None,
            subject_digest=decision.subject_digest,
        )
        for decision, user in rows
    ]


def repeated(decisions: Sequence[Decision], key: str) -> Decision | None:
    """The decision that was recorded under this key before, if any."""
    return next((d for d in decisions if d.evidence.get("key") == key), None)


async def record(
    session: AsyncSession,
    subject_kind: Subject,
    subject_id: str,
    *,
    decision: str,
    actor: Actor,
    reason: str,
    key: str,
    digest: str,
    occurred_at: datetime,
    evidence: dict[str, Any],
) -> None:
    """Add the row; `key` makes recording the same request again recognisable (see `repeated`)."""
    session.add(
        Decision(
            subject_kind=subject_kind,
            subject_id=subject_id,
            decision=decision,
            user_id=actor.user_id,
            person_id=actor.person_id,
            role=actor.role,
            reason=reason,
            subject_digest=digest,
            evidence={"key": key, **evidence},
            occurred_at=occurred_at,
        )
    )
    await session.flush()
