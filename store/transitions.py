"""One step of a state machine on the record: table, transition row and audit entry in the caller's transaction."""

from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.states import StateMachine
from store import audit
from store.models import Transition


async def applied(session: AsyncSession, subject_kind: str, subject_id: str, key: str) -> bool:
    """Whether the step with this business key was taken before."""
    found = await session.scalar(
        select(Transition.id).where(
            Transition.subject_kind == subject_kind, Transition.subject_id == subject_id, Transition.key == key
        )
    )
    return found is not None


async def apply(
    session: AsyncSession,
    machine: StateMachine,
    *,
    subject_kind: str,
    subject_id: str,
    state_now: str,
    trigger: str,
    key: str,
    occurred_at: datetime,
    detail: dict[str, Any] | None = None,
    actor: str = "system",
    role: str = "system",
    reason: str = "",
) -> str:
    """Take `trigger` from `state_now` and give the new state, which the caller stores in the subject's row.

    The caller holds the subject's row lock. A `key` that was applied before changes nothing and gives `state_now`
    back. Raises IllegalTransition. Lock every other row before this call: the audit chain it appends to has one
    writer at a time until the transaction ends.
    """
    if await applied(session, subject_kind, subject_id, key):
        return state_now
    to_state = machine.next(state_now, trigger)
    session.add(
        Transition(
            subject_kind=subject_kind,
            subject_id=subject_id,
            key=key,
            trigger=trigger,
            from_state=state_now,
            to_state=to_state,
            detail=detail or {},
            occurred_at=occurred_at,
        )
    )
    await audit.record(
        session,
        action=f"{subject_kind}.{trigger}",
        subject_kind=subject_kind,
        subject_id=subject_id,
        occurred_at=occurred_at,
        actor=actor,
        role=role,
        reason=reason,
        evidence={**(detail or {}), "from": state_now, "to": to_state},
    )
    return to_state
