"""Decisions on a real Temporal server: what a workflow answers and refuses, as the API hears it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import update
from temporalio import workflow
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

from api.json_api import create_json_api
from contracts.messages import DecisionRequest, DecisionResult
from domain.errors import AlreadyDecided
from relay.temporal import connect
from store.models import Payout
from tests.api_world import ApiWorld, api_world

_KEYS = "k1:" + "A" * 43 + "="
_OK = {"reason": "All green."}


@workflow.defn(name="DecidedOnce")
class DecidedOnce:
    """Takes approvals until it is rejected; "no" is refused by the validator, "late" by the handler."""

    def __init__(self) -> None:
        self._over = False
        self._approvals = 0

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self._over and workflow.all_handlers_finished())

    @workflow.update
    async def approve(self, request: DecisionRequest) -> DecisionResult:
        if request.reason == "late":
            raise ApplicationError("Somebody was first.", type=AlreadyDecided.type, non_retryable=True)
        self._approvals += 1
        return DecisionResult(subject_id="x", state="in_review", decision="approve", approvals=self._approvals)

    @approve.validator
    def _check(self, request: DecisionRequest) -> None:
        if request.reason == "no":
            raise AlreadyDecided("payout x", "rejected", "Grace")

    @workflow.update
    async def reject(self, request: DecisionRequest) -> DecisionResult:
        self._over = True
        return DecisionResult(subject_id="x", state="rejected", decision="reject")


@pytest.fixture
async def real(database_url: str, temporal_address: str) -> AsyncIterator[tuple[ApiWorld, Client, str, str]]:
    """The world with a connected client, a task queue that a worker polls, and an open payout."""
    client = await connect(temporal_address, "propos", _KEYS)
    queue = f"api-{uuid4().hex}"
    async with api_world(database_url) as world:
        app = create_json_api(replace(world.deps, temporal=lambda: asyncio.sleep(0, client)))
        worker = Worker(client, task_queue=queue, workflows=[DecidedOnce], workflow_runner=UnsandboxedWorkflowRunner())
        async with worker, httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://firm.test") as http:
            world.http = http
            path = f"/v1/accounts/{world.people['tina'].has('acc')}/payouts"
            payout = str((await world.ask("tina", "POST", path, {"amount": "500"})).json()["id"])
            yield world, client, queue, payout


async def test_answers_refusals_and_repetitions(real: tuple[ApiWorld, Client, str, str]) -> None:
    world, client, queue, payout = real
    path = f"/v1/payouts/{payout}"
    early = await world.ask("finance", "POST", f"{path}/approve", _OK)
    assert (early.status_code, early.json()["detail"]) == (503, "This payout is still being set up.")
    await client.start_workflow("DecidedOnce", id=f"payout/{payout}", task_queue=queue)

    no = await world.ask("finance", "POST", f"{path}/approve", {"reason": "no"})
    late = await world.ask("finance", "POST", f"{path}/approve", {"reason": "late"})
    assert (no.status_code, no.json()["detail"]) == (409, "payout x was already decided: rejected by Grace.")
    assert (late.status_code, late.json()["type"]) == (409, "already-decided")

    copies = await asyncio.gather(
        *(world.ask("finance", "POST", f"{path}/approve", _OK, key="one-key-1") for _ in range(8))
    )
    assert {copy.json()["approvals"] for copy in copies} == {1}
    second = await world.ask("admin", "POST", f"{path}/approve", _OK, key="one-key-1")
    assert second.json()["approvals"] == 2

    assert (await world.ask("finance", "POST", f"{path}/reject", _OK)).json()["state"] == "rejected"
    await client.get_workflow_handle(f"payout/{payout}").result()
    async with world.db.transaction() as session:
        await session.execute(update(Payout).values(state="rejected"))
    over = await world.ask("finance", "POST", f"{path}/approve", _OK)
    assert (over.status_code, over.json()["detail"]) == (409, "This payout is rejected; nothing is left to decide.")


async def test_readiness_asks_the_real_server(real: tuple[ApiWorld, Client, str, str]) -> None:
    world, *_ = real
    answer = await world.http.get("/readyz")
    assert (answer.status_code, answer.json()["parts"]["temporal"]) == (200, "ok")
