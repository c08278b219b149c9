"""API keys: shown once, bound to the role of the moment, ended, rotated, counted, audited, and never a person."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from domain import api_keys
from domain.key_errors import NeedsPerson, TooManyRequests
from firm import decide
from firm.decide import Choice
from front.limits import WINDOW, RequestLimits
from store import links
from store.identity import change_role, disable_user, enable_user, reset_password
from store.models import ApiKey, AuditEntry, IdempotencyKey
from tests.api_world import ApiWorld, api_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def _make(world: ApiWorld, who: str, *scopes: str, **more: Any) -> dict[str, Any]:
    answer = await world.ask(who, "POST", "/v1/api-keys", {"name": "The CRM", "scopes": list(scopes), **more})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def _with(world: ApiWorld, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    headers = {"Authorization": f"Bearer {token}", "Idempotency-Key": f"key-{datetime.now(UTC).timestamp()}"}
    return await world.http.request(method, path, json=body, headers=headers)


async def test_a_token_is_shown_once_and_stored_nowhere(world: ApiWorld, database_url: str) -> None:
    body = {"name": "The CRM", "scopes": ["accounts.read"]}
    first, again = [await world.ask("support", "POST", "/v1/api-keys", body, key="one-key-0001") for _ in range(2)]
    token = first.json()["token"]
    assert api_keys.id_in(token) == first.json()["id"]
    secret = token.split("_", 2)[2]
    assert len(secret) == 43
    assert again.json() == {**first.json(), "token": None}
    async with world.db.transaction() as session:
        row = await session.get_one(ApiKey, first.json()["id"])
        assert row.digest == api_keys.digest(token)
        kept = list(await session.scalars(select(IdempotencyKey.response)))
        raw = await session.scalar(text("SELECT string_agg(api_keys::text, '') FROM api_keys"))
    assert token not in str(kept) and secret not in str(raw) and "The CRM" not in str(raw)
    assert (await _with(world, token, "GET", "/v1/accounts")).status_code == 200
    [shown] = (await world.ask("support", "GET", "/v1/api-keys")).json()["items"]
    assert (shown["name"], shown["state"], shown["works_for"]) == ("The CRM", "live", ["accounts.read"])
    assert shown["last_used_at"] is not None


async def test_what_cannot_be_made_is_refused_with_the_reason(world: ApiWorld) -> None:
    for scopes, words in (
        (["payouts.decide"], "it needs a person"),
        (["audit.verify"], "Your role has no scope"),
        (["challenges.buy"], "Your role has no scope"),
    ):
        answer = await world.ask("support", "POST", "/v1/api-keys", {"name": "x", "scopes": scopes})
        assert (answer.status_code, answer.json()["field"]) == (422, "scopes"), answer.text
        assert words in answer.json()["detail"]
    bodies: list[dict[str, Any]] = [
        {"scopes": []},
        {"scopes": ["accounts.read"], "days": 401},
        {"scopes": ["accounts.read"], "days": 0},
    ]
    for body in bodies:
        assert (await world.ask("support", "POST", "/v1/api-keys", {"name": "x", **body})).status_code == 422


async def test_a_key_loses_what_its_owner_loses(world: ApiWorld) -> None:
    made = await _make(world, "finance", "liability.read", "receipts.read")
    token = made["token"]
    assert (await _with(world, token, "GET", "/v1/receipts")).status_code == 200
    async with world.db.transaction() as session:
        await change_role(session, login="finance", role="risk", by="system")
    refused = await _with(world, token, "GET", "/v1/receipts")
    assert (refused.status_code, refused.json()["type"]) == (403, "not-allowed")
    assert (await _with(world, token, "GET", "/v1/liability")).status_code == 200
    items = (await world.ask("admin", "GET", "/v1/api-keys")).json()["items"]
    assert [each["works_for"] for each in items] == [["liability.read"]]
    async with world.db.transaction() as session:
        await disable_user(session, login="finance", by="system")
    assert (await _with(world, token, "GET", "/v1/liability")).status_code == 401


async def test_staff_prove_themselves_before_a_key_is_made_or_rotated(world: ApiWorld) -> None:
    body = {"name": "The CRM", "scopes": ["cases.read"]}
    made = await _make(world, "risk", "cases.read")
    for path, sent in (("", body), (f"/{made['id']}/rotate", {})):
        refused = await world.ask("risk", "POST", f"/v1/api-keys{path}", sent, proves=False)
        assert (refused.status_code, refused.json()["step_up"]["action"]) == (403, "keys"), path
    assert len((await world.ask("risk", "GET", "/v1/api-keys")).json()["items"]) == 1


async def test_keys_end_with_a_recovered_or_a_reset_password_and_with_a_disabled_login(world: ApiWorld) -> None:
    async with world.db.transaction() as session:
        token = await links.make(session, "recovery", user_id=world.people["tina"].actor.user_id)
    keys = [(await _make(world, "tina", "accounts.read"))["token"]]
    new = {"token": token, "new": "a brand new pass phrase"}
    assert (await world.ask(None, "PUT", "/v1/password-recovery", new)).status_code == 204
    keys += [(await _make(world, who, "accounts.read"))["token"] for who in ("support", "finance")]
    async with world.db.transaction() as session:
        await reset_password(session, login="support", password_hash="x", by="system")
        await disable_user(session, login="finance", by="system")
        await enable_user(session, login="finance", by="system")
    assert [(await _with(world, key, "GET", "/v1/accounts")).status_code for key in keys] == [401, 401, 401]
    async with world.db.transaction() as session:
        noted = await session.scalars(
            select(AuditEntry.action)
            .where(AuditEntry.evidence["api_keys_revoked"].is_not(None))
            .order_by(AuditEntry.seq)
        )
        assert list(noted) == ["user.password_recovered", "user.password_reset", "user.disabled"]


async def test_a_key_ends_when_it_expires_or_is_revoked_by_its_owner_or_an_admin(world: ApiWorld) -> None:
    first, second, third = [(await _make(world, "risk", "cases.read")) for _ in range(3)]
    async with world.db.transaction() as session:
        past = datetime.now(UTC) - timedelta(seconds=1)
        await session.execute(update(ApiKey).where(ApiKey.id == first["id"]).values(expires_at=past))
    assert (await world.ask("support", "POST", f"/v1/api-keys/{second['id']}/revoke")).status_code == 404
    for who, made in (("risk", second), ("admin", third)):
        assert (await world.ask(who, "POST", f"/v1/api-keys/{made['id']}/revoke")).json()["state"] == "revoked"
    for made in (first, second, third):
        answer = await _with(world, made["token"], "GET", "/v1/cases")
        assert (answer.status_code, answer.json()["type"]) == (401, "not-signed-in")
    wrong = first["token"][:-1] + ("A" if first["token"][-1] != "A" else "B")
    for token in (wrong, "propos_", "propos_x_y", first["token"] + "x"):
        assert (await _with(world, token, "GET", "/v1/cases")).status_code == 401
    assert (await world.ask("risk", "POST", f"/v1/api-keys/{first['id']}/rotate", {})).status_code == 409


async def test_a_rotated_key_works_beside_the_new_one_for_a_while(world: ApiWorld) -> None:
    old = await _make(world, "risk", "cases.read")
    path = f"/v1/api-keys/{old['id']}/rotate"
    assert (await world.ask("admin", "POST", path, {})).status_code == 404, "a key is its owner's"
    new = (await world.ask("risk", "POST", path, {"overlap_hours": 1})).json()
    assert new["scopes"] == old["scopes"]
    for token in (old["token"], new["token"]):
        assert (await _with(world, token, "GET", "/v1/cases")).status_code == 200
    async with world.db.transaction() as session:
        ends = (await session.get_one(ApiKey, old["id"])).expires_at
        assert timedelta(minutes=50) < ends - datetime.now(UTC) <= timedelta(hours=1)
        assert (await session.get_one(ApiKey, new["id"])).replaces == old["id"]


async def test_the_audit_log_says_which_key_acted(world: ApiWorld) -> None:
    made = await _make(world, "tina", "tickets.open")
    body = {"subject": "x", "body": "y"}
    ticket = (await _with(world, made["token"], "POST", "/v1/tickets", body)).json()["id"]
    by_hand = (await world.ask("tina", "POST", "/v1/tickets", body)).json()["id"]
    async with world.db.transaction() as session:
        found = await session.execute(
            select(AuditEntry.subject_id, AuditEntry.actor, AuditEntry.evidence["api_key"].astext).where(
                AuditEntry.action == "ticket.opened"
            )
        )
        user = world.people["tina"].actor.user_id
        assert set(found.tuples()) == {(ticket, user, made["id"]), (by_hand, user, None)}
    check = await world.ask("auditor", "GET", "/v1/audit/verify")
    assert check.json()["whole"] is True


async def test_a_key_is_no_person_for_the_guarded_decision_either(world: ApiWorld) -> None:
    """Also where a route would let it through."""
    actor = world.people["finance"].actor.model_copy(update={"key_id": "key_x"})
    subject = decide.Subject(kind="payout", id="pay_x", digest="x", evidence={})
    async with world.db.transaction() as session:
        with pytest.raises(NeedsPerson):
            await decide.check(session, subject, Choice("approve", actor, "because", "k1"))
    answer = await _with(world, (await _make(world, "risk", "cases.read"))["token"], "DELETE", "/v1/sessions/current")
    assert (answer.status_code, answer.json()["type"]) == (403, "needs-person")


async def test_a_key_is_not_accepted_as_a_cookie(world: ApiWorld) -> None:
    token = (await _make(world, "risk", "cases.read"))["token"]
    answer = await world.http.get("/v1/cases", headers={"Cookie": f"propos_session={token}"})
    assert answer.status_code == 401


async def test_requests_are_counted_and_refused_with_the_time_to_wait(world: ApiWorld) -> None:
    world.deps.limits.key = 40
    token = (await _make(world, "risk", "cases.read", "reviews.read"))["token"]
    answers = [await _with(world, token, "GET", "/v1/reviews") for _ in range(3)]
    assert [answer.headers["RateLimit-Policy"] for answer in answers] == ['"key";q=40;w=60'] * 3
    left = [int(answer.headers["RateLimit"].partition("r=")[2].partition(";")[0]) for answer in answers]
    assert left[0] >= left[1] >= left[2] and left[0] in (38, 39)
    async with asyncio.timeout(120):
        while (answer := await _with(world, token, "GET", "/v1/reviews")).status_code == 200:
            pass
    assert (answer.status_code, answer.json()["type"]) == (429, "too-many-requests")
    assert 1 <= int(answer.headers["Retry-After"]) <= 2
    by_hand = await world.ask("risk", "GET", "/v1/reviews")
    assert (by_hand.status_code, by_hand.headers["RateLimit-Policy"]) == (200, '"person";q=1200;w=60')


async def test_several_processes_share_one_bucket_and_never_spend_more(world: ApiWorld) -> None:
    processes = [RequestLimits(key=100) for _ in range(4)]
    spent = 0

    async def run(limits: RequestLimits) -> None:
        nonlocal spent
        for _ in range(60):
            try:
                await limits.spend(world.db, "key", "key_shared")
            except TooManyRequests:
                return
            spent += 1

    began = asyncio.get_running_loop().time()
    await asyncio.gather(*(run(limits) for limits in processes))
    seconds = asyncio.get_running_loop().time() - began
    assert 80 <= spent <= 100 + seconds * 100 / WINDOW + 1
