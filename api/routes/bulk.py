"""The work queue besides its decisions: items claimed, put aside and escalated, several decided at once, and undone."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Path

from domain.errors import NotFound
from domain.undo import Undoable
from front import bulk, escalating, undo, working
from front.auth import Caller, Deps, allowed
from front.bulk import BulkAsked, BulkDecided, Outcomes, Plan
from front.escalating import EscalateBody, Escalated
from front.fields import AnyId, Input
from front.once import Keyed
from front.subjects.table import SUBJECTS
from front.undo import Undone
from front.working import WorkClaimBody, WorkMarked, WorkSnoozeBody

router = APIRouter(prefix="/v1/queue", tags=["firm"])
_KIND: Final = {"json_schema_extra": {"enum": [subject.name for subject in SUBJECTS]}}


class UndoBody(Input):
    """`what`: what was done."""

    what: Undoable


@router.post("/bulk/preview")
async def preview_bulk(body: BulkAsked, caller: Annotated[Caller, Depends(allowed("queue.work"))], deps: Deps) -> Plan:
    """What would happen to each item, what is left out and why, and what leaves the firm by currency. It changes
    nothing, so that it needs no Idempotency-Key."""
    return await bulk.plan(deps.db, caller.actor, deps.subjects.readable_by(caller.actor), body)


@router.post("/bulk")
async def decide_bulk(
    body: BulkDecided, caller: Annotated[Caller, Depends(allowed("queue.work"))], deps: Deps, once: Keyed
) -> Outcomes:
    """Decide up to 25 items, each as its own route would, and say what became of each. `approve`: payouts that need one
    person and whose checks all pass. `close`: reviews. `take`: reconciliation breaks. `claim`, `release`, `snooze` and
    `bring_back`: every kind of work. One step-up is for all of them. The same request again does nothing twice, and
    tries again what was refused."""
    return await bulk.decide(once, deps.subjects.readable_by(caller.actor), body)


Kind = Annotated[str, Path(**_KIND)]
Worker = Annotated[Caller, Depends(allowed("queue.work"))]


@router.post("/{kind}/{id}/claim")
async def claim_work(kind: Kind, id: AnyId, body: WorkClaimBody, caller: Worker, deps: Deps, once: Keyed) -> WorkMarked:
    """Say that you work on an item: nobody else is offered it until the claim runs out, you decide it or release it."""
    subject = working.subject_of(deps.subjects.readable_by(caller.actor), kind)
    return await working.mark(once, subject, id, "take-over" if body.take_over else "claim")


@router.post("/{kind}/{id}/release")
async def release_work(kind: Kind, id: AnyId, caller: Worker, deps: Deps, once: Keyed) -> WorkMarked:
    """Give up your claim of an item."""
    return await working.mark(once, working.subject_of(deps.subjects.readable_by(caller.actor), kind), id, "release")


@router.post("/{kind}/{id}/snooze")
async def snooze_work(
    kind: Kind, id: AnyId, body: WorkSnoozeBody, caller: Worker, deps: Deps, once: Keyed
) -> WorkMarked:
    """Put an item aside for some hours. It comes back two hours before its deadline at the latest, and when it
    changes."""
    subject = working.subject_of(deps.subjects.readable_by(caller.actor), kind)
    return await working.mark(once, subject, id, "snooze", body.hours)


@router.post("/{kind}/{id}/wake")
async def wake_work(kind: Kind, id: AnyId, caller: Worker, deps: Deps, once: Keyed) -> WorkMarked:
    """Bring an item back that was put aside."""
    return await working.mark(once, working.subject_of(deps.subjects.readable_by(caller.actor), kind), id, "wake")


@router.post("/{kind}/{id}/escalate")
async def escalate_work(
    kind: Annotated[str, Path(**_KIND)],
    id: AnyId,
    body: EscalateBody,
    caller: Annotated[Caller, Depends(allowed("queue.work"))],
    deps: Deps,
    once: Keyed,
) -> Escalated:
    """Give an item to a role or a person who should decide it. That ends your claim, and it counts as their work."""
    known = deps.subjects.readable_by(caller.actor).by_name
    if kind not in known:
        raise NotFound
    return await escalating.escalate(once, known[kind], id, body)


@router.post("/{kind}/{id}/undo")
async def undo_work(
    kind: Annotated[str, Path(**_KIND)],
    id: AnyId,
    body: UndoBody,
    caller: Annotated[Caller, Depends(allowed("queue.work"))],
    deps: Deps,
    once: Keyed,
) -> Undone:
    """Take back what you have just done with an item, while nothing has followed from it. `approval`: your own, while
    the payout waits for another one. `close`: of a review that held nothing, for 60 seconds. The record keeps both."""
    known = deps.subjects.readable_by(caller.actor).by_name
    if kind not in known:
        raise NotFound
    return await undo.undo(once, known[kind], id, body.what)
