"""Messages that were given up by the program and wait for a person: tried again, or given up for good with a reason."""

from collections.abc import Collection
from typing import Any, Final, Literal

from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.sql import func

from domain import keys
from domain.approvals import check_reason
from domain.errors import Conflict
from domain.interventions import GIVEN_UP
from firm import challenges, intervention_ends
from store import audit, deliveries, outbox, rows
from store.clock import market_now
from store.models import InboxEvent, Intervention, OutboxMessage

Box = Literal["inbox", "outbox"]
Row = InboxEvent | OutboxMessage
_MODELS: Final[dict[Box, Any]] = {"inbox": InboxEvent, "outbox": OutboxMessage}


async def retry(session: AsyncSession, box: Box, number: int, *, actor: str, role: str) -> None:
    """Lets the relay try a parked message anew, with as many attempts as a new one has. It has the same business key:
    what it did before is not done twice. A reset of a balance is tried again also when it was given up, since payouts
    wait for it. Raises NotFound, Conflict (also for an order to stop an account that trades again)."""
    row = await _parked(session, box, number, takes_back=(outbox.RESET,))
    if isinstance(row, OutboxMessage):
        await _check_still_due(session, row)
        row.dispatched_at = None
    before = row.attempts
    row.parked_at, row.attempts, row.next_at = None, 0, func.clock_timestamp()
    await _note(session, row, box, "message.tried_again", actor=actor, role=role, attempts=before)


async def drop(session: AsyncSession, box: Box, number: int, *, actor: str, role: str, reason: str) -> None:
    """Gives a parked message up for good: its effect never happens. The row stays, with its error. `dispatched_at` only
    says then that nobody delivers it any more. An approved intervention that it carries out lapses. The platform may
    have made an adjustment all the same: the relay asks it once more, and the intervention is done or lapses then.
    Raises BadInput, NotFound, Conflict."""
    check_reason(reason)
    found = await _carried_out(session, box, number)
    row = await _parked(session, box, number)
    waits = found is not None and found.state == "approved"
    attempts = row.attempts
    if isinstance(row, InboxEvent):
        row.handled_at = func.clock_timestamp()
    elif waits and row.topic == outbox.ADJUST and outbox.ONLY_ASKS not in row.payload:
        row.payload = {**row.payload, outbox.ONLY_ASKS: True}
        row.parked_at, row.attempts, row.next_at = None, 0, func.clock_timestamp()
    else:
        row.dispatched_at = func.clock_timestamp()
        if found is not None and waits:
            await intervention_ends.lapse(session, found, GIVEN_UP, await market_now(session))
    await _note(session, row, box, "message.given_up", actor=actor, role=role, reason=reason, attempts=attempts)


async def _carried_out(session: AsyncSession, box: Box, number: int) -> Intervention | None:
    """Returns the intervention that a message carries out, locked before the message is: whoever starts a workflow
    again holds its subject first."""
    row = await session.get(OutboxMessage, number) if box == "outbox" else None
    found = None if row is None else await intervention_ends.of_message(session, row.key)
    return None if found is None else found[0]


async def _parked(session: AsyncSession, box: Box, number: int, *, takes_back: Collection[str] = ()) -> Row:
    """`takes_back`: topics of which messages that were given up are returned too."""
    row: Row = await rows.locked(session, _MODELS[box], number)
    if isinstance(row, InboxEvent):
        waits = row.handled_at is None
    else:
        waits = row.dispatched_at is None or row.topic in takes_back
    if row.parked_at is None or not waits:
        raise Conflict("This message does not wait for a person any more.", remedy="Reload the list.")
    return row


async def _check_still_due(session: AsyncSession, row: OutboxMessage) -> None:
    """Raises Conflict for a lock, or the closing of what was opened after the end, of an account that trades again. An
    account that broke a rule is active until its workflow acts, so that alone says nothing."""
    account_id = str(row.payload.get("account_id", ""))
    stray = row.topic == outbox.CLOSE and row.key.startswith(keys.close_again_message(account_id, ""))
    if row.topic != outbox.LOCK and not stray:
        return
    if not await deliveries.is_active(session, account_id) or await challenges.verdict_waits(session, account_id):
        return
    if not await deliveries.is_paused_now(session, account_id):
        raise Conflict(
            "The account trades again: this order is out of date.",
            remedy="Give the message up. Reconciliation offers a new lock where an account that has ended may trade.",
        )


async def _note(
    session: AsyncSession, row: Row, box: Box, action: str, *, actor: str, role: str, attempts: int, reason: str = ""
) -> None:
    named = f"{row.provider}/{row.event_id}" if isinstance(row, InboxEvent) else row.key
    await audit.record(
        session,
        action=action,
        subject_kind="message",
        subject_id=f"{box}/{row.id}",
        occurred_at=await market_now(session),
        actor=actor,
        role=role,
        reason=reason,
        evidence={"key": named, "attempts": attempts},
    )
