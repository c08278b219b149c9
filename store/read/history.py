"""The history of a subject: its transitions and the decisions of people."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from store.models import Decision, Transition, User
from store.read.pages import Scope, View


class TransitionView(View):
    trigger: str
    from_state: str
    to_state: str
    detail: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime


class DecisionView(View):
    """User, name and evidence are for staff; a trader sees decision, role and reason."""

    decision: str
    user_id: str | None
    name: str | None
    role: str
    reason: str
    evidence: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime


async def transitions(
    session: AsyncSession, scope: Scope, subject_kind: str, subject_id: str
) -> tuple[TransitionView, ...]:
    """Oldest first. The caller has checked that `scope` may see the subject."""
    rows = await session.scalars(
        select(Transition)
        .where(Transition.subject_kind == subject_kind, Transition.subject_id == subject_id)
        .order_by(Transition.id)
    )
    return tuple(
        TransitionView(
            trigger=row.trigger,
            from_state=row.from_state,
            to_state=row.to_state,
            detail=row.detail if scope.staff else {},
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
        for row in rows
    )


async def decisions(
    session: AsyncSession, scope: Scope, subject_kind: str, subject_id: str
) -> tuple[DecisionView, ...]:
    """Oldest first. The caller has checked that `scope` may see the subject."""
    rows = await session.execute(
        select(Decision, User.name)
        .join(User, User.id == Decision.user_id)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .order_by(Decision.id)
    )
    return tuple(
        DecisionView(
            decision=row.decision,
            user_id=row.user_id if scope.staff else None,
            name=name if scope.staff else None,
            role=row.role,
            reason=row.reason,
            evidence=row.evidence if scope.staff else {},
            occurred_at=row.occurred_at,
            recorded_at=row.recorded_at,
        )
        for row, name in rows
    )
