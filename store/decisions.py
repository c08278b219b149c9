"""Decisions of people on the record: one per person and subject; on a payout as many as it takes."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, Subject, Vote
from store import reasons, step_ups
from store.db import as_firm
from store.models import Decision, User


async def of(session: AsyncSession, subject_kind: str, subject_id: str) -> Sequence[Decision]:
    """All decisions on a subject, oldest first. The caller holds the subject's row lock."""
    rows = await session.scalars(
        select(Decision)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .order_by(Decision.id)
    )
    return rows.all()


async def votes(session: AsyncSession, subject_kind: Subject, subject_id: str) -> list[Vote]:
    """The decisions on a subject as approvals count them, oldest first: with everybody's role at this moment."""
    made = (
        select(Decision, User)
        .join(User, User.id == Decision.user_id)
        .where(Decision.subject_kind == subject_kind, Decision.subject_id == subject_id)
        .order_by(Decision.id)
        .execution_options(populate_existing=True)
    )
    async with as_firm(session):  # those who decide are staff
        rows = (await session.execute(made)).all()
    return [
        Vote(
            decision=decision.decision,
            user_id=decision.user_id,
            person_id=decision.person_id,
            role_now=user.role if user.active else None,
            subject_digest=decision.subject_digest,
            round=decision.round,
            expires_at=decision.expires_at,
        )
        for decision, user in rows
    ]


def repeated(decisions: Sequence[Decision], key: str) -> Decision | None:
    """The decision that was recorded under this key before, if any."""
    return next((d for d in decisions if d.evidence.get("key") == key), None)


async def name_of(session: AsyncSession, user_id: str) -> str:
    """Returns the name of the person behind a decision, with the user's id."""
    async with as_firm(session):
        name = await session.scalar(select(User.name).where(User.id == user_id))
    return f"{name} ({user_id})" if name else user_id


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
    approvals_round: int = 1,
    expires_at: datetime | None = None,
) -> None:
    """Add the row; `key` makes recording the same request again recognisable (see `repeated`). The step-up that was
    used for the request goes into the evidence. The reason is sealed."""
    proof = await step_ups.of_key(session, key)
    proven = {} if proof is None else {"step_up": {"id": proof.id, "method": proof.method, "class": proof.action}}
    session.add(
        Decision(
            subject_kind=subject_kind,
            subject_id=subject_id,
            decision=decision,
            user_id=actor.user_id,
            person_id=actor.person_id,
            role=actor.role,
            reason=await reasons.seal(session, reason),
            subject_digest=digest,
            round=approvals_round,
            expires_at=expires_at,
            evidence={"key": key, **evidence, **proven},
            occurred_at=occurred_at,
        )
    )
    await session.flush()
