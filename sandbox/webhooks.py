"""Delivery of signed webhooks, repeated until the receiver accepts them."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import Callable
from typing import Final, NamedTuple, Protocol

import httpx

from ports.money import WebhookEvent
from sandbox.provider import Faults, Provider

_FIRST_WAIT: Final = 0.5
_LONGEST_WAIT: Final = 30.0
_IDLE: Final = 0.05


class Post(NamedTuple):
    """One delivery. `headers`: besides the content type."""

    url: str
    body: bytes
    headers: dict[str, str]


class WebhookFaults(Protocol):
    """`use` counts a fault down: drop_webhooks, duplicate_webhooks."""

    reorder: bool

    def use(self, name: str) -> bool: ...


class WebhookSource(Protocol):
    """A company that sends webhooks."""

    @property
    def faults(self) -> WebhookFaults: ...

    def waiting(self) -> list[str]:
        """Returns the ids of the webhooks that are not delivered, oldest first."""
        ...

    def post(self, id: str) -> Post | None:
        """Returns what to send; None for a webhook that nobody takes any more."""
        ...

    def delivered(self, id: str) -> None: ...

    def save_faults(self) -> None: ...


class WebhookSender:
    """Sends waiting webhooks in order, or newest first under the fault `reorder`.

    A refused one waits longer each time; it does not delay the others.
    """

    def __init__(self, source: WebhookSource, commit: Callable[[], None]) -> None:
        self._source, self._commit = source, commit
        self._waits: dict[str, tuple[float, float]] = {}  # webhook -> (next try, wait after that)

    async def run(self) -> None:
        """Deliver until cancelled."""
        async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
            while True:
                if not await self._send_due(client):
                    await asyncio.sleep(_IDLE)

    async def _send_due(self, client: httpx.AsyncClient) -> bool:
        now, faults = time.monotonic(), self._source.faults
        due = [id for id in self._source.waiting() if self._waits.get(id, (0.0, 0.0))[0] <= now]
        if faults.reorder:
            due.reverse()
        for id in due:
            post = self._source.post(id)
            if post is None or faults.use("drop_webhooks"):
                self._done(id)
                continue
            times = 2 if faults.use("duplicate_webhooks") else 1
            answers = [await _send(client, post) for _ in range(times)]
            if all(answers):
                self._done(id)
            else:
                wait = self._waits.get(id, (0.0, _FIRST_WAIT))[1]
                self._waits[id] = (time.monotonic() + wait, min(2 * wait, _LONGEST_WAIT))
        return bool(due)

    def _done(self, id: str) -> None:
        self._waits.pop(id, None)
        self._source.delivered(id)
        self._source.save_faults()
        self._commit()


async def _send(client: httpx.AsyncClient, post: Post) -> bool:
    headers = {"Content-Type": "application/json", **post.headers}
    try:
        answer = await client.post(post.url, content=post.body, headers=headers)
    except httpx.TransportError:
        return False
    return answer.is_success


# the simple provider


def sign(body: bytes, secret: str, unix: int) -> str:
    """Returns the `PropOS-Signature` header of `body` at wall time `unix`."""
    digest = hmac.new(secret.encode(), f"{unix}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix},v1={digest}"


def webhook_body(event: WebhookEvent) -> bytes:
    data = event.model_dump(mode="json")
    return json.dumps({"id": data.pop("event_id"), **data}, separators=(",", ":")).encode()


class ProviderWebhooks:
    """The WebhookSource of the simple provider. `url` None: nobody takes its webhooks, and they wait."""

    def __init__(self, provider: Provider, url: str | None, secret: str) -> None:
        self._provider, self._url, self._secret = provider, url, secret

    @property
    def faults(self) -> Faults:
        return self._provider.faults

    def waiting(self) -> list[str]:
        return [] if self._url is None else list(self._provider.undelivered)

    def post(self, id: str) -> Post | None:
        if self._url is None:
            return None
        body = webhook_body(self._provider.event(id))
        return Post(self._url, body, {"PropOS-Signature": sign(body, self._secret, int(time.time()))})

    def delivered(self, id: str) -> None:
        self._provider.delivered(id)

    def save_faults(self) -> None:
        self._provider.save_faults()
