"""Notes about an account, written and read by staff alone."""

from typing import Final

from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF, Actor
from domain.errors import BadInput, NotAllowed, NotFound
from domain.keys import new_id
from store import audit, reasons
from store.clock import market_now
from store.models import Account, AccountNote

NOTERS: Final = STAFF - {"auditor"}
LONGEST: Final = 4000


async def write(session: AsyncSession, account_id: str, *, body: str, actor: Actor) -> AccountNote:
    """Keeps a note about an account for good; the trader never sees it. Raises NotAllowed, BadInput, NotFound."""
    if actor.role not in NOTERS:
        raise NotAllowed(f"Notes are written by {', '.join(sorted(NOTERS))}; your role is {actor.role}.")
    text = body.strip()
    if not 1 <= len(text) <= LONGEST:
        raise BadInput(f"A note has 1 to {LONGEST} characters.", field="body", remedy="Write what you found.")
    if await session.get(Account, account_id) is None:
        raise NotFound
    now = await market_now(session)
    made = AccountNote(
        id=new_id("nte"),
        account_id=account_id,
        author_id=actor.user_id,
        body=await reasons.seal(session, text),
        occurred_at=now,
    )
    session.add(made)
    await session.flush()
    await audit.record(
        session,
        action="account.noted",
        subject_kind="account",
        subject_id=account_id,
        occurred_at=now,
        actor=actor.user_id,
        role=actor.role,
        evidence={"note": made.id},
    )
    return made
