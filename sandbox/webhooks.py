"""Delivery of signed webhooks, repeated until the receiver accepts them."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Final

import httpx

from ports.payments import WebhookEvent
from sandbox.provider import Provider

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
_IDLE: Final = 0.05


def sign(body: bytes, secret: str, unix: int) -> str:
    """Returns the `PropOS-Signature` header of `body` at wall time `unix`."""
    digest = hmac.new(secret.encode(), f"{unix}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix},v1={digest}"


def webhook_body(event: WebhookEvent) -> bytes:
    data = event.model_dump(mode="json")
    return json.dumps({"id": data.pop("event_id"), **data}, separators=(",", ":")).encode()


class WebhookSender:
    """Sends undelivered events in order, or newest first under the fault `reorder`.

    A refused event waits longer each time; it does not delay the others.
    """

    def __init__(self, provider: Provider, url: str | None, secret: str, commit: Callable[[], None]) -> None:
        self._provider, self._url, self._secret, self._commit = provider, url, secret, commit
        self._waits: dict[str, tuple[float, float]] = {}  # event id -> (next try, wait after that)

    async def run(self) -> None:
        """Deliver until cancelled."""
        if self._url is None:
            return
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                if not await self._send_due(client, self._url):
                    await asyncio.sleep(_IDLE)

    async def _send_due(self, client: httpx.AsyncClient, url: str) -> bool:
        now, faults = time.monotonic(), self._provider.faults
        due = [id for id in self._provider.undelivered if self._waits.get(id, (0.0, 0.0))[0] <= now]
        if faults.reorder:
            due.reverse()
        for event_id in due:
            if faults.use("drop_webhooks"):
                self._done(event_id)
                continue
            times = 2 if faults.use("duplicate_webhooks") else 1
            answers = [await self._post(client, url, event_id) for _ in range(times)]
            if all(answers):
                self._done(event_id)
            else:
                wait = self._waits.get(event_id, (0.0, _FIRST_WAIT))[1]
                self._waits[event_id] = (time.monotonic() + wait, min(2 * wait, _LONGEST_WAIT))
        return bool(due)

    def _done(self, event_id: str) -> None:
        self._waits.pop(event_id, None)
        self._provider.delivered(event_id)
        self._provider.save_faults()
        self._commit()

    async def _post(self, client: httpx.AsyncClient, url: str, event_id: str) -> bool:
        body = webhook_body(self._provider.event(event_id))
        headers = {
            "Content-Type": "application/json",
            "PropOS-Signature": sign(body, self._secret, int(time.time())),
        }
        try:
            answer = await client.post(url, content=body, headers=headers)
        except httpx.TransportError:
            return False
        return answer.is_success
