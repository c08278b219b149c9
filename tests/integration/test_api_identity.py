"""Signing up, in and out; sessions, csrf, throttling; what a request may carry."""

import asyncio
from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select, update

from store import crypto
from store.models import IdempotencyKey, Session, Trader, User
from tests.api_world import PASSWORD, ApiWorld, api_world
from tests.mailed import token_of

SIGN_UP = {"name": "Mara Lindqvist", "email": "mara@example.org", "password": PASSWORD, "country": "SE"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def test_a_trader_signs_up_and_reads_their_own_row(world: ApiWorld) -> None:
    answer = await world.ask(None, "POST", "/v1/traders", SIGN_UP)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["role"], answer.json()["trader_id"][:4]) == ("trader", "trd_")
    token = answer.json()["token"]
    own = await world.http.get(
        f"/v1/traders/{answer.json()['trader_id']}", headers={"Authorization": f"Bearer {token}"}
    )
    assert (own.json()["name"], own.json()["beneficiary"]) == ("Mara Lindqvist", None)


async def test_signing_up_again_with_the_same_key_signs_in_and_keeps_no_secret(world: ApiWorld) -> None:
    first = await world.ask(None, "POST", "/v1/traders", SIGN_UP, key="sign-up-1")
    again = await world.ask(None, "POST", "/v1/traders", SIGN_UP, key="sign-up-1")
    assert (again.status_code, again.json()["trader_id"]) == (201, first.json()["trader_id"])
    stranger = {**SIGN_UP, "password": "another password"}
    assert (await world.ask(None, "POST", "/v1/traders", stranger, key="sign-up-1")).status_code == 401
    assert (await world.ask(None, "POST", "/v1/traders", {**SIGN_UP, "name": "X"}, key="sign-up-1")).status_code == 409
    async with world.db.transaction() as session:
        kept = await session.get_one(IdempotencyKey, ("anonymous", "sign-up-1"))
        assert kept.response == {"trader_id": first.json()["trader_id"]}


async def test_one_e_mail_address_is_one_trader_however_many_ask_at_once(world: ApiWorld) -> None:
    answers = await asyncio.gather(*(world.ask(None, "POST", "/v1/traders", SIGN_UP) for _ in range(5)))
    assert sorted(answer.status_code for answer in answers) == [201, 422, 422, 422, 422]
    assert {a.json()["field"] for a in answers if a.status_code == 422} == {"email"}
    async with world.db.transaction() as session:
        index = crypto.keys().blind_index("MARA@example.org ")
        assert await session.scalar(select(func.count()).where(Trader.email_index == index)) == 1


async def test_signing_in_gives_a_token_and_a_cookie_that_scripts_cannot_read(world: ApiWorld) -> None:
    answer = await world.ask(None, "POST", "/v1/sessions", {"login": "Finance", "password": PASSWORD})
    assert (answer.status_code, answer.json()["role"]) == (201, "finance")
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    async with world.db.transaction() as session:
        digests = (await session.scalars(select(Session.token_digest))).all()
    assert answer.json()["token"] not in digests


async def test_a_wrong_password_and_an_unknown_login_answer_alike(world: ApiWorld) -> None:
    wrong = await world.ask(None, "POST", "/v1/sessions", {"login": "finance", "password": "not this one"})
    unknown = await world.ask(None, "POST", "/v1/sessions", {"login": "nobody", "password": "not this one"})
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.json()["detail"] == unknown.json()["detail"]


async def test_ten_failures_stop_a_login_even_with_the_right_password(world: ApiWorld) -> None:
    guesses = [{"login": "risk", "password": f"guess number {number}"} for number in range(12)]
    answers = await asyncio.gather(*(world.ask(None, "POST", "/v1/sessions", guess) for guess in guesses))
    assert sorted(answer.status_code for answer in answers) == [401] * 10 + [429] * 2
    right = await world.ask(None, "POST", "/v1/sessions", {"login": "risk", "password": PASSWORD})
    assert (right.status_code, right.json()["type"]) == (429, "too-many-attempts")
    other = await world.ask(None, "POST", "/v1/sessions", {"login": "admin", "password": PASSWORD})
    assert other.status_code == 201


async def test_a_token_ends_with_sign_out_and_with_the_user(world: ApiWorld) -> None:
    assert (await world.ask("support", "GET", "/v1/sessions/current")).json()["role"] == "support"
    assert (await world.ask("support", "DELETE", "/v1/sessions/current")).status_code == 204
    assert (await world.ask("support", "GET", "/v1/sessions/current")).status_code == 401
    async with world.db.transaction() as session:
        await session.execute(update(User).where(User.role == "finance").values(active=False))
    assert (await world.ask("finance", "GET", "/v1/summary")).status_code == 401


async def test_a_changed_role_counts_at_once(world: ApiWorld) -> None:
    async with world.db.transaction() as session:
        await session.execute(update(User).where(User.role == "finance").values(role="auditor"))
    body = {"reason": "looks right"}
    answer = await world.ask("finance", "POST", f"/v1/payouts/{world.people['tina'].has('pay')}/approve", body)
    assert answer.status_code == 403


async def test_a_cookie_changes_nothing_without_the_csrf_token(world: ApiWorld) -> None:
    tina = world.people["tina"]
    cookie = {"Cookie": f"propos_session={tina.token}"}
    body = {"subject": "Hello", "body": "A question"}
    assert (await world.ask(None, "GET", "/v1/tickets", headers=cookie)).status_code == 200
    assert (await world.ask(None, "POST", "/v1/tickets", body, headers=cookie)).status_code == 403
    stolen = {**cookie, "X-CSRF-Token": world.people["eve"].csrf}
    assert (await world.ask(None, "POST", "/v1/tickets", body, headers=stolen)).status_code == 403
    proven = {**cookie, "X-CSRF-Token": tina.csrf}
    assert (await world.ask(None, "POST", "/v1/tickets", body, headers=proven)).status_code == 201


async def test_a_cookie_that_was_offered_is_never_the_session(world: ApiWorld) -> None:
    planted = {"Cookie": "propos_session=planted-by-somebody"}
    credentials = {"login": "admin", "password": PASSWORD}
    answer = await world.ask(None, "POST", "/v1/sessions", credentials, headers=planted)
    assert answer.json()["token"] != "planted-by-somebody"
    bare = {"Authorization": "Bearer planted-by-somebody"}
    assert (await world.http.get("/v1/summary", headers=bare)).status_code == 401


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({**SIGN_UP, "role": "admin"}, "role"),
        ({**SIGN_UP, "identity": "verified"}, "identity"),
        ({**SIGN_UP, "password": "short"}, "password"),
        ({**SIGN_UP, "email": "not an address"}, "email"),
        ({**SIGN_UP, "name": "a\x00b"}, "name"),
        ({**SIGN_UP, "country": "Sweden"}, "country"),
        ({"name": "x"}, "email"),
    ],
)
async def test_a_wrong_or_unknown_field_is_named_and_not_repeated(
    world: ApiWorld, body: dict[str, str], field: str
) -> None:
    answer = await world.ask(None, "POST", "/v1/traders", body)
    assert (answer.status_code, answer.json()["field"]) == (422, field)
    assert answer.headers["content-type"] == "application/problem+json"
    assert PASSWORD not in answer.text


async def test_the_bank_account_is_checked_masked_and_not_in_the_audit_trail(world: ApiWorld) -> None:
    tina = world.people["tina"]
    path = f"/v1/traders/{tina.trader_id}/beneficiary"
    assert (await world.ask("tina", "PUT", path, {"iban": "DE00370400440532013000"})).json()["field"] == "iban"
    answer = await world.ask("tina", "PUT", path, {"iban": "GB82 WEST 1234 5698 7654 32"})
    assert (answer.status_code, answer.json()["beneficiary"]) == (200, "GB…5432")
    token = await token_of(world.db, "tina@example.org", "beneficiary_link")
    assert (await world.ask(None, "PUT", "/v1/beneficiary-confirmation", {"token": token})).status_code == 204
    trail = await world.ask("auditor", "GET", "/v1/audit", params={"subject": tina.trader_id})
    assert trail.json()["items"][0]["action"] == "trader.beneficiary_changed"
    assert "WEST" not in trail.text
