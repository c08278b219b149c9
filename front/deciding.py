"""Decisions on a subject of the table: by its workflow, or recorded in one transaction."""

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionResult
from front.once import Check, Once
from front.subjects.subject import Decision, Subject, Taken, Verb
from store.read.pages import scope_of


async def by_workflow(
    subject: Subject,
    verb: Verb,
    subject_id: str,
    reason: str,
    *,
    body: BaseModel,
    once: Once,
    check: Check | None = None,
) -> DecisionResult:
    """Have the subject's workflow take a decision of the person behind `once`. `body` is what they sent, `check` a
    condition of the caller's own. Raises NotFound and everything that the workflow refuses with."""
    workflow = subject.workflow
    if workflow is None:
        raise TypeError(f"No workflow decides a {subject.label}.")

    async def state_of(session: AsyncSession) -> str:
        return await workflow.state(session, scope_of(once.actor), subject_id)

    return await once.decide(
        workflow.kind,
        subject_id,
        workflow.id_of(subject_id),
        verb.name,
        reason,
        body=body,
        machine=workflow.machine,
        state_of=state_of,
        result=DecisionResult,
        check=check,
    )


async def on_record(session: AsyncSession, verb: Verb, subject_id: str, reason: str, once: Once) -> Taken:
    """Carry the decision out in the caller's transaction. Raises everything that it is refused with."""
    if verb.carry_out is None:
        raise TypeError(f"A workflow carries out {verb.name}.")
    decision = Decision(verb.name, subject_id, actor=once.actor, reason=reason, key=once.message_key)
    return await verb.carry_out(session, decision)
