"""Taking back what was just done with an item of the queue. An undo is a record of its own: who, when and of what.

Only what nothing has followed from can be undone: a claim, a release, a snooze, one's own approval while the payout
waits for another one, and the closing of a review that held nothing. An answer on a ticket has an undo of its own
(`firm.held_answers`).
"""

from typing import NamedTuple

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from domain.errors import NotAllowed, NotFound
from domain.key_errors import NeedsPerson
from domain.undo import REASON, REOPEN_WITHIN, Undoable
from firm import reviews, work_marks
from front.deciding import by_workflow
from front.fields import DecisionBody
from front.once import Once
from front.subjects.subject import Subject, Subjects
from store.read import queue
from store.read.pages import View


class Offer(NamedTuple):
    """What can be undone. `seconds`: for how long; 0: until somebody else decides."""

    what: Undoable
    seconds: int


class Undone(View):
    """`words`: what is so now."""

    kind: str
    id: str
    what: Undoable
    words: str


class _Asked(BaseModel):
    what: str


async def after(session: AsyncSession, subject: Subject, subject_id: str, verb: str, missing: int) -> Offer | None:
    """What can be undone of a decision that was just made. `missing`: how many approvals the payout still needs."""
    if subject.name == "payout" and verb == "approve" and missing > 0:
        return Offer("approval", 0)
    if subject.name == "review" and verb == "close" and await reviews.held_nothing(session, subject_id):
        return Offer("close", int(REOPEN_WITHIN.total_seconds()))
    return None


async def undo(once: Once, subject: Subject, subject_id: str, what: Undoable) -> Undone:
    """Takes it back. Raises Conflict (too late), NothingToWithdraw, NotFound, NotAllowed, NeedsPerson."""
    if once.actor.key_id is not None:
        raise NeedsPerson
    if what == "approval":
        verb = subject.verb("retract") if subject.name == "payout" else None
        if verb is None:
            raise NotFound
        verb.right.check(once.actor)
        body = DecisionBody(reason=REASON)
        taken = await by_workflow(subject, verb, subject_id, REASON, body=body, once=once)
        words = f"Your approval is withdrawn. The payout has {taken.approvals} of {taken.approvals_needed} approvals."
        return Undone(kind=subject.name, id=subject_id, what=what, words=words)

    async def work(session: AsyncSession) -> Undone:
        words = await _undone(session, once, subject, subject_id, what)
        return Undone(kind=subject.name, id=subject_id, what=what, words=words)

    return await once.write(Undone, _Asked(what=what), work)


async def _undone(session: AsyncSession, once: Once, subject: Subject, subject_id: str, what: Undoable) -> str:
    actor = once.actor
    if what == "close":
        if subject.name != "review":
            raise NotFound
        subject.verb("close").right.check(actor)
        count = await reviews.reopen(session, review_id=subject_id, actor=actor, reason=REASON, within=REOPEN_WITHIN)
        return "The review is open again." if count == 1 else f"All {count} reviews are open again."
    if await queue.one(session, subject.name, subject.waiting, subject_id) is None:
        raise NotFound("This item no longer waits.", remedy="Go to the queue and choose another one.")
    if subject.name not in Subjects((subject,)).decided_by(actor):
        raise NotAllowed("Only people who can decide this item can claim or snooze it.")
    if what == "claim":
        await work_marks.release(session, subject.name, subject_id, actor)
        words = "Released."
    elif what == "release":
        words = f"Yours until {await work_marks.claim(session, subject.name, subject_id, actor):%H:%M} UTC."
    else:
        await work_marks.bring_back(session, subject.name, subject_id, actor)
        words = "Back in the queue."
    await work_marks.note_undone(session, subject.name, subject_id, actor, what)
    return words
