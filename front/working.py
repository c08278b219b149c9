"""What people do with one item of the work queue besides deciding it: claim, release, put aside, bring back."""

from datetime import timedelta
from typing import Final, Literal

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotAllowed, NotFound
from firm import work_marks
from front.fields import Input
from front.once import Once
from front.subjects.subject import Subject, Subjects
from store.read import queue
from store.read.pages import View

Mark = Literal["claim", "take-over", "release", "snooze", "wake"]
Hours = Literal[1, 4, 24, 72]
_BACK: Final = "It comes back two hours before its deadline at the latest."
MARKS: Final[tuple[Mark, ...]] = ("claim", "take-over", "release", "snooze", "wake")


class WorkClaimBody(Input):
    """`take_over`: also when somebody else has claimed it."""

    take_over: bool = False


class WorkSnoozeBody(Input):
    hours: Hours


class WorkMarked(View):
    """`words`: what is so now."""

    kind: str
    id: str
    words: str


class _Asked(BaseModel):
    verb: Mark
    hours: int


def subject_of(subjects: Subjects, kind: str) -> Subject:
    """Returns the kind of work. Raises NotFound."""
    if kind not in subjects.by_name:
        raise NotFound
    return subjects.by_name[kind]


async def mark(once: Once, subject: Subject, subject_id: str, verb: Mark, hours: int = 0) -> WorkMarked:
    """Does it once. `hours`: of a snooze. Raises NotFound (it no longer waits), NotAllowed for who may decide nothing
    about this kind of work, and Conflict (somebody else has it)."""

    async def work(session: AsyncSession) -> WorkMarked:
        item = await queue.one(session, subject.name, subject.waiting, subject_id)
        if item is None:
            raise NotFound("This item no longer waits.", remedy="Go to the queue and choose another one.")
        kind, actor = item.kind, once.actor
        if actor.role not in subject.deciders:
            raise NotAllowed("Only people who can decide this item can claim or snooze it.")
        if verb == "release":
            await work_marks.release(session, kind, subject_id, actor)
            words = "Released."
        elif verb == "wake":
            await work_marks.bring_back(session, kind, subject_id, actor)
            words = "Back in the queue."
        elif verb == "snooze":
            until = await work_marks.put_aside(session, item, actor, timedelta(hours=hours))
            words = f"Snoozed until {until:%Y-%m-%d %H:%M} UTC. {_BACK}"
        else:
            until = await work_marks.claim(session, kind, subject_id, actor, take_over=verb == "take-over")
            words = f"This is yours until {until:%H:%M} UTC."
        return WorkMarked(kind=kind, id=subject_id, words=words)

    return await once.write(WorkMarked, _Asked(verb=verb, hours=hours), work)
