"""Webhooks of the fake Stripe: which are waiting, and how each is signed."""

import hashlib
import hmac
import json
import time

from sandbox.stripe.faults import Faults
from sandbox.stripe.state import State, shown
from sandbox.webhooks import Post


def sign(body: bytes, secret: str, unix: int) -> str:
    """Returns the header `Stripe-Signature` of `body` at wall time `unix`."""
    digest = hmac.new(secret.encode(), f"{unix}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={unix},v1={digest}"


class StripeWebhooks:
    """A WebhookSource. Each endpoint signs with its own secret; wall time delays and dates a delivery."""

    def __init__(self, state: State) -> None:
        self._state = state
        self._seen: dict[str, float] = {}  # webhook -> when it was seen first, for the fault `delay_webhooks`

    @property
    def faults(self) -> Faults:
        return self._state.faults

    def waiting(self) -> list[str]:
        now, delay = time.monotonic(), self._state.faults.delay_webhooks
        for hook in self._state.undelivered:
            self._seen.setdefault(hook, now)
        due = [hook for hook in self._state.undelivered if self._seen[hook] + delay <= now]
        if self._state.faults.reorder and len(due) > 1:
            self._state.faults.count("reorder")  # the sender sends the newest first
        return due

    def post(self, id: str) -> Post | None:
        event_id, _, name = id.partition("/")
        event, endpoint = self._state.find(event_id), self._state.endpoints.get(name)
        if event is None or endpoint is None:
            return None
        body = json.dumps(shown(event), separators=(",", ":")).encode()
        headers = {"Stripe-Signature": sign(body, endpoint.secret, int(time.time()))}
        return Post(endpoint.url, body, headers)

    def delivered(self, id: str) -> None:
        self._seen.pop(id, None)
        if self._state.faults.delay_webhooks:
            self._state.faults.count("delay_webhooks")
        self._state.delivered(id)

    def save_faults(self) -> None:
        self._state.save_faults()
