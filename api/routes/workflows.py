"""The history of the workflow behind a challenge, a payout or a dispute, for auditors."""

from typing import Annotated, Final

from fastapi import APIRouter, Depends, Query

from front.auth import Caller, Deps, allowed
from front.fields import one_of
from front.permissions import may
from front.workflow_history import WORKFLOWS, WorkflowHistory, history
from front.workflow_subjects import check_there

router = APIRouter(prefix="/v1", tags=["workflows"])

_TEXT: Final = Query(max_length=2000)


@router.get("/workflows/{kind}/{subject_id}/history")
async def get_workflow_history(
    kind: Annotated[str, one_of(WORKFLOWS)],
    subject_id: str,
    caller: Annotated[Caller, Depends(allowed("workflows.read"))],
    deps: Deps,
    run: Annotated[str, _TEXT] = "",
    cursor: Annotated[str, _TEXT] = "",
) -> WorkflowHistory:
    """Each event in words, oldest first, as Temporal keeps it. What the events carry is there for who has the right
    `workflows.content`."""
    async with deps.db.transaction() as session:
        await check_there(session, kind, subject_id)
    content = may(caller.actor, "workflows.content")
    return await history(deps, kind, subject_id, run=run, cursor=cursor, content=content)
