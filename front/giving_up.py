"""Giving a parked message up, as the API and the console do it."""

from sqlalchemy.ext.asyncio import AsyncSession

from firm import parked
from front.once import Once


async def give_up(session: AsyncSession, once: Once, box: parked.Box, number: int, *, reason: str) -> None:
    """Uses a step-up: the message may be about money, and its effect never happens. Raises StepUpRequired, and what
    `firm.parked.drop` refuses with."""
    await once.prove(session, "money", do="give a message up", which=f"{box}/{number}", said=reason)
    await parked.drop(session, box, number, actor=once.actor.user_id, role=once.actor.role, reason=reason)
