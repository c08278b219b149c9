"""Disputes on real Postgres and Temporal: who may decide, what each decision leads to, and that it happens once."""

from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select, text
from temporalio.client import WithStartWorkflowOperation, WorkflowUpdateFailedError
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError

from contracts.ids import CORE_QUEUE
from contracts.messages import DecisionRequest, DisputeStart
from domain import dispute_pack
from domain.approvals import Actor
from domain.errors import BadInput, Conflict, NotFound
from domain.service.policy import NO_POLICY
from firm import disputes
from front.subjects.dispute import DISPUTE
from front.subjects.subject import kinds
from store.models import AuditEntry, Breach, Decision, Dispute, TicketMessage
from store.read import audit as read_audit
from store.read import disputes as read
from store.read import queue
from store.read.pages import Window
from store.scope import FIRM, scope_of
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
        await firm.vote(dispute_id, decision, actor, key=key)
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
    await firm.market_time(after(days=6))
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "breached", "the trader may still appeal"
    await firm.market_time(after(days=8))
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
    first = await firm.vote(dispute_id, "reinstate", rosa)
    assert (first["state"], first["approvals"], first["approvals_needed"]) == ("awaiting_decision", 1, 2)
    assert await firm.vote(dispute_id, "reinstate", rosa) == first, "the same key again gives the first answer"
    assert (await _refused(firm, dispute_id, "reinstate", rosa, "d3")).type == "already-decided"
    roy = await firm.add_user("roy", "risk")
    assert (await firm.vote(dispute_id, "uphold", roy))["approvals_needed"] == 2
    assert (await firm.vote(dispute_id, "reinstate", ana))["state"] == "reinstating", "two against one"
    late = await _refused(firm, dispute_id, "reinstate", await firm.add_user("rex", "risk"))
    assert (late.type, late.message.split(":")[1]) == ("already-decided", " reinstate by Ana (usr_ana).")
    async with firm.db.transaction() as session:
        row = (await session.scalars(Decision.__table__.select())).all()
    assert len(row) == 3


async def test_an_appeal_is_decided_by_others_and_once(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    rosa, roy = await firm.add_user("rosa", "risk"), await firm.add_user("roy", "risk")
    challenge_id, breach_id = await _breached(firm, ada)
    first = await firm.dispute(breach_id, ada)
    await firm.vote(first, "uphold", rosa, message="The price was real.")
    await firm.vote(first, "uphold", roy, message="The price was real: see the proof.", reason="Third time he asks.")
    await firm.dispute_becomes(first, "upheld")
    async with firm.db.transaction() as session:
        for_ada = await read.one(session, scope_of(ada), first)
        for_staff = await read.one(session, FIRM, first)
        told = (await session.scalars(select(TicketMessage.body))).all()
        audited = (await session.scalars(select(AuditEntry.reason))).all()
        both = "SELECT message FROM dispute_words UNION ALL SELECT reason FROM sealed_reasons"
        raw = (await session.execute(text(both))).scalars().all()
        read_by_staff = (await read_audit.page(session, Window(limit=100), subject_id=first)).items
        kept = (await session.scalars(select(Decision.reason))).all()
    assert for_ada.message == "The price was real: see the proof." and list(told) == [for_ada.message]
    assert [(row.reason, row.message, row.name) for row in for_ada.decisions] == [("", for_ada.message, None)]
    assert "Third time" not in for_ada.model_dump_json()
    assert [row.reason for row in for_staff.decisions] == ["Looked at the evidence.", "Third time he asks."]
    assert not any("Third time" in reason for reason in [*audited, *kept])
    assert not any(b"Third" in each or b"price" in each for each in raw)
    said = {row.reason for row in read_by_staff}
    assert said >= {"Looked at the evidence.", "Third time he asks."}
    assert not any(each.startswith("sealed ") for each in said)

    async with firm.db.transaction() as session:
        row = await disputes.open_second(session, dispute_id=first, actor=ada, statement="Look at the tick again.")
    await firm.dispute_becomes(row.id, "awaiting_decision")
    with pytest.raises(Conflict, match="appealed against this already"):
        async with firm.db.transaction() as session:
            await disputes.open_second(session, dispute_id=first, actor=ada, statement="Once more.")
    refused = await _refused(firm, row.id, "uphold", rosa, "d2")
    assert refused.type == "self-approval" and "first time" in refused.message
    await firm.market_time(after(days=9))
    await firm.quiet()
    assert (await firm.challenge(challenge_id)).state == "breached", "the appeal is open"
    await firm.decide(row.id, "reinstate", await firm.add_user("rex", "risk"))
    await firm.becomes(challenge_id, "active")
    await firm.dispute_becomes(row.id, "reinstated")


async def test_a_deadline_that_passes_raises_the_dispute_and_decides_nothing(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    _, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    async with firm.db.transaction() as session:
        row = await session.get_one(Dispute, dispute_id)
        assert row.decide_by == NO_POLICY.deadline("dispute", row.opened_at)
    await firm.market_time(after(days=9))

    async def raised() -> bool:
        async with firm.db.transaction() as session:
            return (await session.get_one(Dispute, dispute_id)).escalated_at is not None

    await firm.until(raised)
    async with firm.db.transaction() as session:
        found = await queue.page(session, Window(), kinds((DISPUTE,)))
        assert (await read.one(session, scope_of(ada), dispute_id)).escalated_at is None, "not for the trader"
    assert found.items[0].words.startswith("Disputed breach, escalated to admin")
    assert found.items[0].state == "awaiting_decision" and found.items[0].due == row.decide_by


async def test_the_pack_is_frozen_and_checks_without_a_database(firm: Firm) -> None:
    ada = await firm.add_trader("ada")
    _, breach_id = await _breached(firm, ada)
    dispute_id = await firm.dispute(breach_id, ada)
    async with firm.db.transaction() as session:
        view = await read.one(session, scope_of(ada), dispute_id)
        data = await read.pack(session, scope_of(ada), dispute_id)
        assert data == await read.pack(session, FIRM, dispute_id), "the same bytes each time"
        with pytest.raises(NotFound):
            await read.pack(session, scope_of(await firm.add_trader("eve")), dispute_id)
    assert view.pack_digest is not None
    found = dispute_pack.check(data, view.pack_digest)
    assert (found.dispute_id, found.digest) == (dispute_id, view.pack_digest)
    assert {"breach.json", "proof.json", "terms.json", "trades.json", "bars.json", "messages.json"} <= set(found.files)


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
    await firm.market_time(after(days=8))
    await firm.ends(challenge_id, "failed")
