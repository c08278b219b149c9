"""State machine steps on the record: transition row and audit entry in the caller's transaction."""

from datetime import datetime
from typing import Any, Final

from sqlalchemy import bindparam, select, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncSession

from domain.states import StateMachine
from store import audit
from store.models import Transition

# The step and its audit entry in one statement: neither is written when the key of the step is on the record.
_APPLY: Final = text(f"""
    WITH step AS (
        INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, occurred_at)
        VALUES (CAST(:subject_kind AS text), CAST(:subject_id AS text), :key, :trigger, :from_state, :to_state, :detail,
                CAST(:occurred_at AS timestamptz))
        ON CONFLICT (subject_kind, subject_id, key) DO NOTHING RETURNING id
    )
    SELECT {audit.APPEND} FROM step
""").bindparams(bindparam("detail", type_=JSONB), bindparam("evidence", type_=JSONB))


async def was_applied(session: AsyncSession, subject_kind: str, subject_id: str, key: str) -> bool:
    """Returns whether the step with this business key is on the record."""
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
    """Record `trigger` from `state_now`. Returns the new state; the caller stores it in the subject's row.

    The caller holds the subject's row lock. A `key` that is on the record changes nothing and returns `state_now`.
    Raises IllegalTransition. Lock other rows before this call: it locks the audit chain until the transaction ends.
    """
    if not machine.allows(state_now, trigger) and await was_applied(session, subject_kind, subject_id, key):
        return state_now
    to_state = machine.next(state_now, trigger)
    entry = audit.entry(
        action=f"{subject_kind}.{trigger}",
        subject_kind=subject_kind,
        subject_id=subject_id,
        occurred_at=occurred_at,
        actor=actor,
        role=role,
        reason=await audit.sealed(session, actor, reason),
        evidence={**(detail or {}), "from": state_now, "to": to_state},
    )
    step = {"key": key, "trigger": trigger, "from_state": state_now, "to_state": to_state, "detail": detail or {}}
    made = await session.execute(_APPLY, {**entry, **step})
    return to_state if made.first() is not None else state_now
