"""Approvals of the payout benchmark: two people approve each payout through the API application."""

import time
from uuid import uuid4

import httpx
from temporalio.client import Client

from api.json_api import create_json_api
from cli.bench.outside import payments
from cli.bench.payout_firm import Approver
from front.access import Access
from front.deps import ApiDeps
from front.limits import RequestLimits
from store.db import Database


async def approve_all(db: Database, client: Client, payout_ids: list[str], approvers: list[Approver]) -> list[float]:
    """Has every payout approved by each person, one after another; returns the milliseconds of each such call."""

    async def connected() -> Client:
        return client

    limits = RequestLimits(person=1_000_000)  # two persons approve everything
    app = create_json_api(
        ApiDeps(
            db=db,
            temporal=connected,
            payments=payments(),
            public_url="http://firm.test",
            access=Access(step_up=False),
            limits=limits,
        )
    )
    took: list[float] = []
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test", timeout=60) as http:
        for payout_id in payout_ids:
            for approver in approvers:
                took.append(await _approve(http, payout_id, approver))
    return took


async def _approve(http: httpx.AsyncClient, payout_id: str, approver: Approver) -> float:
    headers = {"Authorization": f"Bearer {approver.token}"}
    shown = (await http.get(f"/v1/payouts/{payout_id}", headers=headers)).raise_for_status().json()
    body = {"reason": "The figures agree.", "seen": shown["seen"]}
    started = time.perf_counter()
    answer = await http.post(
        f"/v1/payouts/{payout_id}/approve", json=body, headers={**headers, "Idempotency-Key": uuid4().hex}
    )
    took = (time.perf_counter() - started) * 1000
    answer.raise_for_status()
    return took
