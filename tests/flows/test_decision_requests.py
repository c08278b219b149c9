"""Decisions that nobody asked for, on real Temporal and Postgres: messages sent again, changed, late, or made up.

Whoever reaches Temporal's port can send an encrypted payload again under a new update id. The same request sent twice
through our own client is exactly that.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import select
from temporalio import activity
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError, RPCStatusCode

from activities.payouts import PayoutActivities
from contracts.ids import case_workflow, payout_workflow
from contracts.messages import DecisionRequest, DecisionResult, RefundRequest
from contracts.payouts import PayoutDecision
from domain.approvals import Actor
from domain.decision_requests import DecidedKind
from store.db import Database
from store.models import Decision, DecisionRequestRow, Dispute, Payout, User
from tests.asked import ask_for
from tests.challenge_world import PATIENCE_SECONDS, Firm
from tests.challenge_world import a_firm as challenge_firm
from tests.flows.opened_case import opened
from tests.payout_stage import Stage, a_stage
from tests.payout_world import LARGE, MEDIUM


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


@pytest.fixture
async def firm(database_url: str, temporal_address: str) -> AsyncIterator[Firm]:
    async with challenge_firm(database_url, temporal_address) as found:
        yield found


async def send(client: Client, workflow_id: str, update: str, request: object, update_id: str) -> dict[str, Any]:
    """What reaches the workflow's port: any message under any update id. Temporal refuses it while a task of the
    workflow has failed and is tried again, which happens on a busy machine."""
    handle = client.get_workflow_handle(workflow_id)
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                result: dict[str, Any] = await handle.execute_update(update, request, id=update_id)
                return result
            except RPCError as error:
                if error.status is not RPCStatusCode.FAILED_PRECONDITION:
                    raise
            await asyncio.sleep(0.1)


async def refusal(call: Awaitable[object]) -> str | None:
    with pytest.raises(WorkflowUpdateFailedError) as failed:
        await call
    assert isinstance(failed.value.cause, ApplicationError)
    return failed.value.cause.type


async def asked(
    db: Database, kind: DecidedKind, subject_id: str, verb: str, actor: Actor, *, key: str, **more: Any
) -> DecisionRequest:
    request = DecisionRequest(key=key, actor=actor, reason="looked at it")
    await ask_for(db, kind, subject_id, verb, request, **more)
    return request


async def outcome(db: Database, key: str) -> str | None:
    async with db.transaction() as session:
        row = await session.get_one(DecisionRequestRow, key)
        assert row.outcome is None or row.consumed_at is not None
        return row.outcome


async def decisions(db: Database) -> Sequence[Decision]:
    async with db.transaction() as session:
        return (await session.scalars(select(Decision).order_by(Decision.id))).all()


async def waiting(stage: Stage, gross: int = MEDIUM) -> tuple[str, str]:
    """(payout, its workflow) that waits for approval."""
    payout_id = await stage.world.request(await stage.world.add_trader("tina"), gross)
    await stage.becomes(payout_id, "awaiting_approval")
    return payout_id, payout_workflow(payout_id)


async def nothing_left(stage: Stage, payout_id: str) -> None:
    assert await decisions(stage.world.db) == []
    assert (await stage.world.payout(payout_id)).state == "awaiting_approval"
    assert stage.world.provider.calls == 0


async def promote(stage: Stage, actor: Actor) -> None:
    """What was refused for its role would be accepted now."""
    async with stage.world.db.transaction() as session:
        (await session.get_one(User, actor.user_id)).role = "finance"


async def test_a_refused_approval_sent_again_is_refused_and_nothing_leaves(stage: Stage) -> None:
    """Refused for the role of that moment; the person has the right role when the message is sent again."""
    payout_id, workflow_id = await waiting(stage)
    sam, db = await stage.world.add_user("sam", "support"), stage.world.db
    request = await asked(db, "payout", payout_id, "approve", sam, key="k1")
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k1")) == "not-allowed"
    assert await outcome(db, "k1") == "not-allowed"
    await promote(stage, sam)
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k2")) == "decision-replayed"
    await nothing_left(stage, payout_id)


async def test_an_accepted_approval_sent_again_counts_once(stage: Stage) -> None:
    payout_id, workflow_id = await waiting(stage, LARGE)
    fay, db = await stage.world.add_user("fay", "finance"), stage.world.db
    request = await asked(db, "payout", payout_id, "approve", fay, key="k1")
    first = await send(stage.client, workflow_id, "approve", request, "k1")
    assert (first["state"], first["approvals"]) == ("awaiting_approval", 1)
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k2")) == "decision-replayed"
    assert [row.user_id for row in await decisions(db)] == ["usr_fay"]
    assert (await outcome(db, "k1"), stage.world.provider.calls) == ("taken", 0)


async def test_an_approval_that_nobody_asked_for_is_refused(stage: Stage) -> None:
    """Also one that was on its way when requests came to be rows: the person decides again."""
    payout_id, workflow_id = await waiting(stage)
    fay = await stage.world.add_user("fay", "finance")
    request = DecisionRequest(key="k1", actor=fay, reason="looked at it")
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k1")) == "decision-unasked"
    await nothing_left(stage, payout_id)
    again = await asked(stage.world.db, "payout", payout_id, "approve", fay, key="k2")
    assert (await send(stage.client, workflow_id, "approve", again, "k2"))["state"] == "approved"


async def test_a_request_that_is_too_old_is_refused_for_good(stage: Stage) -> None:
    payout_id, workflow_id = await waiting(stage)
    fay, db = await stage.world.add_user("fay", "finance"), stage.world.db
    request = await asked(db, "payout", payout_id, "approve", fay, key="k1", valid=timedelta(0))
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k1")) == "decision-expired"
    assert await outcome(db, "k1") == "decision-expired"
    await nothing_left(stage, payout_id)


async def test_a_request_for_something_else_is_refused_and_can_still_be_used(stage: Stage) -> None:
    """Another verb, person, payout or reason than asked for."""
    payout_id, workflow_id = await waiting(stage)
    fay, gil = await stage.world.add_user("fay", "finance"), await stage.world.add_user("gil", "admin")
    db = stage.world.db
    request = await asked(db, "payout", payout_id, "reject", fay, key="k1")
    assert await refusal(send(stage.client, workflow_id, "approve", request, "a")) == "decision-differs"
    as_gil = request.model_copy(update={"actor": gil})
    assert await refusal(send(stage.client, workflow_id, "reject", as_gil, "b")) == "decision-differs"
    other = await stage.world.request(await stage.world.add_trader("otto"), MEDIUM)
    await stage.becomes(other, "awaiting_approval")
    assert await refusal(send(stage.client, payout_workflow(other), "reject", request, "c")) == "decision-differs"
    await nothing_left(stage, payout_id)
    assert await outcome(db, "k1") is None
    reworded = await asked(db, "payout", payout_id, "approve", fay, key="k2")
    reworded = reworded.model_copy(update={"reason": "never said"})
    assert await refusal(send(stage.client, workflow_id, "approve", reworded, "k2")) == "decision-differs"
    await nothing_left(stage, payout_id)
    assert (await send(stage.client, workflow_id, "reject", request, "k1"))["state"] == "releasing"


async def test_an_approval_of_a_payout_that_was_changed_since_is_refused(stage: Stage) -> None:
    payout_id, workflow_id = await waiting(stage)
    fay, db = await stage.world.add_user("fay", "finance"), stage.world.db
    request = await asked(db, "payout", payout_id, "approve", fay, key="k1")
    async with db.transaction() as session:
        (await session.get_one(Payout, payout_id)).beneficiary = "DE00"
    assert await refusal(send(stage.client, workflow_id, "approve", request, "k1")) == "decision-differs"
    assert await outcome(db, "k1") == "decision-differs"
    await nothing_left(stage, payout_id)


class DiesBeforeItAnswers(PayoutActivities):
    """The first attempt at a decision dies when everything is committed and nothing answered; before the next one, the
    person's role changes."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.attempts = 0

    @activity.defn(name="payouts.record_decision")
    async def record_decision(self, decision: PayoutDecision) -> DecisionResult:
        self.attempts += 1
        try:
            return await super().record_decision(decision)
        finally:
            if self.attempts == 1:
                async with self._db.transaction() as session:
                    user = await session.get_one(User, decision.request.actor.user_id)
                    user.role = "support" if user.role == "finance" else "finance"
                raise RuntimeError("the worker dies here")


@pytest.mark.parametrize("role", ["support", "finance"])
async def test_a_crash_before_the_answer_gives_the_same_answer_later(
    database_url: str, temporal_address: str, role: Any
) -> None:
    """Taken or refused: the next attempt says what the first would have said, and decides nothing anew."""
    async with a_stage(database_url, temporal_address, payouts=DiesBeforeItAnswers) as stage:
        payout_id, workflow_id = await waiting(stage, LARGE)
        fay, db = await stage.world.add_user("fay", role), stage.world.db
        request = await asked(db, "payout", payout_id, "approve", fay, key="k1")
        answer = send(stage.client, workflow_id, "approve", request, "k1")
        if role == "support":
            assert await refusal(answer) == "not-allowed"
        else:
            assert (await answer)["approvals"] == 1
        assert len(await decisions(db)) == (0 if role == "support" else 1)


async def test_a_case_decision_sent_again_is_refused(stage: Stage) -> None:
    await stage.world.add_trader("tina")
    fay, db = await stage.world.add_user("fay", "support"), stage.world.db
    case_id = await opened(stage)
    request = await asked(db, "case", case_id, "clear", fay, key="k1")
    assert await refusal(send(stage.client, case_workflow(case_id), "clear", request, "k1")) == "not-allowed"
    assert await refusal(send(stage.client, case_workflow(case_id), "clear", request, "k2")) == "decision-replayed"
    assert await refusal(send(stage.client, case_workflow(case_id), "confirm", request, "k4")) == "decision-differs"
    unasked = request.model_copy(update={"key": "k3"})
    assert await refusal(send(stage.client, case_workflow(case_id), "clear", unasked, "k3")) == "decision-unasked"
    assert await decisions(db) == []


async def test_a_dispute_decision_sent_again_is_refused(firm: Firm) -> None:
    ada, sam = await firm.add_trader("ada"), await firm.add_user("sam", "support")
    challenge_id = await firm.bought(ada)
    breach_id = await firm.breach(challenge_id)
    await firm.becomes(challenge_id, "breached")
    dispute_id = await firm.dispute(breach_id, ada)
    workflow_id = f"dispute/{dispute_id}"
    request = await asked(firm.db, "dispute", dispute_id, "reinstate", sam, key="k1")
    assert await refusal(send(firm.client, workflow_id, "reinstate", request, "k1")) == "not-allowed"
    assert await refusal(send(firm.client, workflow_id, "reinstate", request, "k2")) == "decision-replayed"
    assert await refusal(send(firm.client, workflow_id, "uphold", request, "k4")) == "decision-differs"
    assert await decisions(firm.db) == []
    async with firm.db.transaction() as session:
        assert (await session.get_one(Dispute, dispute_id)).state == "awaiting_decision"


async def test_a_refund_sent_again_is_refused(firm: Firm) -> None:
    """Refused for whoever asked; then asked for by nobody; then taken, and sent again."""
    ada, eve = await firm.add_trader("ada"), await firm.add_trader("eve")
    challenge_id = await firm.bought(ada)
    workflow_id = f"challenge/{challenge_id}"
    foreign = RefundRequest(key="k1", actor=eve, reason="No time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", foreign)
    assert await refusal(send(firm.client, workflow_id, "refund", foreign, "k1")) == "not-allowed"
    assert await outcome(firm.db, "k1") == "not-allowed"
    assert await refusal(send(firm.client, workflow_id, "refund", foreign, "k2")) == "decision-replayed"
    mine = RefundRequest(key="k3", actor=ada, reason="No time.")
    assert await refusal(send(firm.client, workflow_id, "refund", mine, "k3")) == "decision-unasked"
    assert firm.provider.refunded == []
    mine = RefundRequest(key="k4", actor=ada, reason="No time.")
    await ask_for(firm.db, "challenge", challenge_id, "refund", mine)
    assert (await send(firm.client, workflow_id, "refund", mine, "k4"))["state"] == "refunded"
    assert (await outcome(firm.db, "k4"), firm.provider.refunded) == ("taken", [f"{challenge_id}/refund"])
