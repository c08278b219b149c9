"""Second factors and step-ups over the API: what they open, and what does not."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pyotp
import pytest
from sqlalchemy import func, insert, select, text
from sqlalchemy.exc import DBAPIError

from api.json_api import create_json_api
from front.access import Access
from store import step_ups
from store.known_browsers import counter_of
from store.models import AuditEntry, DisputePack, IdentityFact, StepUp, Trader
from tests.api_world import PASSWORD, ApiWorld, api_world
from tests.mailed import token_of
from tests.soft_passkey import SoftPasskey

REFUND = {"reason": "Asked for within the hour."}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        made.temporal.answers = _Refunds()
        yield made


class _Refunds(dict[str, Any]):
    def __missing__(self, _: str) -> Any:
        return lambda update, request: {"state": "refunded", "phase_index": 1}


def _key(**more: Any) -> SoftPasskey:
    return SoftPasskey("http://firm.test", "firm.test", **more)


def _path(world: ApiWorld) -> str:
    return f"/v1/challenges/{world.people['tina'].has('chl')}/refund"


async def _add_passkey(world: ApiWorld, who: str, key: SoftPasskey) -> httpx.Response:
    asked = (await world.ask(who, "POST", "/v1/factors/passkeys/options")).json()
    body = {"challenge_id": asked["challenge_id"], "name": "Key", "credential": key.create(asked["options"])}
    return await world.ask(who, "POST", "/v1/factors/passkeys", body)


async def _add_app(world: ApiWorld, who: str) -> tuple[pyotp.TOTP, list[str], str]:
    """Gives the app, the recovery codes, and the code of the app that is used up by this."""
    made = (await world.ask(who, "POST", "/v1/factors/authenticator")).json()
    app = pyotp.TOTP(made["secret"])
    assert app.secret in made["address"]
    used = app.now()
    codes = await world.ask(who, "POST", "/v1/factors/authenticator/confirm", {"code": used})
    return app, codes.json()["codes"], used


async def _step_up(world: ApiWorld, who: str, asked: dict[str, Any], **proof: Any) -> httpx.Response:
    body = {"action": asked["action"], "digest": asked["digest"], **proof}
    return await world.ask(who, "POST", "/v1/step-ups", body, proves=False)


async def _by_passkey(world: ApiWorld, who: str, asked: dict[str, Any], key: SoftPasskey) -> httpx.Response:
    began = (await world.ask(who, "POST", "/v1/step-ups/options", {"digest": asked["digest"]})).json()
    proof = {"challenge_id": began["challenge_id"], "credential": key.get(began["options"])}
    return await _step_up(world, who, asked, method="passkey", **proof)


async def _refused(world: ApiWorld, who: str, body: Any, key: str | None = None) -> dict[str, Any]:
    answer = await world.ask(who, "POST", _path(world), body, key=key, proves=False)
    assert (answer.status_code, answer.json()["type"]) == (403, "step-up-required"), answer.text
    found: dict[str, Any] = answer.json()["step_up"]
    return found


async def test_money_moves_after_a_proof_of_exactly_this(world: ApiWorld) -> None:
    """P: a proof is for one decision, for one session, and is used once; a repetition of the request needs no other."""
    asked = await _refused(world, "finance", REFUND, "refund-0001")
    assert asked["methods"] == ["password"]
    assert world.temporal.sent == []
    wrong = await _step_up(world, "finance", asked, method="password", text="not this one")
    assert (wrong.status_code, wrong.json()["type"]) == (403, "proof-refused")
    assert (await _step_up(world, "finance", asked, method="totp", text="123456")).status_code == 403
    made = await _step_up(world, "finance", asked, method="password", text=PASSWORD)
    assert made.status_code == 201
    other = await _refused(world, "finance", {**REFUND, "reason": "For another reason."})
    assert other["digest"] != asked["digest"]
    await _refused(world, "admin", REFUND)
    for _ in range(2):
        assert (await world.ask("finance", "POST", _path(world), REFUND, key="refund-0001")).status_code == 200
    assert len(world.temporal.sent) == 1
    await _refused(world, "finance", REFUND, "refund-0002")
    async with world.db.transaction() as session:
        row = await session.get_one(StepUp, made.json()["id"])
        entry = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "step_up.used"))).one()
        assert (row.method, row.used_key) == ("password", entry.evidence["key"])
        assert entry.actor == world.people["finance"].actor.user_id


async def test_a_step_up_is_never_changed_and_never_old(world: ApiWorld, owner_url: str) -> None:
    asked = await _refused(world, "finance", REFUND)
    made = (await _step_up(world, "finance", asked, method="password", text=PASSWORD)).json()
    for change in ("about = 'x'", "made_at = now() + interval '1 day'"):
        with pytest.raises(DBAPIError):
            async with world.db.transaction() as session:
                await session.execute(text(f"UPDATE step_ups SET {change}"))
    async with world.db.transaction() as session:
        kept = await session.get_one(StepUp, made["id"])
        late = datetime.now(UTC) - timedelta(minutes=6)
        old = {"holder": kept.holder, "action": "money", "about": "0" * 64, "method": "password", "made_at": late}
        session.add(StepUp(id="stp_old", user_id=kept.user_id, **old))
    async with world.db.transaction() as session:
        assert not await step_ups.use(
            session, user_id=kept.user_id, holder=kept.holder, action="money", about="0" * 64, key="k"
        )


async def test_a_passkey_is_added_proves_signs_in_and_goes(world: ApiWorld) -> None:
    key = _key()
    assert (await _add_passkey(world, "finance", key)).status_code == 201
    assert (await _add_passkey_refused(world, "finance", key)) == "step-up-required", "the password proves no more"
    asked = await _refused(world, "finance", REFUND)
    assert asked["methods"] == ["passkey"]
    assert (await _step_up(world, "finance", asked, method="password", text=PASSWORD)).status_code == 403
    same: dict[str, Any] = {"key": key.key, "id": key.id}
    unverified, elsewhere = _key(verifies=False, **same), SoftPasskey("http://evil.test", "firm.test", **same)
    for other in (unverified, elsewhere, _key(id=key.id)):
        assert (await _by_passkey(world, "finance", asked, other)).status_code == 403
    assert (await _by_passkey(world, "finance", asked, key)).status_code == 201
    assert (await world.ask("finance", "POST", _path(world), REFUND)).status_code == 200
    began = (await world.http.post("/v1/sessions/passkey/options")).json()
    body = {"challenge_id": began["challenge_id"], "credential": key.get(began["options"])}
    signed_in = await world.http.post("/v1/sessions/passkey", json=body)
    assert (signed_in.status_code, signed_in.json()["role"]) == (201, "finance"), signed_in.text
    assert (await world.http.post("/v1/sessions/passkey", json=body)).status_code == 403, "a challenge works once"
    listed = (await world.ask("finance", "GET", "/v1/factors")).json()["passkeys"]
    path = f"/v1/factors/passkeys/{listed[0]['id']}"
    assert (await world.ask("risk", "DELETE", path)).status_code == 404
    renamed = await world.ask("finance", "PUT", path, {"name": "Blue key"})
    assert renamed.json()["passkeys"][0]["name"] == "Blue key"
    gone = (await world.ask("finance", "DELETE", path, proves=False)).json()["step_up"]
    assert (await _by_passkey(world, "finance", gone, key)).status_code == 201
    assert (await world.ask("finance", "DELETE", path)).status_code == 204


async def _add_passkey_refused(world: ApiWorld, who: str, key: SoftPasskey) -> str:
    answer = await world.ask(who, "POST", "/v1/factors/passkeys/options", proves=False)
    return str(answer.json()["type"])


async def test_the_first_factor_needs_the_link_of_a_mail(world: ApiWorld) -> None:
    """P: who knows the password adds no factor. The link goes to the owner, works once and for nobody else."""
    app = "/v1/factors/authenticator"
    asked = (await world.ask("tina", "POST", app, proves=False)).json()
    assert asked["step_up"]["methods"] == ["mail"] and "/v1/factors/link" in asked["remedy"]
    assert (await _step_up(world, "tina", asked["step_up"], method="password", text=PASSWORD)).status_code == 403
    assert (await world.ask("tina", "POST", "/v1/factors/link")).status_code == 204
    assert (await world.ask("tina", "POST", "/v1/factors/link")).status_code == 204
    token = await token_of(world.db, "tina@example.org", "first_factor")
    hers = (await world.ask("eve", "POST", app, proves=False)).json()["step_up"]
    assert (await _step_up(world, "eve", hers, method="mail", text=token)).status_code == 403, "it is tina's"
    for wrong in ("x" * 43, ""):
        assert (await _step_up(world, "tina", asked["step_up"], method="mail", text=wrong)).status_code == 403
    refund = {"action": "money", "digest": "0" * 64}
    assert (await _step_up(world, "tina", refund, method="mail", text=token)).status_code == 403, "for nothing else"
    assert (await _step_up(world, "tina", asked["step_up"], method="mail", text=token)).status_code == 201
    again = await _step_up(world, "tina", asked["step_up"], method="mail", text=token)
    assert (again.status_code, again.json()["type"]) == (403, "proof-refused"), "it works once"
    secret = (await world.ask("tina", "POST", app, proves=False)).json()["secret"]
    code = {"code": pyotp.TOTP(secret).now()}
    assert (await world.ask("tina", "POST", f"{app}/confirm", code)).status_code == 200
    assert (await world.ask("tina", "POST", "/v1/factors/link")).status_code == 409, "the next one needs the first"


async def test_where_the_link_for_the_first_factor_cannot_go(world: ApiWorld) -> None:
    nowhere = await world.ask("finance", "POST", "/v1/factors/link")
    assert (nowhere.status_code, nowhere.json()["field"]) == (422, "login")
    assert "propos user factor-link" in nowhere.json()["remedy"]
    async with world.db.transaction() as session:
        (await session.get_one(Trader, world.people["eve"].trader_id)).email_confirmed_at = None
    refused = await world.ask("eve", "POST", "/v1/factors/link")
    assert (refused.status_code, refused.json()["type"]) == (403, "email-unconfirmed")
    statuses = [(await world.ask("tina", "POST", "/v1/factors/link")).status_code for _ in range(6)]
    assert statuses == [204] * 5 + [429]


async def test_a_challenge_is_for_its_action_and_its_session(world: ApiWorld) -> None:
    key = _key()
    await _add_passkey(world, "finance", key)
    asked = await _refused(world, "finance", REFUND)
    for about in ("0" * 64, asked["digest"]):
        who = "finance" if about != asked["digest"] else "risk"
        began = (await world.ask(who, "POST", "/v1/step-ups/options", {"digest": about})).json()
        proof = {"challenge_id": began["challenge_id"], "credential": key.get(began["options"])}
        assert (await _step_up(world, "finance", asked, method="passkey", **proof)).status_code == 403


async def test_a_count_that_goes_back_is_refused_and_none_is_normal(world: ApiWorld) -> None:
    key = _key(counts=True, used=5)
    await _add_passkey(world, "finance", key)
    asked = await _refused(world, "finance", REFUND)
    key.used = 2
    assert (await _by_passkey(world, "finance", asked, key)).status_code == 403
    key.used = 7
    assert (await _by_passkey(world, "finance", asked, key)).status_code == 201


async def test_with_an_app_the_password_alone_opens_nothing(world: ApiWorld) -> None:
    _, codes, code_of_app = await _add_app(world, "finance")
    assert len(set(codes)) == 10
    opened = (await world.http.post("/v1/sessions", json={"login": "finance", "password": PASSWORD})).json()
    assert opened["second_factor_due"]
    headers = {"Authorization": f"Bearer {opened['token']}"}
    world.http.cookies.clear()
    assert (await world.http.get("/v1/payouts", headers=headers)).status_code == 401
    ways = (await world.http.post("/v1/sessions/second-factor/options", headers=headers)).json()
    assert ways == {"methods": ["totp", "recovery_code"], "passkey": None}
    used = {"method": "totp", "text": code_of_app}
    assert (await world.http.post("/v1/sessions/second-factor", json=used, headers=headers)).status_code == 403
    code = {"method": "recovery_code", "text": codes[3].upper()}
    done = await world.http.post("/v1/sessions/second-factor", json=code, headers=headers)
    assert (done.status_code, done.json()["role"]) == (200, "finance"), done.text
    assert (await world.http.get("/v1/payouts", headers=headers)).status_code == 200
    asked = await _refused(world, "finance", REFUND)
    again = await _step_up(world, "finance", asked, method="recovery_code", text=codes[3])
    assert again.status_code == 403, "a recovery code works once"
    assert (await _step_up(world, "finance", asked, method="recovery_code", text=codes[4])).status_code == 201


async def test_the_browser_is_known_and_the_visit_noted_only_after_the_second_factor(world: ApiWorld) -> None:
    _, codes, _ = await _add_app(world, "tina")
    world.http.cookies.clear()
    agreed = {"propos_known", "propos_device"}
    body = {"login": "tina@example.org", "password": PASSWORD}
    opened = await world.http.post("/v1/sessions", json=body)
    assert opened.json()["second_factor_due"]
    assert agreed.isdisjoint(opened.cookies), opened.cookies
    async with world.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(IdentityFact)) == 0
    code = {"method": "recovery_code", "text": codes[0]}
    headers = {"Authorization": f"Bearer {opened.json()['token']}"}
    done = await world.http.post("/v1/sessions/second-factor", json=code, headers=headers)
    assert done.status_code == 200, done.text
    assert agreed <= set(done.cookies)
    known = done.cookies["propos_known"]
    assert counter_of(known, body["login"]) != counter_of("", body["login"])
    async with world.db.transaction() as session:
        kinds = await session.scalars(select(IdentityFact.kind).where(IdentityFact.source == "api"))
        assert list(kinds) == ["ip"]


async def test_secrets_and_codes_are_not_in_the_database_as_they_are(world: ApiWorld, owner_url: str) -> None:
    app, codes, _ = await _add_app(world, "finance")
    async with world.db.transaction() as session:
        rows = (await session.execute(text("SELECT a::text, r::text FROM authenticators a, recovery_codes r"))).all()
    assert len(rows) == 10
    assert not any(app.secret in str(row) or app.secret.encode().hex() in str(row) for row in rows)
    assert not any(code in str(row) or code.encode().hex() in str(row) for row in rows for code in codes)


async def test_wrong_proofs_are_counted(world: ApiWorld) -> None:
    asked = await _refused(world, "finance", REFUND)
    answers = [await _step_up(world, "finance", asked, method="password", text=f"wrong {n}") for n in range(9)]
    assert [answer.status_code for answer in answers] == [403] * 8 + [429]
    assert (await _step_up(world, "finance", asked, method="password", text=PASSWORD)).status_code == 429


async def test_a_role_that_needs_a_factor_gets_nothing_done_without_one(world: ApiWorld) -> None:
    strict = replace(world.deps, access=Access(factor_roles=frozenset({"finance"})))
    transport = httpx.ASGITransport(app=create_json_api(strict))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
        world.http = http
        assert (await _refused(world, "finance", REFUND))["methods"] == []
        app, _, _ = await _add_app(world, "finance")
        kept = await world.ask("finance", "DELETE", "/v1/factors/authenticator")
        assert (kept.status_code, kept.json()["type"]) == (409, "last-factor")
        asked = await _refused(world, "finance", REFUND)
        later = app.at(datetime.now(UTC) + timedelta(seconds=30))
        assert (await _step_up(world, "finance", asked, method="totp", text=later)).status_code == 201


async def test_without_step_ups_money_moves_at_once_and_factors_stay_guarded(world: ApiWorld) -> None:
    loose = replace(world.deps, access=Access(step_up=False))
    transport = httpx.ASGITransport(app=create_json_api(loose))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
        world.http = http
        assert (await world.ask("finance", "POST", _path(world), REFUND, proves=False)).status_code == 200
        asked = await world.ask("finance", "POST", "/v1/factors/authenticator", proves=False)
        assert asked.json()["type"] == "step-up-required"


async def test_what_is_no_decision_and_needs_a_proof_is_refused_without_one(world: ApiWorld) -> None:
    """Keys, exports and role changes outside the table of decisions: each with who does it, and the class."""
    async with world.db.transaction() as session:
        await session.execute(
            insert(DisputePack).values(
                dispute_id=world.people["tina"].has("dsp"),
                trader_id=world.people["tina"].trader_id,
                digest="0" * 64,
                files="{}",
            )
        )
    pack = f"/v1/disputes/{world.people['tina'].has('dsp')}/pack"
    key = {"name": "CRM", "scopes": ["products.read"], "days": 30}
    endpoint = {"url": "https://hooks.example.com/", "kinds": ["*"]}
    member = {"kind": "role", "user_id": world.people["risk"].actor.user_id, "role": "auditor", "reason": "because"}
    guarded: list[tuple[str, str, str, Any, str]] = [
        ("finance", "POST", "/v1/api-keys", key, "keys"),
        ("tina", "POST", "/v1/api-keys", key, "keys"),
        ("venue", "POST", "/v1/api-keys", {**key, "scopes": ["orders.check"]}, "keys"),
        ("admin", "POST", "/v1/webhook-endpoints", endpoint, "keys"),
        ("admin", "POST", "/v1/staff-changes", member, "roles"),
        ("auditor", "GET", pack, None, "personal_data"),
        ("tina", "POST", "/v1/factors/authenticator", None, "factors"),
    ]
    for who, method, path, body, action in guarded:
        refused = await world.ask(who, method, path, body, proves=False)
        asked = refused.json() if refused.status_code == 403 else {}
        assert (asked.get("type"), asked.get("step_up", {}).get("action")) == ("step-up-required", action), (who, path)
    assert (await world.ask("auditor", "GET", pack)).status_code == 200, "with a proof"
    assert (await world.ask("auditor", "GET", pack, proves=False)).status_code == 403, "a proof is for one file, once"
    assert (await world.ask("tina", "GET", pack, proves=False)).status_code == 200, "it is hers"
