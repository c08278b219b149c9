"""The history of a subject: its transitions and the decisions of people."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.disputes import DISPUTE
from store import reasons
from store.db import as_firm
from store.models import Decision, Dispute, DisputeWords, Transition, User
from store.read.pages import View
from store.scope import Scope

_DECIDED: Final = DISPUTE.terminal | {"reinstating"}


class TransitionView(View):
    trigger: str
    from_state: str
    to_state: str
    detail: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime


class DecisionView(View):
    """User, name and evidence are for staff; a trader sees decision, role and reason. Of a dispute, the reason is for
    staff only, and `message` is what the trader is told."""

    decision: str
    user_id: str | None
    name: str | None
    role: str
    reason: str
    evidence: dict[str, Any]
    occurred_at: datetime
    recorded_at: datetime
    round: int = 1
    message: str = ""


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
    """Oldest first. The caller has checked that `scope` may see the subject. Of a dispute, a trader sees the outcome
    alone, once it is decided: what they were told, and not why."""
    statement = (
        select(Decision, User.name, DisputeWords)
        .join(User, User.id == Decision.user_id)
        .outerjoin(DisputeWords, DisputeWords.decision_id == Decision.id)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .order_by(Decision.id)
    )
    async with as_firm(session):  # those who decide are staff
        rows = (await session.execute(statement)).all()
        said = await reasons.opened(session, (row.Decision.reason for row in rows))
    made = tuple(_decision(scope, *row, said=said[row.Decision.reason]) for row in rows)
    if subject_kind != "dispute" or scope.staff:
        return made
    dispute = await session.get(Dispute, subject_id)
    if dispute is None or dispute.state not in _DECIDED:
        return ()
    return tuple(each.model_copy(update={"reason": "", "message": dispute.message or ""}) for each in made[-1:])


def _decision(scope: Scope, row: Decision, name: str, words: DisputeWords | None, *, said: str) -> DecisionView:
    return DecisionView(
        decision=row.decision,
        user_id=row.user_id if scope.staff else None,
        name=name if scope.staff else None,
        role=row.role,
        reason=said,
        evidence=row.evidence if scope.staff else {},
        occurred_at=row.occurred_at,
        recorded_at=row.recorded_at,
        round=row.round,
        message=words.message if words else "",
    )
