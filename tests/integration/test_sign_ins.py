"""Sign-ins listed and ended, known browsers, limits, passwords changed and recovered, confirmed addresses."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import select, text, update

from domain.errors import TooManyAttempts
from domain.sign_ins import Limit
from front.auth import POLL
from store import attempts, crypto, identity, keeping
from store.db import Database
from store.keeping import Policy
from store.models import Attempts, Link, OutgoingMailRow, Session, Trader, User
from tests.api_world import PASSWORD, ApiWorld, api_world
from tests.mailed import token_of

_AGENT = "Mozilla/5.0 (X11; Linux x86_64; rv:141.0) Gecko/20100101 Firefox/141.0"
_NEW = "a brand new pass phrase"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def _enter(world: ApiWorld, login: str, password: str = PASSWORD, **more: Any) -> httpx.Response:
    world.http.cookies.clear()
    return await world.ask(None, "POST", "/v1/sessions", {"login": login, "password": password}, **more)


async def _as(world: ApiWorld, token: str, method: str, path: str, body: Any = None) -> httpx.Response:
    world.http.cookies.clear()
    return await world.ask(None, method, path, body, headers={"Authorization": f"Bearer {token}"})


async def test_own_sign_ins_are_listed_with_device_and_place_and_can_be_ended(world: ApiWorld) -> None:
    here = (await _enter(world, "finance", headers={"User-Agent": _AGENT})).json()["token"]
    there = (await _enter(world, "finance")).json()["token"]
    listed = (await _as(world, here, "GET", "/v1/sessions")).json()
    assert len(listed) == 3  # the world opened one itself
    (own,) = [each for each in listed if each["current"]]
    assert (own["device"], own["place"]) == ("Firefox on Linux", "this machine")
    theirs = next(each for each in listed if "httpx" in each["device"])
    assert (await _as(world, here, "DELETE", f"/v1/sessions/{theirs['id']}")).status_code == 204
    assert (await _as(world, there, "GET", "/v1/sessions/current")).status_code == 401
    eve = (await world.ask("eve", "DELETE", f"/v1/sessions/{own['id']}")).status_code
    assert eve == 404, "somebody else's is like an unknown one"
    assert (await _as(world, here, "DELETE", "/v1/sessions")).status_code == 204
    for token in (here, world.people["finance"].token):
        assert (await _as(world, token, "GET", "/v1/sessions/current")).status_code == 401


async def test_an_admin_ends_the_sign_ins_of_staff_but_not_of_traders(world: ApiWorld) -> None:
    risk, tina = world.people["risk"].actor.user_id, world.people["tina"].actor.user_id
    listed = (await world.ask("admin", "GET", f"/v1/staff/{risk}/sessions")).json()
    assert [each["current"] for each in listed] == [False]
    assert (await world.ask("admin", "DELETE", f"/v1/staff/{risk}/sessions/{listed[0]['id']}")).status_code == 204
    assert (await world.ask("risk", "GET", "/v1/sessions/current")).status_code == 401
    assert (await world.ask("admin", "DELETE", f"/v1/staff/{tina}/sessions")).status_code == 404
    trail = await world.ask("auditor", "GET", "/v1/audit", params={"subject": risk})
    assert trail.json()["items"][0]["action"] == "user.sign_ins_ended"


async def test_a_sign_in_ends_when_it_rests_and_when_it_is_old(world: ApiWorld) -> None:
    token, terms = world.people["risk"].token, world.deps.sign_ins
    mine = Session.token_digest == identity.token_digest(token)

    async def moved(**values: datetime) -> bool:
        async with world.db.transaction() as session:
            await session.execute(update(Session).where(mine).values(values))
        async with world.db.transaction() as session:
            return await identity.current_session(session, token, terms=terms) is not None

    now = datetime.now(UTC)
    assert await moved(used_at=now - terms.idle + timedelta(minutes=5))
    async with world.db.transaction() as session:
        used_at = await session.scalar(select(Session.used_at).where(mine))
    assert used_at is not None
    assert used_at >= now, "using it puts the idle end off"
    assert not await moved(used_at=now - terms.idle - timedelta(minutes=5))
    assert await moved(used_at=now)
    assert not await moved(created_at=now - terms.longest - timedelta(minutes=1), used_at=now)


async def test_a_page_that_looks_again_by_itself_does_not_use_the_sign_in(world: ApiWorld) -> None:
    mine = Session.token_digest == identity.token_digest(world.people["risk"].token)
    rested = datetime.now(UTC) - timedelta(minutes=30)
    async with world.db.transaction() as session:
        await session.execute(update(Session).where(mine).values(used_at=rested))
    await world.ask("risk", "GET", "/v1/summary", headers={POLL: "1"})
    async with world.db.transaction() as session:
        assert await session.scalar(select(Session.used_at).where(mine)) == rested


async def test_strangers_cannot_lock_out_a_browser_that_is_known(world: ApiWorld) -> None:
    known = {"Cookie": f"propos_known={(await _enter(world, 'risk')).cookies['propos_known']}"}
    for number in range(11):
        last = await _enter(world, "risk", f"guess number {number}")
    assert last.status_code == 429
    assert (await _enter(world, "risk")).status_code == 429, "unknown browsers share a counter"
    assert (await _enter(world, "risk", headers=known)).status_code == 201
    forged = {"Cookie": f"propos_known={'a' * 32}.{'b' * 64}"}
    assert (await _enter(world, "risk", headers=forged)).status_code == 429
    assert (await _enter(world, "admin", headers=known)).status_code == 201, "another login has its own counter"
    for number in range(11):
        last = await _enter(world, "risk", f"guess number {number}", headers=known)
    assert last.status_code == 429, "a stolen browser is limited too"


async def test_the_counter_holds_over_processes_and_begins_anew(world: ApiWorld) -> None:
    here, there, limit = world.db, Database(world.db.url, pool_size=1), Limit(2, timedelta(minutes=5))
    key = attempts.key_of("test", "one")
    try:
        for db in (here, there):
            await attempts.count(db, key, limit, refusal="Too many.")
        with pytest.raises(TooManyAttempts):
            await attempts.count(there, key, limit, refusal="Too many.")
        async with here.transaction() as session:
            await session.execute(
                update(Attempts).where(Attempts.key == key).values(begun_at=datetime.now(UTC) - limit.window)
            )
        await attempts.count(there, key, limit, refusal="Too many.")
        assert "one" not in key
    finally:
        await there.close()


async def test_sign_ups_are_limited_for_an_address_and_for_the_firm(world: ApiWorld) -> None:
    def body(number: int) -> dict[str, str]:
        return {"name": "N", "email": f"n{number}@example.org", "password": PASSWORD, "country": "SE"}

    answers = [await world.ask(None, "POST", "/v1/traders", body(0)) for _ in range(world.deps.sign_ins.sign_ups.most)]
    assert {answer.status_code for answer in answers} == {201, 422}
    refused = await world.ask(None, "POST", "/v1/traders", body(1))
    assert (refused.status_code, refused.json()["type"]) == (429, "too-many-attempts")
    async with world.db.transaction() as session:
        await session.execute(text("UPDATE attempts SET number = 500 WHERE key LIKE 'sign-ups/%'"))
        await session.execute(text("DELETE FROM attempts WHERE key LIKE 'sign-up/%'"))
    assert (await world.ask(None, "POST", "/v1/traders", body(2))).status_code == 429


async def test_a_password_is_changed_with_the_old_one_and_ends_the_other_sign_ins(world: ApiWorld) -> None:
    other = (await _enter(world, "finance")).json()["token"]

    async def change(old: str, new: str) -> httpx.Response:
        return await world.ask("finance", "PUT", "/v1/password", {"old": old, "new": new})

    assert (await change("not this one", _NEW)).json()["field"] == "old"
    assert (await change(PASSWORD, " " * 12)).json()["field"] == "password"
    assert (await change(PASSWORD, PASSWORD)).json()["field"] == "new"
    assert (await change(PASSWORD, _NEW)).status_code == 204
    assert (await _as(world, other, "GET", "/v1/sessions/current")).status_code == 401
    assert (await world.ask("finance", "GET", "/v1/sessions/current")).status_code == 200
    assert ((await _enter(world, "finance")).status_code, (await _enter(world, "finance", _NEW)).status_code) == (
        401,
        201,
    )
    for _ in range(11):
        last = await change("not this one", _NEW)
    assert last.status_code == 429


async def test_a_password_is_recovered_once_with_the_link_of_a_mail(world: ApiWorld) -> None:
    known = await world.ask(None, "POST", "/v1/password-recovery", {"login": "tina@example.org"})
    unknown = await world.ask(None, "POST", "/v1/password-recovery", {"login": "nobody@example.org"})
    assert (known.status_code, known.json()) == (unknown.status_code, unknown.json()) == (202, known.json())
    token = await token_of(world.db, "tina@example.org", "recovery")
    weak = await world.ask(None, "PUT", "/v1/password-recovery", {"token": token, "new": "tina@example.org"})
    assert weak.json()["field"] == "password"
    assert (await world.ask(None, "PUT", "/v1/password-recovery", {"token": token, "new": _NEW})).status_code == 204
    assert (await world.ask("tina", "GET", "/v1/sessions/current")).status_code == 401, "all sign-ins end"
    again = await world.ask(None, "PUT", "/v1/password-recovery", {"token": token, "new": _NEW + "!"})
    assert again.json()["field"] == "token"
    assert (await _enter(world, "tina@example.org", _NEW)).status_code == 201
    async with world.db.transaction() as session:
        assert token not in (await session.scalars(select(Link.token_digest))).all()


async def test_only_the_newest_link_works_and_only_in_its_time(world: ApiWorld) -> None:
    links = []
    for _ in range(2):
        await world.ask(None, "POST", "/v1/password-recovery", {"login": "tina@example.org"})
        links.append(await token_of(world.db, "tina@example.org", "recovery"))
    first = await world.ask(None, "PUT", "/v1/password-recovery", {"token": links[0], "new": _NEW})
    assert first.status_code == 422
    async with world.db.transaction() as session:
        await session.execute(update(Link).values(expires_at=datetime.now(UTC)))
    late = await world.ask(None, "PUT", "/v1/password-recovery", {"token": links[1], "new": _NEW})
    assert late.status_code == 422


async def test_a_mailbox_is_not_flooded_and_an_address_is_limited(world: ApiWorld) -> None:
    asked = {"login": "tina@example.org"}
    answers = [await world.ask(None, "POST", "/v1/password-recovery", asked) for _ in range(11)]
    assert [answer.status_code for answer in answers] == [202] * 10 + [429]
    async with world.db.transaction() as session:
        sent = await session.scalars(select(OutgoingMailRow.id).where(OutgoingMailRow.kind == "recovery"))
        assert len(sent.all()) == world.deps.sign_ins.mails.most


async def test_a_trader_buys_only_with_a_confirmed_address(world: ApiWorld) -> None:
    body = {"name": "Mara", "email": "mara@example.org", "password": PASSWORD, "country": "SE"}
    token = (await world.ask(None, "POST", "/v1/traders", body)).json()["token"]

    async def buy() -> httpx.Response:
        return await _as(world, token, "POST", "/v1/challenges", {"product": "instant"})

    assert (await _as(world, token, "GET", "/v1/products")).status_code == 200, "may look around"
    refused = await buy()
    assert (refused.status_code, refused.json()["type"]) == (403, "email-unconfirmed")
    link = await token_of(world.db, "mara@example.org", "confirmation")
    assert (await _as(world, token, "POST", "/v1/email-confirmation")).status_code == 202
    newest = await token_of(world.db, "mara@example.org", "confirmation")
    assert (await world.ask(None, "PUT", "/v1/email-confirmation", {"token": link})).status_code == 422
    assert (await world.ask(None, "PUT", "/v1/email-confirmation", {"token": newest})).status_code == 204
    assert (await buy()).status_code == 201
    assert (await _as(world, token, "POST", "/v1/email-confirmation")).status_code == 409


async def test_a_payout_waits_for_the_confirmed_address_too(world: ApiWorld) -> None:
    tina = world.people["tina"]
    async with world.db.transaction() as session:
        await session.execute(update(Trader).where(Trader.id == tina.trader_id).values(email_confirmed_at=None))
    path = f"/v1/accounts/{tina.has('acc')}/payouts"
    refused = await world.ask("tina", "POST", path, {"amount": "500.00"})
    assert (refused.status_code, refused.json()["type"]) == (403, "email-unconfirmed")


async def test_old_sign_ins_links_and_counters_are_removed(world: ApiWorld) -> None:
    old = datetime.now(UTC) - timedelta(days=91)
    async with world.db.transaction() as session:
        mine = Session.token_digest == identity.token_digest(world.people["risk"].token)
        await session.execute(update(Session).where(mine).values(expires_at=old))
        session.add(Attempts(key="test/old", begun_at=old, number=1))
        user = await session.scalar(select(User.id).where(User.login_index.in_(crypto.keys().blind_indexes("risk"))))
        session.add(Link(token_digest="0" * 64, kind="recovery", user_id=user, expires_at=old))
    async with world.db.transaction() as session:
        assert await keeping.remove_sign_ins(session, Policy()) == 3
        assert await keeping.remove_sign_ins(session, Policy()) == 0
