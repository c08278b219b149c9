"""A signal is a hint: whatever it names, each activity of a challenge acts on what the record says."""

from collections.abc import AsyncIterator

import pytest

from activities.challenges import ChallengeActivities
from activities.deps import Deps
from activities.disputes import DisputeActivities
from contracts.challenges import ChallengeFact, PhaseStep
from contracts.disputes import DisputeStep
from contracts.messages import DecisionRequest, DisputeStart
from firm import disputes
from store.models import Account, Breach
from tests.adapters import platforms, providers
from tests.asked import ask_for, one_decides_disputes
from tests.challenge_world import Firm, a_firm
from tests.convicted import convict


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


def _deps(firm: Firm) -> Deps:
    return Deps(db=firm.db, platforms=platforms(firm.venue), payments=providers(firm.provider))


def _acts(firm: Firm) -> ChallengeActivities:
    return ChallengeActivities(_deps(firm))


async def _breached(firm: Firm, name: str) -> tuple[str, str]:
    challenge_id = await firm.bought(await firm.add_trader(name))
    breach_id = await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    return challenge_id, breach_id


async def test_a_challenge_is_closed_by_a_confirmed_case_against_it_only(firm: Firm) -> None:
    mine = await firm.bought(await firm.add_trader("ada"))
    other = await firm.bought(await firm.add_trader("eve"))
    case_id = await convict(firm, other)
    for named in (case_id, "cas_unknown"):
        fact = ChallengeFact(challenge_id=mine, key=named, subject_id=named)
        assert (await _acts(firm).close_account(fact)).state == "active"
    assert firm.venue.seats[(await firm.account(mine)).login or 0].enabled


async def test_a_breach_is_overturned_by_its_own_dispute_only(firm: Firm) -> None:
    """Another challenge's dispute, though a person has granted it, and one that is unknown."""
    mine, _ = await _breached(firm, "ada")
    other, breach_id = await _breached(firm, "eve")
    rosa, sam = await firm.add_user("rosa", "risk"), await firm.add_user("sam", "support")
    async with firm.db.transaction() as session:
        breach = await session.get_one(Breach, breach_id)
        row = await disputes.open_for_trader(session, breach=breach, actor=sam, statement="Odd.")
    assert row is not None
    acts = DisputeActivities(_deps(firm))
    await acts.assemble_evidence(DisputeStart(dispute_id=row.id))
    request = DecisionRequest(key="d1", actor=rosa, reason="Looked.")
    await one_decides_disputes(firm.db)
    await ask_for(firm.db, "dispute", row.id, "reinstate", request)
    step = DisputeStep(dispute_id=row.id, decision="reinstate", request=request, update_id="d1")
    assert (await acts.record_decision(step)).state == "reinstating"
    for named in (row.id, "dsp_unknown"):
        fact = ChallengeFact(challenge_id=mine, key=named, subject_id=named)
        assert (await _acts(firm).reinstate_account(fact)).state == "breached"
    async with firm.db.transaction() as session:
        assert (await session.get_one(Breach, breach_id)).status == "confirmed", "its own challenge overturns it"
    fact = ChallengeFact(challenge_id=other, key=row.id, subject_id=row.id)
    assert (await _acts(firm).reinstate_account(fact)).state == "active"


async def test_a_breach_or_pass_that_is_not_on_the_record_changes_nothing(firm: Firm) -> None:
    mine = await firm.bought(await firm.add_trader("ada"))
    fact = ChallengeFact(challenge_id=mine, key="x", subject_id="unknown")
    assert (await _acts(firm).record_breach(fact)).state == "active"
    assert (await _acts(firm).record_pass(fact)).state == "active"
    assert firm.venue.seats[(await firm.account(mine)).login or 0].enabled


async def test_no_phase_begins_that_the_record_has_not_come_to(firm: Firm) -> None:
    """An old or made-up step asks for the funded account: of an active challenge, and of one that is paid just now."""
    mine = await firm.bought(await firm.add_trader("ada"))
    funded = PhaseStep(challenge_id=mine, phase_index=3)
    await _acts(firm).open_account(funded)
    assert (await _acts(firm).start_phase(funded)).state == "active"
    fresh = await firm.buy(await firm.add_trader("eve"))
    firm.provider.becomes(str((await firm.challenge(fresh)).checkout_id), "paid")
    assert (await _acts(firm).check_payment(ChallengeFact(challenge_id=fresh, key="p"))).state == "provisioning"
    funded = PhaseStep(challenge_id=fresh, phase_index=3)
    await _acts(firm).open_account(funded)
    status = await _acts(firm).start_phase(funded)
    assert (status.state, status.phase_index) == ("active", 1)
    async with firm.db.transaction() as session:
        account = await session.get_one(Account, (await firm.challenge(fresh)).account_id)
    assert account.phase_index == 1
