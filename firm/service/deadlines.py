"""By when people decide cases, identity checks and doubtful breaches: one calendar for all of them. A dispute gets its
deadline from the same calendar when it opens, and keeps it.

The relay stamps what waits with the time at which it first saw it, so a deadline never lies in the past when it is
made. After a change of the policy it computes the open ones anew from the same start.
"""

from collections.abc import Mapping
from typing import Any, Final

from sqlalchemy import Select, String, cast, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncSession

from domain.service.policy import Decided
from firm import reviews
from firm.identity_checks import identity_waits
from firm.service import policy as policies
from store.models import Case, Review, ServiceDeadline
from store.service_time import service_now


def _identity() -> Select[Any]:
    return select(identity_waits().subquery().c.trader_id).distinct()


WAITING: Final[Mapping[Decided, Any]] = {
    "case": lambda: select(Case.id).where(Case.state == "open"),
    "identity_check": _identity,
    "doubtful_breach": lambda: select(Review.id).where(Review.kind == reviews.DOUBTFUL_BREACH, Review.status == "open"),
}
"""Kind of a decision -> the SELECT of the ids that wait for one."""


async def stamp(session: AsyncSession, *, limit: int) -> int:
    """Gives a deadline to what waits without one, ends those of what waits no more, and applies a new policy; at most
    `limit` of each kind. Returns how many rows changed."""
    changed = 0
    for kind in WAITING:
        changed += await _stamp_kind(session, kind, limit)
    return changed


async def _stamp_kind(session: AsyncSession, kind: Decided, limit: int) -> int:
    now, (number, policy) = await service_now(session), await policies.in_force(session)
    waits = WAITING[kind]().subquery()
    (subject,) = waits.c
    known = select(ServiceDeadline.subject_id).where(ServiceDeadline.kind == kind, ServiceDeadline.ended_at.is_(None))
    fresh = await session.scalars(select(cast(subject, String)).where(subject.not_in(known)).limit(limit))
    made = [
        {"kind": kind, "subject_id": subject_id, "since": now, "due_at": policy.deadline(kind, now),
         "policy_number": number, "ended_at": None}
        for subject_id in fresh
    ]  # fmt: skip
    if made:
        row = insert(ServiceDeadline)
        again = {name: row.excluded[name] for name in ("since", "due_at", "policy_number", "ended_at")}
        await session.execute(row.on_conflict_do_update(index_elements=["kind", "subject_id"], set_=again), made)
    ended = await session.execute(
        update(ServiceDeadline)
        .where(
            ServiceDeadline.kind == kind,
            ServiceDeadline.ended_at.is_(None),
            ServiceDeadline.subject_id.not_in(select(subject)),
        )
        .values(ended_at=now)
        .returning(ServiceDeadline.subject_id)
    )
    behind = await session.scalars(
        select(ServiceDeadline)
        .where(ServiceDeadline.kind == kind, ServiceDeadline.ended_at.is_(None), ServiceDeadline.policy_number < number)
        .limit(limit)
    )
    changed = len(made) + len(ended.all())
    for deadline in behind.all():
        deadline.due_at, deadline.policy_number = policy.deadline(kind, deadline.since), number
        changed += 1
    return changed
