"""The firm as a whole: queue, summary, audit trail, search."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from domain.errors import BadInput, NotAllowed
from front.auth import Caller, Deps, allowed
from front.fields import AnyId, idempotency_key, window
from front.subjects.subject import kinds
from front.subjects.table import SUBJECTS
from store.read import audit, queue, search, summary
from store.read.pages import Page, Window

router = APIRouter(prefix="/v1", tags=["firm"])
Paged = Annotated[Window, Depends(window)]
QueueKind = Annotated[str, Query(json_schema_extra={"enum": [subject.name for subject in SUBJECTS]})]


@router.get("/queue")
async def list_queue(
    caller: Annotated[Caller, Depends(allowed("queue.read"))], deps: Deps, page: Paged, kind: QueueKind | None = None
) -> Page[queue.QueueItem]:
    """All work that waits for a person and that you may read, most urgent first: deadlines that are past or less than
    two hours away, then everything by `due`, which is the deadline or, without one, `since` plus the target age of the
    kind."""
    known = kinds(deps.subjects.readable_by(caller.actor))
    if kind is not None and kind not in kinds(deps.subjects):
        raise BadInput("There is no such kind of work.", field="kind", remedy=f"Use one of {', '.join(known)}.")
    if kind is not None and kind not in known:
        raise NotAllowed("This kind of work is not for your role.", remedy=f"Use one of {', '.join(known)}.")
    async with deps.db.transaction() as session:
        return await queue.page(session, page, {kind: known[kind]} if kind else known)


@router.get("/summary")
async def get_summary(caller: Annotated[Caller, Depends(allowed("summary.read"))], deps: Deps) -> summary.SummaryView:
    """The firm in numbers. Open work counts what you may read."""
    async with deps.db.transaction() as session:
        return await summary.summary(session, kinds(deps.subjects.readable_by(caller.actor)))


@router.get("/audit", dependencies=[Depends(allowed("audit.read"))])
async def list_audit(
    deps: Deps, page: Paged, subject: AnyId | None = None, actor: AnyId | None = None, action: AnyId | None = None
) -> Page[audit.AuditRow]:
    async with deps.db.transaction() as session:
        return await audit.page(session, page, subject_id=subject, actor=actor, action=action)


@router.post("/audit/verify", dependencies=[Depends(idempotency_key)])
async def verify_whole_audit(
    caller: Annotated[Caller, Depends(allowed("audit.verify"))], deps: Deps
) -> audit.AuditCheck:
    """Recompute and check every entry. Minutes for millions of entries: `propos audit verify` does the same."""
    async with deps.db.transaction() as session:
        return await audit.check_all(session, caller.actor.user_id)


@router.get("/audit/verify", dependencies=[Depends(allowed("audit.read"))])
async def verify_audit(deps: Deps) -> audit.AuditCheck:
    """Recompute the hashes of the entries after the last verification. What lies before is not looked at again: `POST`
    verifies all."""
    async with deps.db.transaction() as session:
        return await audit.check(session)


@router.get("/search")
async def find_anything(
    q: Annotated[str, Query(min_length=1, max_length=200)],
    caller: Annotated[Caller, Depends(allowed("search"))],
    deps: Deps,
) -> search.Found:
    """By any id, account number (A-10001), login, id of a deal at the venue, id of a transfer at the rail, e-mail
    address, or words of a name. Every match is exact; `matched` says what of a hit it is."""
    async with deps.db.transaction() as session:
        return await search.search(session, caller.scope, q, deps.subjects.findable(caller.actor))
