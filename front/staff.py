"""Proposals of changes of the staff, as the API and the console take them."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.staff_changes import Kind
from firm import staff
from front.once import Once
from store.models import StaffChange


async def propose(
    session: AsyncSession,
    once: Once,
    kind: Kind,
    *,
    reason: str,
    user_id: str | None = None,
    email: str | None = None,
    role: str | None = None,
) -> StaffChange:
    """Uses a step-up and proposes the change. Raises StepUpRequired, and what `firm.staff.propose` refuses with."""
    whom = {"user": user_id or "", "email": email or "", "role": role or ""}
    await once.prove(session, "roles", do=f"propose {kind}", said=reason, **whom)
    return await staff.propose(
        session,
        kind,
        actor=once.actor,
        reason=reason,
        site=once.deps.public_url,
        user_id=user_id,
        email=email,
        role=role,
    )
