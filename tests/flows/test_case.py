"""Cases on real Postgres and Temporal: one decision ends them, and is heard by the payouts they held."""

from collections.abc import AsyncIterator

import pytest

from contracts.ids import case_workflow
from domain.surveillance.casework import ACTION_OF, Verb
from firm import case_actions
from tests.flows.opened_case import opened
from tests.payout_stage import Stage, a_stage
from tests.payout_world import MEDIUM


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


@pytest.mark.parametrize(
    ("update", "state", "payout"),
    [
        ("clear", "cleared", "awaiting_approval"),
        ("inconclusive", "inconclusive", "awaiting_approval"),
        ("warn", "warned", "awaiting_approval"),
        ("deny", "denied", "rejected"),
        ("confirm", "confirmed", "rejected"),
    ],
)
async def test_the_decision_reaches_the_payout_it_held(stage: Stage, update: Verb, state: str, payout: str) -> None:
    trader, ria = await stage.world.add_trader("tina"), await stage.world.add_user("ria", "risk")
    rob = await stage.world.add_user("rob", "risk")
    case_id = await opened(stage)
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "in_review")
    if update in ACTION_OF:
        async with stage.world.db.transaction() as session:
            await case_actions.propose(
                session,
                case_id,
                action=ACTION_OF[update],
                payouts=[payout_id] if update == "deny" else [],
                rule="Copying is not allowed.",
                actor=rob,
                reason="8 of 9 openings",
            )
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


async def test_a_terminated_case_is_started_again_and_decided(stage: Stage) -> None:
    await stage.world.add_trader("tina")
    ria = await stage.world.add_user("ria", "risk")
    case_id = await opened(stage)
    await stage.client.get_workflow_handle(case_workflow(case_id)).terminate("by hand")
    await stage.redrive.step()
    while await stage.relay.step():
        pass
    assert (await stage.decide(case_workflow(case_id), "clear", ria))["state"] == "cleared"
    await stage.case_ends(case_id, "cleared")
