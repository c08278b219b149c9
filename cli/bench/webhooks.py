"""Webhooks of the payout benchmark: how many a second the API accepts, and the relay routes.

The API runs in a process of its own, on real HTTP, with Stripe's signature check. An accepted webhook is committed. The
client sends prepared bytes over a few connections, so that it takes little of the machine.
"""

import asyncio
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Final

from sqlalchemy import func, select

from cli.bench.outside import payments
from cli.bench.payout_history import add_buyers
from cli.bench.processes import STRIPE
from cli.bench.servers import PayoutServers
from cli.bench.timing import rounded
from cli.stack.probes import free_ports, port_answers
from domain.errors import Unavailable
from relay.inbox import InboxDispatcher
from store.db import Database
from store.models import InboxEvent

_CONNECTIONS: Final = 24
_HOST: Final = "127.0.0.1"


async def webhooks(servers: PayoutServers, db: Database, count: int, step: Callable[[str], None]) -> dict[str, float]:
    """`accepted`: webhooks a second that were answered after their commit. `applied`: events a second that the relay
    turned into a signal to their workflow and marked as handled."""
    checkouts = await add_buyers(db, count, STRIPE)
    (port,), secret = free_ports(1), f"whsec_{secrets.token_hex(16)}"
    requests = [_request(port, secret, number, checkout) for number, checkout in enumerate(checkouts)]
    step("webhooks accepted")
    with servers.process("api", str(port), secret):
        await _answers(port)
        started = time.perf_counter()
        shares = [requests[place::_CONNECTIONS] for place in range(_CONNECTIONS)]
        await asyncio.gather(*(_send(port, share) for share in shares))
        accepted = count / (time.perf_counter() - started)
    step("webhooks applied")
    inbox = InboxDispatcher(db, payments())
    started = time.perf_counter()
    while await inbox.step():
        continue
    applied = count / (time.perf_counter() - started)
    async with db.transaction() as session:
        handled = select(func.count()).select_from(InboxEvent).where(InboxEvent.event_id.startswith("evt_bench"))
        handled = handled.where(InboxEvent.handled_at.is_not(None))
        if await session.scalar(handled) != count:
            raise AssertionError("not every webhook was handled")
    return {"accepted": rounded(accepted), "applied": rounded(applied)}


def _request(port: int, secret: str, number: int, checkout_id: str) -> bytes:
    """Returns a webhook of about the size that Stripe's have, as bytes of HTTP."""
    found = {"id": checkout_id, "object": "checkout.session", "metadata": {"padding": "x" * 2_000}}
    event = {
        "id": f"evt_bench{number}",
        "object": "event",
        "type": "checkout.session.completed",
        "livemode": False,
        "created": int(time.time()),
        "data": {"object": found},
    }
    body, now = json.dumps(event), int(time.time())
    digest = hmac.new(secret.encode(), f"{now}.{body}".encode(), hashlib.sha256).hexdigest()
    head = (
        f"POST /webhooks/payments/{STRIPE} HTTP/1.1\r\nHost: {_HOST}:{port}\r\nContent-Type: application/json\r\n"
        f"Stripe-Signature: t={now},v1={digest}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return (head + body).encode()


async def _answers(port: int) -> None:
    deadline = time.monotonic() + 60
    while not await port_answers(_HOST, port):
        if time.monotonic() > deadline:
            raise Unavailable("The API of the benchmark did not start.")
        await asyncio.sleep(0.05)


async def _send(port: int, requests: list[bytes]) -> None:
    """Sends requests one after another over one connection. Each must be accepted."""
    reader, writer = await asyncio.open_connection(_HOST, port)
    for request in requests:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 202"):
            raise AssertionError(f"a webhook was refused: {head[:40]!r}")
        length = int(head.lower().partition(b"content-length:")[2].split(b"\r\n")[0])
        await reader.readexactly(length)
    writer.close()
