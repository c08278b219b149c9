"""The workflow of the console's case, without Temporal: its activity decides on the record."""

from typing import Any

from temporalio.client import WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError

from activities.cases import CaseActivities
from activities.deps import Deps
from contracts.cases import CaseDecision
from tests.console_world import ConsoleWorld


async def decide_case(world: ConsoleWorld, choice: Any, request: Any) -> dict[str, Any]:
    """The case's workflow takes every decision as it really does: through the activity, on the record."""
    unused: Any = None
    activities = CaseActivities(Deps(db=world.db, platforms=unused, payments=world.payments))
    try:
        result = await activities.record_decision(
            CaseDecision(case_id=world.firm.case, choice=choice, request=request, update_id=request.key)
        )
    except ApplicationError as error:
        raise WorkflowUpdateFailedError(error) from error
    return result.model_dump(mode="json")
