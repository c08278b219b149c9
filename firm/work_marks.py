"""What people do with an item of the work queue besides deciding it: claim it, put it aside, and see who looks at it.

Times are those of the service clock. A claim is a courtesy between people of the firm: it ends by itself, and whoever
needs the item takes it over. Tickets have claims of their own (`firm.ticket_desk`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import and_, delete, outerjoin, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor, check_reason
from domain.errors import BadInput, Conflict
from firm.service import policy as policies
from store import audit
from store.clock import market_now
from store.models import User, WorkLook, WorkMark
from store.read import queue
from store.read.queue import QueueItem
from store.read.waiting import Waiting
from store.read.work_people import of_staff
from store.service_time import NOW, service_now

LONGEST_ASIDE: Final = timedelta(days=30)
_NOTED_AFTER: Final = timedelta(seconds=10)  # a look is written again after this time
_FORGOTTEN_AFTER: Final = timedelta(days=1)


@dataclass(frozen=True)
class Claim:
    """Who has an item, and until when."""

    holder_id: str
    holder: str
    until: datetime


@dataclass(frozen=True)
class Marks:
    """What is noted of an item now. `claim`: the one that lasts."""

    claim: Claim | None = None
    aside_until: datetime | None = None
    aside_state: str | None = None
    aside_deadline: datetime | None = None

    def aside(self, item: QueueItem) -> datetime | None:
        """Until when the item is put aside, as it is now."""
        return self.aside_until if (self.aside_state, self.aside_deadline) == (item.state, item.deadline) else None


async def marks_of(session: AsyncSession, kind: str, subject_id: str) -> Marks:
    clock = NOW.subquery("clock")
    marked = outerjoin(clock, WorkMark, and_(*_at(kind, subject_id))).outerjoin(User, User.id == WorkMark.holder_id)
    noted = (WorkMark.holder_id, User.name, WorkMark.held_until)
    aside = (WorkMark.aside_until, WorkMark.aside_state, WorkMark.aside_deadline)
    row = (await session.execute(select(clock, *noted, *aside).select_from(marked))).one()
    now = await service_now(session, row[0])
    held = row.held_until is not None and row.held_until > now
    return Marks(
        Claim(row.holder_id, row.name, row.held_until) if held and row.name is not None else None,
        row.aside_until if row.aside_until is not None and row.aside_until > now else None,
        row.aside_state,
        row.aside_deadline,
    )


async def check_free(session: AsyncSession, kind: str, subject_id: str, actor: Actor) -> None:
    """Raises Conflict while somebody else has the item."""
    claim = (await marks_of(session, kind, subject_id)).claim
    if claim is not None and claim.holder_id != actor.user_id:
        raise Conflict(
            f"{claim.holder} has claimed this until {claim.until:%H:%M} UTC.",
            remedy="Nothing was recorded. Go back and take it over, or choose another item.",
        )


async def claim(
    session: AsyncSession, kind: str, subject_id: str, actor: Actor, *, take_over: bool = False
) -> datetime:
    """Takes an item for some minutes, or prolongs the claim. `take_over`: also from somebody who has it. Returns until
    when. Raises Conflict (somebody else has it)."""
    mark, now = await _locked(session, kind, subject_id), await service_now(session)
    held = mark.holder_id if mark.held_until is not None and mark.held_until > now else None
    if held is not None and held != actor.user_id:
        if not take_over:
            await check_free(session, kind, subject_id, actor)
        await _record(session, kind, subject_id, actor, "work.taken_over", {"from": held})
    _, policy = await policies.in_force(session)
    mark.holder_id, mark.held_until, mark.aside_until = actor.user_id, now + policy.lease, None
    return mark.held_until


async def release(session: AsyncSession, kind: str, subject_id: str, actor: Actor) -> None:
    """Gives an item back. Nothing happens when somebody else has it."""
    mark = await _locked(session, kind, subject_id)
    if mark.holder_id == actor.user_id:
        mark.holder_id = mark.held_until = None


async def put_aside(session: AsyncSession, item: QueueItem, actor: Actor, length: timedelta) -> datetime:
    """Takes an item out of the queue for a while, for everybody. It comes back two hours before its deadline at the
    latest, and at once when its deadline or its state changes. Returns until when. Raises BadInput, and Conflict
    (somebody else has it)."""
    if not timedelta(0) < length <= LONGEST_ASIDE:
        raise BadInput("An item can be snoozed for up to 30 days.", field="hours", remedy="Choose a time of the list.")
    kind, subject_id = item.kind, item.subject_id
    mark, now = await _locked(session, kind, subject_id), await service_now(session)
    await check_free(session, kind, subject_id, actor)
    mark.holder_id = mark.held_until = None
    mark.aside_until, mark.aside_deadline, mark.aside_state = now + length, item.deadline, item.state
    await _record(session, kind, subject_id, actor, "work.snoozed", {"until": mark.aside_until.isoformat()})
    return mark.aside_until


async def bring_back(session: AsyncSession, kind: str, subject_id: str, actor: Actor) -> None:
    """Ends the time for which an item was put aside."""
    mark = await _locked(session, kind, subject_id)
    if mark.aside_until is not None:
        mark.aside_until = None
        await _record(session, kind, subject_id, actor, "work.brought_back", {})


class To(NamedTuple):
    """Whom an item is given to: everybody with a role, or one person."""

    role: str | None = None
    user_id: str | None = None


def able(kind: str, waiting: Waiting, roles: frozenset[str], subject_id: Any, person_id: Any) -> tuple[Any, ...]:
    """Conditions on users: to whom this person can give an item. They are others, have a role that decides it, and
    neither asked for it nor have decided on it already, which would keep it from their work. `subject_id`, `person_id`:
    values or parameters."""
    free = queue.free_people({kind: waiting}, subject_id)
    return of_staff(User), User.role.in_(sorted(roles)), User.person_id != person_id, free


async def escalate(
    session: AsyncSession, item: QueueItem, actor: Actor, to: To, *, able: tuple[Any, ...], reason: str
) -> None:
    """Gives an item to a role or a person of those who are `able`. It ends the claim and the snooze, and lasts until
    the item is decided or given to somebody else, and while that person is able. Raises BadInput, and Conflict
    (somebody else has it)."""
    check_reason(reason)
    kind, subject_id = item.kind, item.subject_id
    others = select(User.id).where(*able)
    wanted = others.where(User.id == to.user_id) if to.user_id else others.where(User.role == to.role)
    if await session.scalar(wanted.limit(1)) is None:
        field = "to_user" if to.user_id else "to_role"
        raise BadInput("Nobody else there can decide this.", field=field, remedy="Choose somebody of the list.")
    mark = await _locked(session, kind, subject_id)
    await check_free(session, kind, subject_id, actor)
    mark.holder_id = mark.held_until = mark.aside_until = None
    mark.escalated_role, mark.escalated_id, mark.escalated_by = to.role, to.user_id, actor.user_id
    evidence = {"to": to.user_id} if to.user_id else {"to_role": to.role or ""}
    await _record(session, kind, subject_id, actor, "work.escalated", evidence, reason)


async def note_undone(session: AsyncSession, kind: str, subject_id: str, actor: Actor, what: str) -> None:
    """Records that a person took back what they had just done."""
    await _record(session, kind, subject_id, actor, "work.undone", {"what": what})


async def done(session: AsyncSession, kind: str, subject_id: str) -> None:
    """Forgets the marks of an item that was decided: whoever comes next starts afresh."""
    await session.execute(delete(WorkMark).where(*_at(kind, subject_id)))


async def look(session: AsyncSession, kind: str, subject_id: str, actor: Actor) -> Sequence[str]:
    """Notes that this person has the item open, which prolongs their own claim. Returns the names of who else has."""
    now = await service_now(session)
    _, policy = await policies.in_force(session)
    looks = await session.execute(
        select(WorkLook.user_id, User.name, WorkLook.seen_at)
        .join(User, User.id == WorkLook.user_id)
        .where(WorkLook.kind == kind, WorkLook.subject_id == subject_id)
        .order_by(User.id)
    )
    seen = {user_id: (name, at) for user_id, name, at in looks}
    _, before = seen.pop(actor.user_id, ("", None))
    if before is None or not now - _NOTED_AFTER < before <= now:
        await session.execute(
            delete(WorkLook).where(WorkLook.user_id == actor.user_id, WorkLook.seen_at < now - _FORGOTTEN_AFTER)
        )
        row = insert(WorkLook).values(kind=kind, subject_id=subject_id, user_id=actor.user_id, seen_at=now)
        await session.execute(
            row.on_conflict_do_update(index_elements=["kind", "subject_id", "user_id"], set_={"seen_at": now})
        )
        claim_now = (await marks_of(session, kind, subject_id)).claim
        if claim_now is not None and claim_now.holder_id == actor.user_id:
            await claim(session, kind, subject_id, actor)
    since = now - timedelta(seconds=policy.looking_seconds)
    return [name for name, at in seen.values() if at > since]


def _at(kind: str, subject_id: str) -> tuple[Any, ...]:
    return WorkMark.kind == kind, WorkMark.subject_id == subject_id


async def _locked(session: AsyncSession, kind: str, subject_id: str) -> WorkMark:
    """The marks of an item, made when there are none; whoever comes second waits."""
    await session.execute(insert(WorkMark).values(kind=kind, subject_id=subject_id).on_conflict_do_nothing())
    statement = select(WorkMark).where(*_at(kind, subject_id)).with_for_update()
    return (await session.scalars(statement, execution_options={"populate_existing": True})).one()


async def _record(
    session: AsyncSession,
    kind: str,
    subject_id: str,
    actor: Actor,
    action: str,
    evidence: dict[str, str],
    reason: str = "",
) -> None:
    await audit.record(
        session,
        action=action,
        subject_kind=kind,
        subject_id=subject_id,
        occurred_at=await market_now(session),
        actor=actor.user_id,
        role=actor.role,
        reason=reason,
        evidence=evidence,
    )
