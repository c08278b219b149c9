"""Port of a door by which mail comes in: something that hands over the bytes of each mail."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Protocol, runtime_checkable

# Takes the bytes of a mail and the recipients of its envelope, in one transaction, and returns when it is kept. Raises
# BadInput for a mail that can never be read; any other error means that it is to be brought again.
Take = Callable[[bytes, tuple[str, ...]], Awaitable[None]]


class MailDoor(Protocol):
    """`name`: the name in the firm's settings. `authserv`: the name of our own mail server in Authentication-Results;
    None: no sender is trusted."""

    name: str
    authserv: str | None


@runtime_checkable
class FetchingDoor(MailDoor, Protocol):
    async def run(self, take: Take, *, our_address: str, stop: asyncio.Event) -> None:
        """Hands over mail until `stop`. A mail counts as taken when `take` returned. While the other side is away it
        goes on trying."""
        ...


@runtime_checkable
class CalledDoor(MailDoor, Protocol):
    def verify(self, body: bytes, headers: Mapping[str, str], now: datetime) -> None:
        """Raises BadSignature for a webhook that cannot be trusted. Its body is the mail."""
        ...


def is_ours(recipient: str, our_address: str) -> bool:
    """Returns whether a recipient is the firm's address, or a `+` tag of it."""
    local, _, domain = our_address.lower().rpartition("@")
    name, _, at = recipient.lower().rpartition("@")
    return at == domain and name.partition("+")[0] == local
