"""A surveillance case that was just opened."""

from contracts.ids import case_workflow
from domain.keys import new_id
from store import outbox
from tests.payout_stage import Stage


async def opened(stage: Stage) -> str:
    """A case whose workflow starts; its id is fresh, since all tests share one Temporal. Gives the case's id."""
    name = new_id("cas")[4:]
    await stage.world.add_case(name, "acc_tina")
    case_id = f"cas_{name}"
    async with stage.world.db.transaction() as session:
        await outbox.start_workflow(
            session, workflow_id=case_workflow(case_id), name="Case", payload={"case_id": case_id}
        )
    while await stage.relay.step():
        pass
    return case_id
