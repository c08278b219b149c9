"""Cases on real Postgres and Temporal: one decision ends them, and is heard by the payouts they held."""

from collections.abc import AsyncIterator

import pytest

from contracts.ids import case_workflow
from domain.keys import new_id
from store import outbox
from tests.payout_stage import Stage, a_stage
from tests.payout_world import MEDIUM


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


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


@pytest.mark.parametrize(
    ("update", "state", "payout"), [("clear", "cleared", "awaiting_approval"), ("confirm", "confirmed", "rejected")]
)
async def test_the_decision_reaches_the_payout_it_held(stage: Stage, update: str, state: str, payout: str) -> None:
    trader, ria = await stage.world.add_trader("tina"), await stage.world.add_user("ria", "risk")
    case_id = await opened(stage)
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "in_review")
    assert (await stage.decide(case_workflow(case_id), update, ria))["state"] == state
    await stage.case_ends(case_id, state)
    await stage.becomes(payout_id, payout)


async def test_only_the_right_role_decides_and_the_case_stays_open(stage: Stage) -> None:
    await stage.world.add_trader("tina")
    fay, ria = await stage.world.add_user("fay", "finance"), await stage.world.add_user("ria", "risk")
    case_id = await opened(stage)
    assert (await stage.refused(case_workflow(case_id), "clear", fay)).type == "not-allowed"
    await stage.decide(case_workflow(case_id), "clear", ria)
    await stage.case_ends(case_id, "cleared")
