"""What the core asks of whatever sends a webhook: one POST to an address of others, checked before it is called."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True)
class WebhookRules:
    """Where webhooks may be sent. `hosts`: the only hosts, in lower case; empty: any. `loopback`: also to this machine,
    and over http, for development."""

    hosts: tuple[str, ...] = ()
    loopback: bool = False


@dataclass(frozen=True)
class WebhookAnswer:
    """What came back. `status` None: nothing did; `problem` says why in few words. `retry_after`: that header."""

    status: int | None
    problem: str = ""
    retry_after: str | None = None


class Courier(Protocol):
    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> WebhookAnswer:
        """Sends one request and waits for its answer, for at most half a minute. Follows no redirect. Raises nothing:
        an address that may not be called, a name that leads nowhere and a lost connection are answers too."""
        ...
