"""A challenge that two people closed is opened again when the trader's appeal is granted."""

from collections.abc import AsyncIterator

import pytest

from firm import appeals, case_actions, cases, interventions
from store.models import Case, Intervention
from tests.challenge_world import Firm, a_firm
from tests.convicted import accuse


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def test_a_granted_appeal_opens_a_new_account_of_the_phase(firm: Firm) -> None:
    ada = await firm.add_trader("ada", "verified")
    ria, rob, eve = [await firm.add_user(name, "risk") for name in ("ria", "rob", "eve")]
    challenge_id = await firm.bought(ada, "instant")
    old = await firm.account(challenge_id)
    case_id = await accuse(firm, old)
    async with firm.db.transaction() as session:
        rule = "Copying is not allowed."
        made = await case_actions.propose(session, case_id, action="close", rule=rule, actor=ria, reason="It copied.")
    async with firm.db.transaction() as session:
        case = await cases.locked(session, case_id)
        await cases.decide(session, case, decision="confirm", actor=rob, reason="It did.", key="c1")
    await firm.ends(challenge_id, "closed")
    assert not firm.venue.seats[old.login or 0].enabled
    async with firm.db.transaction() as session:
        dispute = await appeals.open_appeal(session, action_id=made.id, actor=ada, statement="It was my own idea.")
    await firm.dispute_becomes(dispute.id, "awaiting_decision")
    assert (await firm.decide(dispute.id, "reinstate", eve))["state"] == "reinstated"
    await firm.becomes(challenge_id, "funded")
    new = await firm.account(challenge_id)
    assert (new.phase_index, new.attempt, new.initial_minor) == (old.phase_index, 2, old.initial_minor)
    assert firm.venue.seats[new.login or 0].enabled and not firm.venue.seats[old.login or 0].enabled
    async with firm.db.transaction() as session:
        assert (await session.get_one(Case, case_id)).state == "overturned"
    # the case closed it once and does not again; another reason does
    await firm.signal(challenge_id, "closed_by_firm", {"key": "late", "case_id": case_id})
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "funded"
    async with firm.db.transaction() as session:
        closing = await interventions.propose(
            session,
            new.id,
            "close",
            change=None,
            moves_balances=True,
            actor=ria,
            reason="The trader asked for it.",
            message="As you wished.",
        )
    async with firm.db.transaction() as session:
        await interventions.decide(
            session, closing.id, verb="approve", moves_balances=True, actor=rob, reason="Agreed.", key="k"
        )
    await firm.ends(challenge_id, "closed")
    assert (await firm.steps("challenge", challenge_id)).count("closed_by_firm") == 2
    assert not firm.venue.seats[new.login or 0].enabled
    async with firm.db.transaction() as session:
        assert (await session.get_one(Intervention, closing.id)).state == "done"
