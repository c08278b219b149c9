"""The history of the workflow behind a challenge, a payout or a dispute, for auditors."""

from typing import Annotated

from fastapi import APIRouter, Depends, Query

from front.auth import Caller, Deps, allowed
from front.deps import ApiDeps
from front.fields import ChallengeId, DisputeId, PayoutId
from front.permissions import may
from front.workflow_history import WorkflowHistory, history
from front.workflow_subjects import check_there

router = APIRouter(prefix="/v1", tags=["workflows"])

Reader = Annotated[Caller, Depends(allowed("workflows.read"))]
Run = Annotated[str, Query(max_length=64, pattern="^[0-9a-f-]*$")]
At = Annotated[str, Query(max_length=2000)]


@router.get("/challenges/{challenge_id}/workflow")
async def get_challenge_workflow(
    challenge_id: ChallengeId, caller: Reader, deps: Deps, run: Run = "", at: At = ""
) -> WorkflowHistory:
    """Each event in words, oldest first, as Temporal keeps it. What the events carry is there for who has the right
    `workflows.content`. `at`: `next_at` of the page before; `run`: an earlier or a later run."""
    return await _read(deps, caller, "challenge", challenge_id, run, at)


@router.get("/payouts/{payout_id}/workflow")
async def get_payout_workflow(
    payout_id: PayoutId, caller: Reader, deps: Deps, run: Run = "", at: At = ""
) -> WorkflowHistory:
    """The same for a payout."""
    return await _read(deps, caller, "payout", payout_id, run, at)


@router.get("/disputes/{dispute_id}/workflow")
async def get_dispute_workflow(
    dispute_id: DisputeId, caller: Reader, deps: Deps, run: Run = "", at: At = ""
) -> WorkflowHistory:
    """The same for a dispute."""
    return await _read(deps, caller, "dispute", dispute_id, run, at)


async def _read(deps: ApiDeps, caller: Caller, kind: str, subject_id: str, run: str, at: str) -> WorkflowHistory:
    async with deps.db.transaction() as session:
        await check_there(session, kind, subject_id)
    content = may(caller.actor, "workflows.content")
    return await history(deps, kind, subject_id, run=run, at=at, content=content)
