"""Merging tickets of one trader. The source stays, with its own fields and messages, as a signpost to the target; its
messages are read on the target, and further ones go there. A merge can be undone at any time.

Each ticket keeps its own clocks, so the earliest deadline counts, and a merge that is undone leaves no trace in them.
"""

from typing import Final

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.keys import new_id
from domain.tickets import SPLITS
from firm import held_answers, ticket_steps, tickets
from firm.service import clocks
from store import rows
from store.clock import market_now
from store.models import Ticket, TicketMerge

_MOST: Final = 50  # tickets in one


async def merge(session: AsyncSession, *, source_id: str, target_id: str, actor: Actor) -> Ticket:
    """Merges a ticket, with all that was merged into it, into another one; returns the ticket at the end of the chain.

    Raises NotFound (also for a ticket of another trader), NotAllowed, BadInput (both are one ticket already), Conflict
    (it was merged before).
    """
    return await _merged(session, *await _both(session, source_id, target_id, actor), actor)


async def merge_at_desk(session: AsyncSession, *, source_id: str, target_id: str, desk: str) -> Ticket:
    """Does the same for a merge that somebody did at the desk of a third party. Raises NotFound, BadInput, Conflict."""
    source, target = await _locked(session, source_id, target_id)
    return await _merged(session, source, target, None, desk=desk)


async def _merged(
    session: AsyncSession, source: Ticket, target: Ticket, actor: Actor | None, *, desk: str = ""
) -> Ticket:
    if source.merged_into is not None:
        raise Conflict("This ticket was merged already.", remedy="Undo that merge first.")
    if source.id == target.id:
        raise BadInput("These are one ticket already.", field="target", remedy="Choose another ticket.")
    if source.trader_id is None or source.trader_id != target.trader_id:
        raise NotFound
    members = await clocks.family(session, source.id)
    for ticket in (source, target):  # an answer to the target was written without the questions of the source
        await held_answers.let_go(session, ticket)
    if len(members) + len(await clocks.family(session, target.id)) > _MOST:
        raise Conflict(f"One ticket can hold at most {_MOST} others.", remedy="Leave this one by itself.")
    session.add(
        TicketMerge(
            id=new_id("mrg"),
            source_id=source.id,
            target_id=target.id,
            trader_id=source.trader_id,
            from_state=source.state,
            merged_by=None if actor is None else actor.user_id,
            merged_at=await market_now(session),
        )
    )
    waits = source.state == "open"
    user_id, role = (desk, tickets.AT_DESK) if actor is None else (actor.user_id, actor.role)
    await ticket_steps.move(session, source, user_id, role, "ticket_merged")
    source.merged_into, source.assignee_id, source.lease_until, source.due_at = target.id, None, None, None
    for member in await session.scalars(select(Ticket).where(Ticket.id.in_(members))):
        member.root_id = target.id
    if waits and target.state != "open":  # the question still waits, on the target now
        await ticket_steps.move(session, target, user_id, role, "trader_replied")
    await clocks.settle(session, target)
    return target


async def split(session: AsyncSession, *, source_id: str, actor: Actor) -> Ticket:
    """Undoes a merge: the source stands by itself again, in the state it had, with what was merged into it before.
    What was written on the target since stays there. Raises NotFound, NotAllowed, Conflict (it is not merged)."""
    merged_into = (await session.get_one(Ticket, source_id)).merged_into if await _exists(session, source_id) else None
    if merged_into is None:
        raise Conflict("This ticket is not merged into another one.")
    source, root = await _both(session, source_id, merged_into, actor)
    made = await session.scalar(
        select(TicketMerge).where(TicketMerge.source_id == source.id, TicketMerge.undone_at.is_(None)).with_for_update()
    )
    if made is None or source.merged_into is None:
        raise Conflict("This merge was undone already.")
    made.undone_by, made.undone_at = actor.user_id, await market_now(session)
    source.merged_into = source.root_id = None
    await session.flush()
    for member in await _below(session, source.id):
        member.root_id = source.id
    await tickets.move(session, source, actor, SPLITS[made.from_state])
    if source.state == "open":
        await clocks.note(session, source, "split")
    else:
        await clocks.settle(session, source)
    await clocks.settle(session, root)
    return source


async def _exists(session: AsyncSession, ticket_id: str) -> bool:
    if await session.get(Ticket, ticket_id) is None:
        raise NotFound
    return True


async def _both(session: AsyncSession, source_id: str, target_id: str, actor: Actor) -> tuple[Ticket, Ticket]:
    """Returns the source itself and the end of the chain of the target, both locked, in one order for everybody."""
    if actor.role == "trader":
        raise NotFound
    tickets.check_answers(actor)
    return await _locked(session, source_id, target_id)


async def _locked(session: AsyncSession, source_id: str, target_id: str) -> tuple[Ticket, Ticket]:
    root_id = await ticket_steps.root_of(session, target_id)
    for ticket_id in sorted({source_id, root_id}):
        await rows.locked(session, Ticket, ticket_id, references_too=True)
    target = await ticket_steps.locked_root(session, root_id)
    return await rows.locked(session, Ticket, source_id, references_too=True), target


async def _below(session: AsyncSession, ticket_id: str) -> list[Ticket]:
    """Returns every ticket whose chain of merges leads to this one."""
    found, newest = list[Ticket](), [ticket_id]
    while newest:
        merged = (await session.scalars(select(Ticket).where(Ticket.merged_into.in_(newest)))).all()
        found += merged
        newest = [each.id for each in merged]
    return found
