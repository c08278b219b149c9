"""Decisions on a subject of the table: by its workflow, or recorded in one transaction. Either ends the marks that
people have put on the item in the queue."""

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession

from contracts.messages import DecisionResult, Target
from domain.errors import NothingLeft
from firm import decision_requests, work_marks
from firm.decide import already_decided
from front.fields import DisputeDecisionBody, SendAgainBody
from front.once import Check, Once
from front.subjects.subject import Decision, Subject, Taken, Verb
from store import decisions
from store.scope import FIRM, scope_of


async def by_workflow(
    subject: Subject,
    verb: Verb,
    subject_id: str,
    reason: str,
    *,
    body: BaseModel,
    once: Once,
    check: Check | None = None,
    seen: str | None = None,
    again: Target | None = None,
    told: str = "",
) -> DecisionResult:
    """Have the subject's workflow take a decision of the person behind `once`. `body` is what they sent, `check` a
    condition of the caller's own, `seen` the digest of what they read, `again` where a payout is sent again, `told`
    what the trader of a dispute is told.

    Raises NotFound and everything that the workflow refuses with; AlreadyDecided, with a name, once a person's decision
    has ended it.
    """
    workflow = subject.workflow
    if workflow is None:
        raise TypeError(f"No workflow decides a {subject.label}.")
    kind = workflow.kind

    async def state_of(session: AsyncSession) -> str:
        return await workflow.state(session, scope_of(once.actor), subject_id)

    try:
        result = await once.decide(
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
            seen=seen,
            again=body.target if isinstance(body, SendAgainBody) else again,
            told=(body.message or "") if isinstance(body, DisputeDecisionBody) else told,
            proof=verb.proof,
        )
    except NothingLeft as ended:
        async with once.deps.db.transaction() as session:
            answer = await decision_requests.taken(session, once.message_key)
            if answer is None:
                made = await decisions.of(session, kind, subject_id)
                if not made:
                    raise
                raise await already_decided(session, kind, subject_id, made[-1], once.actor) from ended
        result = DecisionResult.model_validate(answer)  # this very request ended it, and was not heard
    async with once.deps.db.transaction(FIRM) as session:
        await work_marks.done(session, subject.name, subject_id)
    return result


async def on_record(
    session: AsyncSession, subject: Subject, verb: Verb, subject_id: str, reason: str, once: Once, *, seen: str = ""
) -> Taken:
    """Carry the decision out in the caller's transaction. `seen`: the digest of what the person read. Raises everything
    that it is refused with."""
    if verb.carry_out is None:
        raise TypeError(f"A workflow carries out {verb.name}.")
    if verb.proof is not None:
        await once.prove(session, verb.proof, verb=verb.name, subject=subject_id, said=reason, seen=seen)
    decision = Decision(verb.name, subject_id, actor=once.actor, reason=reason, key=once.message_key, seen=seen)
    taken = await verb.carry_out(session, decision)
    await work_marks.done(session, subject.name, subject_id)
    return taken
