"""An item of the queue is given to a role or a person that should decide it, with a reason."""

from functools import cache
from typing import Annotated

from pydantic import BaseModel, Field, model_validator
from sqlalchemy import String, bindparam, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import Actor
from domain.errors import NotAllowed, NotFound
from domain.key_errors import NeedsPerson
from firm import work_marks
from front.fields import Input, Reason, UserId
from front.once import Once
from front.subjects.subject import Subject
from store.models import User
from store.read import queue
from store.read.pages import View
from store.read.waiting import Waiting
from store.together import CompiledOnce


class EscalateBody(Input):
    """Either a role or a person; both must be able to decide the item."""

    to_role: Annotated[str, Field(pattern=r"^[a-z]{1,16}$")] | None = None
    to_user: UserId | None = None
    reason: Reason

    @model_validator(mode="after")
    def _one_of_both(self) -> "EscalateBody":
        if (self.to_role is None) == (self.to_user is None):
            raise ValueError("to_role: name a role or a person")
        return self


class Escalated(View):
    """`to`: the role or the person's id."""

    kind: str
    id: str
    to: str


class _Asked(BaseModel):
    to_role: str | None
    to_user: str | None
    reason: str


async def offered(session: AsyncSession, subject: Subject, subject_id: str, actor: Actor) -> list[tuple[str, str]]:
    """To whom this person can give an item, as the value and the words of a choice: the roles of others who can decide
    it, then these people by name."""
    others = _others(subject.name, subject.waiting, subject.deciders)
    people = await others.rows(session, {"subject_id": subject_id, "person_id": actor.person_id})
    roles = sorted({row.role for row in people})
    return [
        *((f"role:{role}", f"Everybody with the role {role}") for role in roles),
        *((row.id, f"{row.name} ({row.role})") for row in people),
    ]


@cache
def _others(kind: str, waiting: Waiting, roles: frozenset[str]) -> CompiledOnce:
    """To build it anew takes longer than to run it."""
    subject_id, person_id = bindparam("subject_id", type_=String), bindparam("person_id", type_=String)
    able = work_marks.able(kind, waiting, roles, subject_id, person_id)
    return CompiledOnce(select(User.id, User.name, User.role).where(*able).order_by(User.name, User.id).limit(100))


async def escalate(once: Once, subject: Subject, subject_id: str, body: EscalateBody) -> Escalated:
    """Gives it away. Raises NeedsPerson, NotAllowed, NotFound (it no longer waits), BadInput, Conflict (claimed)."""
    actor = once.actor
    if actor.key_id is not None:
        raise NeedsPerson

    async def work(session: AsyncSession) -> Escalated:
        item = await queue.one(session, subject.name, subject.waiting, subject_id)
        if item is None:
            raise NotFound("This item no longer waits.", remedy="Go to the queue and choose another one.")
        if actor.role not in subject.deciders:
            raise NotAllowed("Only people who can decide this item can escalate it.")
        to = work_marks.To(role=body.to_role, user_id=body.to_user)
        able = work_marks.able(subject.name, subject.waiting, subject.deciders, subject_id, actor.person_id)
        await work_marks.escalate(session, item, actor, to, able=able, reason=body.reason)
        return Escalated(kind=subject.name, id=subject_id, to=body.to_role or body.to_user or "")

    asked = _Asked(to_role=body.to_role, to_user=body.to_user, reason=body.reason)
    return await once.write(Escalated, asked, work)
