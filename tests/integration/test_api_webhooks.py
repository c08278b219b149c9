"""Payment webhooks: forged, stale, oversized, repeated, and while the workflow engine is down."""

import asyncio
import hashlib
import hmac
import json
import time
from collections.abc import AsyncIterator, Callable

import httpx
import pytest
from sqlalchemy import func, select

from store.models import InboxEvent
from tests.api_world import SECRET, ApiWorld, api_world

PATH = "/webhooks/payments/sandbox"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


def _event(number: int = 1) -> bytes:
    event = {"id": f"evt_{number}", "kind": "checkout.paid", "object_id": "co_1", "created_at": "2014-05-02T21:00:00Z"}
    return json.dumps(event).encode()


def _signature(body: bytes, *, secret: str = SECRET, age: float = 0) -> str:
    at = int(time.time() - age)
    digest = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


async def _deliver(world: ApiWorld, body: bytes, signature: str | None) -> httpx.Response:
    headers = {} if signature is None else {"PropOS-Signature": signature}
    return await world.http.post(PATH, content=body, headers=headers)


async def _stored(world: ApiWorld) -> int:
    async with world.db.transaction() as session:
        return await session.scalar(select(func.count()).select_from(InboxEvent)) or 0


async def test_a_signed_event_is_stored_while_temporal_is_down(world: ApiWorld) -> None:
    world.temporal.down = True
    answer = await _deliver(world, _event(), _signature(_event()))
    assert (answer.status_code, answer.json()) == (202, {"received": True})
    assert await _stored(world) == 1


FORGED: dict[str, Callable[[], str | None]] = {
    "missing": lambda: None,
    "wrong secret": lambda: _signature(_event(), secret="another endpoint's"),
    "of another body": lambda: _signature(_event(2)),
    "stale": lambda: _signature(_event(), age=301),
    "from the future": lambda: _signature(_event(), age=-310),
    "twice v1": lambda: _signature(_event()) + ",v1=" + "0" * 64,
    "empty": lambda: "t=1,v1=",
    "no signature at all": lambda: "nonsense",
}


@pytest.mark.parametrize("why", FORGED)
async def test_what_cannot_be_trusted_is_not_stored(world: ApiWorld, why: str) -> None:
    answer = await _deliver(world, _event(), FORGED[why]())
    assert (answer.status_code, answer.json().get("type")) == (400, "bad-signature")
    assert await _stored(world) == 0


async def test_a_signature_with_any_byte_changed_is_refused(world: ApiWorld) -> None:
    body = _event()
    right = _signature(body)
    for place, letter in enumerate(right):
        wrong = right[:place] + ("0" if letter != "0" else "1") + right[place + 1 :]
        answer = await _deliver(world, body, wrong)
        assert (answer.status_code, answer.json().get("type")) == (400, "bad-signature"), place
    assert await _stored(world) == 0


async def test_a_body_with_any_byte_changed_is_refused(world: ApiWorld) -> None:
    body = _event()
    signature = _signature(body)
    for place in range(len(body)):
        wrong = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        assert (await _deliver(world, wrong, signature)).status_code == 400, place
    assert await _stored(world) == 0


async def test_a_signed_body_that_is_no_event_names_the_body(world: ApiWorld) -> None:
    answer = await _deliver(world, b"[]", _signature(b"[]"))
    assert (answer.status_code, answer.json()["field"]) == (422, "body")


@pytest.mark.parametrize(
    ("change", "kind", "parked"),
    [
        ({"kind": "balance.available"}, "balance.available", False),  # the relay says that nobody waits for it
        ({"created_at": "yesterday"}, "checkout.paid", True),
        ({"kind": None}, "unreadable", True),
        ({"object_id": {"id": "co_1"}}, "checkout.paid", True),
        ({"livemode": True}, "checkout.paid", False),
    ],
)
async def test_a_signed_event_that_is_odd_is_kept(
    world: ApiWorld, change: dict[str, object], kind: str, parked: bool
) -> None:
    body = json.dumps(json.loads(_event()) | change).encode()
    for _ in range(2):
        assert (await _deliver(world, body, _signature(body))).status_code == 202
    async with world.db.transaction() as session:
        (row,) = await session.scalars(select(InboxEvent))
    assert (row.event_id, row.kind, row.parked_at is not None) == ("evt_1", kind, parked)


async def test_an_oversized_body_is_refused_before_its_signature_is_looked_at(world: ApiWorld) -> None:
    body = b" " * (64 * 1024 + 1)
    assert (await _deliver(world, body, _signature(body))).status_code == 413
    assert (await _deliver(world, body, None)).status_code == 413
    assert await _stored(world) == 0


async def test_fifty_copies_of_each_event_are_one_row_each(world: ApiWorld) -> None:
    """Two hundred events; the copies of one come at once."""
    for number in range(200):
        body = _event(number)
        answers = await asyncio.gather(*(_deliver(world, body, _signature(body)) for _ in range(50)))
        assert {answer.status_code for answer in answers} == {202}
    assert await _stored(world) == 200


async def test_an_unknown_provider_is_not_found(world: ApiWorld) -> None:
    answer = await world.http.post("/webhooks/payments/nobody", content=_event())
    assert answer.status_code == 404
