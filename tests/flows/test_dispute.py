"""Disputes on real Postgres and Temporal: who may decide, what each decision leads to, and that it happens once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from contracts.ids import CORE_QUEUE
from contracts.messages import DecisionRequest, DisputeStart
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from firm import disputes
from store.models import Breach, Decision, Dispute
from tests.asked import ask_for
from tests.challenge_world import Firm, a_firm, after


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with a_firm(database_url, temporal_address) as found:
        yield found


async def _breached(firm: Firm, actor: Actor, product: str = "two-step") -> tuple[str, str]:
    challenge_id = await firm.bought(actor, product)
    breach_id = await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    return challenge_id, breach_id


async def _refused(firm: Firm, dispute_id: str, decision: str, actor: Actor, key: str = "d1") -> ApplicationError:
    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await firm.decide(dispute_id, decision, actor, key=key)
    assert isinstance(refused.value.cause, ApplicationError)
    return refused.value.cause


@pytest.mark.parametrize(("product", "state"), [("two-step", "active"), ("instant", "funded")])
async def test_reinstatement_gives_the_account_back_with_room(firm: Firm, product: str, state: str) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id, breach_id = await _breached(firm, ada, product)
    dispute_id = await firm.dispute(breach_id, ada)
    assert (await firm.decide(dispute_id, "reinstate", rosa))["state"] == "reinstating"
    await firm.becomes(challenge_id, state)
    await firm.dispute_becomes(dispute_id, "reinstated")
    account = await firm.account(challenge_id)
    seat = firm.venue.seats[account.login or 0]
    assert (account.status, account.ended_at, seat.enabled) == ("active", None, True)
    assert seat.balance_minor == 9_100_000, "1 % of the initial balance above the floor of 90 %"
    async with firm.db.transaction() as session:
        assert (await session.get_one(Breach, breach_id)).status == "overturned"
    assert (await firm.steps("dispute", dispute_id))[-1] == "account_reinstated"

    again = await firm.breach(challenge_id, offence=2)
    await firm.becomes(challenge_id, "breached")
    assert again != breach_id


async def test_time_lost_to_an_overturned_breach_does_not_count(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    await firm.market_time(after(days=20))  # the window of 14 days is over, the dispute is not
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "breached"
    await firm.decide(dispute_id, "reinstate", rosa)
    await firm.becomes(challenge_id, "active")
    await firm.market_time(after(days=49))
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "active"
    await firm.market_time(after(days=50))
    await firm.ends(challenge_id, "expired")


async def test_an_upheld_breach_fails_the_challenge(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    assert (await firm.decide(dispute_id, "uphold", rosa))["state"] == "upheld"
    await firm.ends(challenge_id, "failed")
    async with firm.db.transaction() as session:
        assert (await session.get_one(Dispute, dispute_id)).closed_at is not None


async def test_the_evidence_is_small_numbers_and_ids(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    _, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    async with firm.db.transaction() as session:
        evidence = (await session.get_one(Dispute, dispute_id)).evidence
    assert evidence["overshoot_minor"] == 10_000
    assert evidence["initial_minor"] == 10_000_000
    assert (evidence["spread"], evidence["spread_ratio"]) == ("0.40", None)
    assert evidence["deals_24h"] == {"count": 0, "profit_minor": 0, "ids": []}


async def test_who_may_decide_and_who_was_first(firm: Firm) -> None:
    ada, sam = await firm.add_trader("ada"), await firm.add_user("sam", "support")
    rosa, ana = await firm.add_user("rosa", "risk"), await firm.add_user("ana", "admin")
    _, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    wordless = DecisionRequest(key="w", actor=rosa, reason=" ")
    with pytest.raises(WorkflowUpdateFailedError):
        await firm.client.get_workflow_handle(f"dispute/{dispute_id}").execute_update("uphold", wordless, id="w")
    assert (await _refused(firm, dispute_id, "reinstate", sam)).type == "not-allowed"
    impostor = sam.model_copy(update={"role": "admin"})
    assert (await _refused(firm, dispute_id, "reinstate", impostor, "d2")).type == "not-allowed"
    first = await firm.decide(dispute_id, "reinstate", rosa)
    assert await firm.decide(dispute_id, "reinstate", rosa) == first, "the same key again gives the first answer"
    late = await _refused(firm, dispute_id, "uphold", ana)
    assert (late.type, late.message.split(":")[1]) == ("already-decided", " reinstate by usr_rosa.")
    async with firm.db.transaction() as session:
        row = (await session.scalars(Decision.__table__.select())).all()
    assert len(row) == 1


async def test_what_cannot_be_disputed(firm: Firm) -> None:
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    _, breach_id = await _breached(firm, ada)

    async def opening(actor: Actor, statement: str = "The price was odd.") -> None:
        async with firm.db.transaction() as session:
            await disputes.open_dispute(session, breach_id=breach_id, actor=actor, statement=statement)

    with pytest.raises(NotFound):
        await opening(eve)
    with pytest.raises(BadInput):
        await opening(ada, "  ")
    await firm.dispute(breach_id, ada)
    with pytest.raises(Conflict, match="disputed already"):
        await opening(ada)


async def test_a_dispute_comes_too_late(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    _, breach_id = await _breached(firm, ada)
    await firm.market_time(after(days=14))
    with pytest.raises(Conflict, match="time to dispute"):
        await firm.dispute(breach_id, ada)


async def test_a_chargeback_during_a_reinstatement_leaves_the_account_shut(firm: Firm) -> None:
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    checkout_id = str((await firm.challenge(challenge_id)).checkout_id)
    firm.provider.becomes(checkout_id, "charged_back")
    await firm.handle(challenge_id).signal("chargeback_received", {"key": "cb", "checkout_id": checkout_id})
    await firm.handle(challenge_id).signal(
        "breach_overturned", {"key": "o", "dispute_id": dispute_id, "breach_id": breach_id}
    )
    await firm.ends(challenge_id, "charged_back")
    assert not firm.venue.seats[(await firm.account(challenge_id)).login or 0].enabled
    with pytest.raises(WorkflowUpdateFailedError):
        await firm.decide(dispute_id, "reinstate", await firm.add_user("sam", "support"))
    assert (await firm.decide(dispute_id, "reinstate", rosa))["state"] == "reinstating"
    await firm.dispute_becomes(dispute_id, "reinstated")
    async with firm.db.transaction() as session:
        assert (await session.get_one(Breach, breach_id)).status == "overturned"


async def test_a_decision_before_the_first_task_waits_for_the_evidence(firm: Firm) -> None:
    """Delivered together with the start: it runs before `run`, and is not lost when `run` begins. It was made without
    the evidence, so it does not count; the same decision on the evidence does."""
    ada, rosa = await firm.add_trader("ada"), await firm.add_user("rosa", "risk")
    challenge_id, breach_id = await _breached(firm, ada)
    async with firm.db.transaction() as session:
        row = await disputes.open_dispute(session, breach_id=breach_id, actor=ada, statement="The price was odd.")
    start: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
        "Dispute",
        DisputeStart(dispute_id=row.id),
        id=f"dispute/{row.id}",
        task_queue=CORE_QUEUE,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    request = DecisionRequest(key="early", actor=rosa, reason="Looked at the evidence.")
    await ask_for(firm.db, "dispute", row.id, "uphold", request)
    with pytest.raises(WorkflowUpdateFailedError) as early:
        await firm.client.execute_update_with_start_workflow(
            "uphold", request, id="early", start_workflow_operation=start
        )
    assert isinstance(early.value.cause, ApplicationError)
    assert early.value.cause.type == "decision-differs"
    assert (await firm.decide(row.id, "uphold", rosa))["state"] == "upheld"
    await firm.dispute_becomes(row.id, "upheld")
    await firm.ends(challenge_id, "failed")
