"""How an approved intervention ends: carried out, and the trader is told; or lapsed, with the reason on the record.

Who proposed it and who approved it hear of a lapse by `firm/notifications/returned.py`.
"""

from datetime import datetime
from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain import interventions as rules
from domain import record_keys
from domain.approvals import Actor
from domain.interventions import DONE, INTERVENTION, LAPSED, Kind
from domain.keys import told_ticket
from domain.lifecycle import CHALLENGE
from firm import challenges, tickets
from firm import decide as guard
from store import decisions, reasons, rows
from store.clock import market_now
from store.models import Account, Challenge, Intervention

KIND: Final = "intervention"
_SUBJECTS: Final = {
    "adjust": "The balance of your account is corrected",
    "close": "Your account is closed",
    "reset": "You get a new account of the same phase",
}


async def approved(session: AsyncSession, challenge_id: str, kind: Kind) -> Intervention | None:
    """Returns the approved intervention of this kind that waits to be carried out, locked."""
    found: Intervention | None = await session.scalar(
        select(Intervention)
        .where(Intervention.challenge_id == challenge_id, Intervention.kind == kind, Intervention.state == "approved")
        .with_for_update()
        .execution_options(populate_existing=True)
    )
    return found


async def of_message(session: AsyncSession, key: str) -> tuple[Intervention, Challenge] | None:
    """Returns the intervention that a message of the outbox carries out, and its challenge, both locked in the order in
    which everybody locks; None for a message about something else."""
    made_id = record_keys.carried_out_by(key)
    found = None if made_id is None else await session.get(Intervention, made_id)
    if found is None:
        return None
    challenge = await challenges.lock(session, found.challenge_id)
    return await rows.locked(session, Intervention, found.id), challenge


async def done(session: AsyncSession, made: Intervention, now: datetime) -> None:
    """Records that a locked intervention was carried out, and tells the trader."""
    await step(session, made, DONE, now)
    approval = [each for each in await decisions.of(session, KIND, made.id) if each.decision == "approve"][-1]
    told = await reasons.opened(session, [made.message])
    await tickets.tell(
        session,
        ticket_id=told_ticket(made.id),
        account=await session.get_one(Account, made.account_id),
        user_id=approval.user_id,
        role=approval.role,
        subject=_SUBJECTS[made.kind],
        body=told[made.message],
    )


async def lapse(session: AsyncSession, made: Intervention, why: str, now: datetime) -> None:
    """Ends a locked intervention that is not carried out any more. `why`: a sentence for staff."""
    await step(session, made, LAPSED, now, why=why)


async def lapse_closing(session: AsyncSession, challenge: Challenge) -> None:
    """Ends the approved closing of a locked challenge that has ended otherwise, if there is one."""
    made = await approved(session, challenge.id, "close")
    if made is not None:
        await lapse(session, made, rules.had_ended(challenge.state), await market_now(session))


async def settle_closing(session: AsyncSession, challenge_id: str) -> None:
    """Records that the approved closing of a locked challenge was carried out, if there is one."""
    made = await approved(session, challenge_id, "close")
    if made is not None:
        await done(session, made, await market_now(session))


async def settle_signalled(session: AsyncSession, key: str) -> bool:
    """Returns whether the signal under this key, which found no workflow, is that of an intervention that needs it no
    more. One that cannot be carried out any more lapses. One that can still be waits: the workflow is only missing, and
    gets the signal again when it is started again."""
    found = await of_message(session, key)
    if found is None:
        return False
    made, challenge = found
    if made.state != "approved":
        return True
    why = rules.why_lapsed(
        made.kind,
        state=challenge.state,
        over=challenge.state in CHALLENGE.terminal,
        current=challenge.account_id == made.account_id,
    )
    if why:
        await lapse(session, made, why, await market_now(session))
    return bool(why)


async def step(
    session: AsyncSession,
    made: Intervention,
    trigger: str,
    at: datetime,
    *,
    actor: Actor | None = None,
    reason: str = "",
    why: str = "",
) -> None:
    """Takes a step of a locked intervention. `why`: it lapsed."""
    detail = about(made) | ({"why": why} if why else {})
    await guard.step(
        session, INTERVENTION, made, trigger, kind=KIND, key=trigger, at=at, actor=actor, reason=reason, detail=detail
    )


def about(made: Intervention) -> dict[str, object]:
    """Returns what exactly is done, for the record."""
    found: dict[str, object] = {"kind": made.kind, "account_id": made.account_id}
    return found if made.change_minor is None else found | {"change_minor": made.change_minor, "in": made.currency}
