"""Sends business events to the endpoints of others. Each try is a row; nothing is lost when this process is killed."""

import asyncio
import json
import random
import time
from collections import Counter as Counts
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final

import structlog
from prometheus_client import Counter

from domain import webhooks
from domain.quoting import storable_text
from firm import webhooks as firm
from ports.webhooks import Courier, WebhookAnswer
from store import webhooks as stored
from store.db import Database
from store.webhooks import Due

_AT_ONCE: Final = 64
_OF_ONE_ENDPOINT: Final = 8
_LEASE_SECONDS: Final = 90.0  # longer than any try takes
_PATIENCE: Final = timedelta(days=5)

_sent = Counter("propos_relay_webhooks_total", "Tries of webhooks by outcome", ["outcome"])
_log = structlog.get_logger("relay.webhooks")


class WebhookDispatcher:
    """Several relays may run one each. `patience`: how long every try of an endpoint may fail before it is disabled."""

    def __init__(self, db: Database, courier: Courier, patience: timedelta = _PATIENCE) -> None:
        self._db, self._courier, self._patience = db, courier, patience
        self._running: dict[asyncio.Task[None], str] = {}

    async def step(self) -> int:
        """Begins the deliveries that are due and does not wait for them: a slow endpoint holds up no other one. Returns
        how many began."""
        free = _AT_ONCE - len(self._running)
        if free <= 0:
            await asyncio.wait(self._running, return_when=asyncio.FIRST_COMPLETED)
            return 1
        async with self._db.transaction() as session:
            due = await stored.claim(
                session,
                limit=free,
                each=_OF_ONE_ENDPOINT,
                lease_seconds=_LEASE_SECONDS,
                busy=Counts(self._running.values()),
            )
        for delivery in due:
            task = asyncio.create_task(self._deliver(delivery))
            self._running[task] = delivery.endpoint_id
            task.add_done_callback(self._ended)
        return len(due)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._running.pop(task, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            # the lease ends, and the delivery is tried again
            _log.warning("a delivery was not recorded", error=type(error).__name__)

    async def idle(self) -> None:
        """Waits until no delivery is on its way."""
        while self._running:
            await asyncio.wait(self._running)

    async def close(self) -> None:
        """Gives up what is on its way; it is sent again, under the same webhook-id, once its lease has ended."""
        for task in list(self._running):
            task.cancel()
        with suppress(asyncio.CancelledError):
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _deliver(self, due: Due) -> None:
        body = json.dumps(due.body, separators=(",", ":")).encode()
        began = time.monotonic()
        if len(body) > webhooks.LONGEST_BODY:
            answer = WebhookAnswer(None, f"the body has more than {webhooks.LONGEST_BODY} bytes")
        else:
            headers = webhooks.headers(due.secrets, webhook_id=due.event_id, timestamp=int(time.time()), body=body)
            answer = await self._courier.post(due.url, headers, body)
        await self._record(due, answer, round((time.monotonic() - began) * 1000))

    async def _record(self, due: Due, answer: WebhookAnswer, milliseconds: int) -> None:
        outcome = webhooks.outcome(answer.status)
        problem = storable_text(answer.problem)
        async with self._db.transaction() as session:
            await stored.record_try(session, due, status=answer.status, problem=problem, milliseconds=milliseconds)
            if outcome == "delivered":
                await stored.finish(session, due, "delivered")
                await stored.note_good(session, due.endpoint_id)
            else:
                asked = webhooks.retry_after(answer.retry_after, datetime.now(UTC))
                pause = webhooks.pause(due.tries, retry_after=asked, chance=random.random())
                if pause is None:
                    await stored.finish(session, due, "failed")
                else:
                    await stored.postpone(session, due, pause)
                await firm.note_failure(session, due.endpoint_id, gone=outcome == "gone", patience=self._patience)
        _sent.labels(outcome).inc()
        if outcome != "delivered":
            _log.info("webhook failed", endpoint=due.endpoint_id, event=due.event_id, status=answer.status, why=problem)
