"""Deadlines of the work queue: whoever claimed an item is told that it is nearly due, and that it is overdue; else whom
it was given to; else the people whose role decides it. Each hears of an item and step once, several items in one
notification.

Admins decide everything, so they are told only of what nobody else can decide, and of what was given to them.
"""

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from sqlalchemy import DateTime, String, and_, cast, func, select, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncSession

from domain import wording
from domain.approvals import STAFF
from domain.notifications.kinds import BY_NAME, DEADLINE
from firm.notifications import telling
from firm.notifications.facts import Draft
from store import upsert
from store.clock import market_now
from store.models import User, WorkReminder
from store.read import queue
from store.read.pages import Window
from store.read.queue import DueItem
from store.read.waiting import Waiting

_LOCK: Final = 7120089
_ALONE: Final = text("SELECT pg_try_advisory_xact_lock(:key)")
_HREF: Final = "/queue"
_TYPES: Final[tuple[Any, ...]] = (String, String, String, DateTime(timezone=True))  # of a step
_SHOWN: Final = 20  # items of one notification; the rest is counted


@dataclass(frozen=True)
class Work:
    """One kind of work: how it waits, and the roles that do it."""

    waiting: Waiting
    roles: frozenset[str]


@dataclass(frozen=True)
class Pace:
    """`ahead`: how long before its deadline an item is nearly due, market time. `pause`: the shortest time between two
    such notifications of one person, wall time."""

    ahead: timedelta = timedelta(minutes=60)
    pause: timedelta = timedelta(minutes=15)


class _Step(NamedTuple):
    """What a person is told of once."""

    kind: str
    subject_id: str
    step: str
    due_at: datetime


async def remind(session: AsyncSession, works: Mapping[str, Work], *, site: str, pace: Pace) -> int:
    """Tells people of what has become due. Returns how many were told; none while another process looks."""
    if not works or not await session.scalar(_ALONE, {"key": _LOCK}):
        return 0
    now = await market_now(session)
    kinds = {name: work.waiting for name, work in works.items()}
    due = await queue.due_before(session, kinds, now + pace.ahead)
    if not due:
        return 0
    people = [
        user
        for user in await session.scalars(select(User).where(User.active, User.role.in_(STAFF)).order_by(User.id))
        if user.role != "auditor"
    ]
    steps_of = {_step(item, now): item for item in due}
    told, resting = await _told(session, steps_of), await _resting(session, pace.pause)
    fresh: dict[str, dict[_Step, DueItem]] = {}
    for step, item in steps_of.items():
        for user_id in _receivers(item, works[item.kind].roles, people):
            if (user_id, step) not in told and user_id not in resting:
                fresh.setdefault(user_id, {})[step] = item
    if not fresh:
        return 0
    words = await _words(session, kinds, fresh)
    names = {user.id: user.name for user in people}
    await telling.write(
        session, [_draft(user_id, names[user_id], steps, words, now) for user_id, steps in fresh.items()], site=site
    )
    rows = [{**step._asdict(), "user_id": user_id} for user_id, steps in fresh.items() for step in steps]
    await upsert.add(session, WorkReminder, rows, unless=("kind", "subject_id", "step", "due_at", "user_id"))
    return len(fresh)


def _step(item: DueItem, now: datetime) -> _Step:
    return _Step(item.kind, item.subject_id, "overdue" if item.deadline <= now else "soon", item.deadline)


def _receivers(item: DueItem, roles: frozenset[str], people: Sequence[User]) -> list[str]:
    if item.holder_id is not None:
        return [user.id for user in people if user.id == item.holder_id]
    able = [user for user in people if user.role in roles]
    given = [user for user in able if (user.id == item.given_id if item.given_id else user.role == item.given_role)]
    if given:
        return [user.id for user in given]
    return [user.id for user in able if user.role != "admin"] or [user.id for user in able]


async def _told(session: AsyncSession, steps: Collection[_Step]) -> set[tuple[str, _Step]]:
    """Who was told of which of these steps. Plain columns: it is asked twice a minute, in the process of the pages."""
    columns: list[Any] = [
        cast(list(values), ARRAY(of)) for of, values in zip(_TYPES, zip(*steps, strict=True), strict=True)
    ]
    wanted = func.unnest(*columns).table_valued(*_Step._fields).render_derived("wanted")
    mine = and_(*(getattr(WorkReminder, name) == wanted.c[name] for name in _Step._fields))
    rows = await session.execute(
        select(WorkReminder.user_id, *(getattr(WorkReminder, name) for name in _Step._fields)).join(wanted, mine)
    )
    return {(user_id, _Step(*step)) for user_id, *step in rows}


async def _resting(session: AsyncSession, pause: timedelta) -> set[str]:
    """Whoever was told a moment ago hears of the rest later, together."""
    since = func.clock_timestamp() - pause
    rows = await session.scalars(
        select(WorkReminder.user_id).where(WorkReminder.told_at > since).group_by(WorkReminder.user_id)
    )
    return set(rows)


async def _words(
    session: AsyncSession, kinds: Mapping[str, Waiting], fresh: Mapping[str, Mapping[_Step, DueItem]]
) -> dict[tuple[str, str], str]:
    wanted: dict[str, set[str]] = {}
    for steps in fresh.values():
        for step in list(steps)[:_SHOWN]:
            wanted.setdefault(step.kind, set()).add(step.subject_id)
    found = await queue.some(session, {name: kinds[name] for name in wanted}, wanted)
    return {(item.kind, item.subject_id): item.words for item in found}


def _draft(
    user_id: str, name: str, steps: Mapping[_Step, DueItem], words: Mapping[tuple[str, str], str], now: datetime
) -> Draft:
    lines = [
        _line(step.step == "overdue", step.due_at, words.get((step.kind, step.subject_id), wording.name(step.kind)))
        for step in list(steps)[:_SHOWN]
    ]
    if len(steps) > _SHOWN:
        lines.append(f"and {len(steps) - _SHOWN} more")
    named = hashlib.sha256("\n".join(sorted(map(str, steps))).encode()).hexdigest()
    return Draft(
        kind=BY_NAME[DEADLINE],
        person=user_id,
        key=f"{DEADLINE}/{user_id}/{named}",
        href=_HREF,
        at=now,
        values={"person.name": name, "count": str(len(steps)), "lines": "\n".join(lines)},
    )


def _line(overdue: bool, due_at: datetime, words: str) -> str:
    at = wording.instant(due_at.astimezone(UTC))
    return f"Overdue since {at}: {words}" if overdue else f"Due at {at}: {words}"


async def sample(session: AsyncSession, works: Mapping[str, Work], *, name: str) -> dict[str, str] | None:
    """Returns the values of a text about the most urgent items; None when nothing waits."""
    kinds = {kind: work.waiting for kind, work in works.items()}
    found = (await queue.page(session, Window(limit=3), kinds)).items
    if not found:
        return None
    now = await market_now(session)
    lines = [_line((item.deadline or item.due) <= now, item.deadline or item.due, item.words) for item in found]
    return {"person.name": name, "count": str(len(found)), "lines": "\n".join(lines)}
