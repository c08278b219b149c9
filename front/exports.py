"""Files with personal data that leave the firm: staff prove who they are before they get one."""

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF
from front.once import Once


async def prove_export(session: AsyncSession, once: Once, what: str) -> None:
    """Uses a step-up of staff before the file `what`, such as the evidence of a dispute; traders get what is theirs.
    Raises StepUpRequired, or NeedsPerson for an API key of staff."""
    if once.actor.role in STAFF:
        await once.prove(session, "personal_data", do="export", what=what)
