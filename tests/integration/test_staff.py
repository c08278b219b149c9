"""Changes of the staff by two people, invitations, access reviews, and who may not decide a dispute."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from domain.approvals import Actor
from domain.errors import SelfApproval
from firm import dispute_voting, disputes, people
from firm.dispute_voting import Spoken
from store.identity import add_user, hash_password, open_session
from store.models import Authenticator, Decision, OutgoingMailRow, Passkey
from tests.api_world import NOW, PASSWORD, ApiWorld, Person, api_world

REASON = {"reason": "because"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    """With a second admin, `boss`, and a second login of the first admin, `shadow`."""
    async with api_world(database_url) as made:
        hashed = await hash_password(PASSWORD)
        async with made.db.transaction() as session:
            for login, person in (("boss", "person-boss"), ("shadow", "person-admin")):
                actor = await add_user(
                    session, login=login, name=login, password_hash=hashed, role="admin", person_id=person
                )
                signed_in = await open_session(session, actor)
                made.people[login] = Person(login, actor, signed_in.token, signed_in.csrf)
        yield made


async def _propose(world: ApiWorld, who: str, **body: Any) -> str:
    answer = await world.ask(who, "POST", "/v1/staff-changes", {**REASON, **body})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def _decide(world: ApiWorld, who: str, change: str, verb: str = "approve") -> tuple[int, str]:
    answer = await world.ask(who, "POST", f"/v1/staff-changes/{change}/{verb}", REASON)
    return answer.status_code, answer.json().get("state") or answer.json()["type"]


def _id(world: ApiWorld, who: str) -> str:
    return world.people[who].actor.user_id


async def test_a_role_changes_when_another_person_approves_and_its_sign_ins_end(world: ApiWorld) -> None:
    change = await _propose(world, "admin", kind="role", user_id=_id(world, "risk"), role="auditor")
    assert await _decide(world, "admin", change) == (403, "self-approval")
    assert await _decide(world, "shadow", change) == (403, "self-approval"), "another login of the same person"
    assert await _decide(world, "finance", change) == (403, "not-allowed")
    assert (await world.ask("risk", "GET", "/v1/sessions/current")).json()["role"] == "risk"
    assert await _decide(world, "boss", change) == (200, "approved")
    assert (await world.ask("risk", "GET", "/v1/sessions/current")).status_code == 401
    assert await _decide(world, "boss", change) == (409, "already-decided")
    seen = (await world.ask("auditor", "GET", f"/v1/staff-changes/{change}")).json()
    assert (seen["state"], seen["role_to"], len(seen["decisions"])) == ("approved", "auditor", 1)


async def test_proposing_and_approving_a_change_of_the_staff_needs_a_proof(world: ApiWorld) -> None:
    wanted = {**REASON, "kind": "role", "user_id": _id(world, "risk"), "role": "auditor"}
    refused = await world.ask("admin", "POST", "/v1/staff-changes", wanted, proves=False)
    assert (refused.status_code, refused.json()["step_up"]["action"]) == (403, "roles")
    change = await _propose(world, "admin", **{name: wanted[name] for name in ("kind", "user_id", "role")})
    path = f"/v1/staff-changes/{change}/approve"
    refused = await world.ask("boss", "POST", path, REASON, proves=False)
    assert (refused.status_code, refused.json()["step_up"]["action"]) == (403, "roles")
    assert (await world.ask("auditor", "GET", f"/v1/staff-changes/{change}")).json()["state"] == "proposed"
    assert await _decide(world, "boss", change) == (200, "approved")
    seen = (await world.ask("auditor", "GET", f"/v1/staff-changes/{change}")).json()
    assert seen["state"] == "approved"


async def test_who_is_disabled_is_out_at_once_and_back_in_by_two_people(world: ApiWorld) -> None:
    change = await _propose(world, "boss", kind="disable", user_id=_id(world, "support"))
    again = await world.ask(
        "admin",
        "POST",
        "/v1/staff-changes",
        {**REASON, "kind": "role", "user_id": _id(world, "support"), "role": "risk"},
    )
    assert again.status_code == 409, "one change of a person at a time"
    assert await _decide(world, "admin", change) == (200, "approved")
    assert (await world.ask("support", "GET", "/v1/sessions/current")).status_code == 401
    login = {"login": "support", "password": PASSWORD}
    assert (await world.ask(None, "POST", "/v1/sessions", login)).status_code == 401
    back = await _propose(world, "admin", kind="enable", user_id=_id(world, "support"))
    assert await _decide(world, "boss", back) == (200, "approved")
    assert (await world.ask(None, "POST", "/v1/sessions", login)).status_code == 201


async def test_nobody_approves_a_change_of_themselves_and_a_stale_one_is_refused(world: ApiWorld) -> None:
    change = await _propose(world, "admin", kind="role", user_id=_id(world, "boss"), role="risk")
    assert await _decide(world, "boss", change) == (403, "self-approval")
    assert await _decide(world, "boss", change, "withdraw") == (403, "not-allowed")
    assert await _decide(world, "admin", change, "withdraw") == (200, "withdrawn")
    trader = await world.ask(
        "admin", "POST", "/v1/staff-changes", {**REASON, "kind": "disable", "user_id": _id(world, "tina")}
    )
    assert trader.status_code == 404


async def test_one_admin_always_stays(world: ApiWorld) -> None:
    change = await _propose(world, "admin", kind="disable", user_id=_id(world, "boss"))
    assert (await _decide(world, "boss", change, "reject"))[0] == 200
    for who in ("admin", "shadow"):
        own = await _propose(world, "boss", kind="disable", user_id=_id(world, who))
        assert (await _decide(world, "boss", own, "withdraw"))[0] == 200
    # both logins of one person go: only the other admin is left, and cannot go
    async with world.db.transaction() as session:
        from store.identity import disable_user

        await disable_user(session, login="shadow", by="system")
        await disable_user(session, login="admin", by="system")
    answer = await world.ask(
        "boss", "POST", "/v1/staff-changes", {**REASON, "kind": "disable", "user_id": _id(world, "boss")}
    )
    assert (answer.status_code, answer.json()["detail"]) == (409, "This is the last admin.")


async def test_an_invitation_is_approved_mailed_and_used_once(world: ApiWorld) -> None:
    change = await _propose(world, "admin", kind="invite", email="nora@firm.example", role="risk")
    assert await _sent(world) == []
    assert await _decide(world, "boss", change) == (200, "approved")
    (body,) = await _sent(world)
    found = re.search(r"http://firm\.test/invited\?token=(\S+)", body)
    assert found is not None
    weak = {"token": found[1], "name": "Nora Quist", "password": "nora@firm.example"}
    assert (await world.ask(None, "POST", "/v1/invitations", weak)).json()["field"] == "password"
    good = {**weak, "password": "green boats at night"}
    made = await world.ask(None, "POST", "/v1/invitations", good)
    assert (made.status_code, made.json()["role"]) == (201, "risk")
    assert (await world.ask(None, "POST", "/v1/invitations", good)).json()["field"] == "token"
    signed_in = await world.ask(
        None, "POST", "/v1/sessions", {"login": "nora@firm.example", "password": good["password"]}
    )
    assert signed_in.json()["role"] == "risk"
    taken = await world.ask(
        "admin",
        "POST",
        "/v1/staff-changes",
        {**REASON, "kind": "invite", "email": "nora@firm.example", "role": "admin"},
    )
    assert taken.json()["field"] == "email"


async def _sent(world: ApiWorld) -> list[str]:
    async with world.db.transaction() as session:
        found = await session.scalars(select(OutgoingMailRow).where(OutgoingMailRow.kind == "invitation"))
        return [row.body for row in found]


async def test_the_access_review_shows_the_factors_that_are_held(world: ApiWorld) -> None:
    finance, risk = _id(world, "finance"), _id(world, "risk")
    passkey = {"sign_count": 0, "backed_up": False, "transports": [], "name": "Key"}
    async with world.db.transaction() as session:
        session.add(Passkey(id="psk_1", user_id=finance, credential_id=b"c", public_key=b"k", **passkey))
        session.add(Authenticator(user_id=finance, secret="A" * 32, confirmed_at=NOW))
        session.add(Authenticator(user_id=risk, secret="A" * 32))
    rows = {row["user_id"]: row["factors"] for row in (await world.ask("auditor", "GET", "/v1/staff")).json()}
    assert rows[finance] == ["password", "passkey", "authenticator app"]
    assert rows[risk] == ["password"], "an app without its first code is no factor"


async def test_the_access_review_shows_who_may_what_and_when_it_was_looked_at(world: ApiWorld) -> None:
    finance = _id(world, "finance")
    assert (await world.ask("admin", "POST", f"/v1/staff/{_id(world, 'shadow')}/review", REASON)).status_code == 403
    assert (await world.ask("admin", "POST", f"/v1/staff/{finance}/review", REASON)).status_code == 200
    rows = {row["user_id"]: row for row in (await world.ask("auditor", "GET", "/v1/staff")).json()}
    assert (rows[finance]["reviewed_by_name"], rows[finance]["reviewed_role"]) == ("admin person", "finance")
    assert rows[finance]["last_used_at"] is not None
    assert rows[_id(world, "risk")]["reviewed_at"] is None
    assert _id(world, "tina") not in rows
    table = {row["permission"]: row["roles"] for row in (await world.ask("finance", "GET", "/v1/permissions")).json()}
    assert table["payouts.decide"] == ["finance", "admin"]


async def test_who_confirmed_a_doubtful_breach_does_not_decide_its_dispute(world: ApiWorld) -> None:
    tina, risk = world.people["tina"], world.people["risk"].actor
    async with world.db.transaction() as session:
        session.add(
            Decision(
                subject_kind="review", subject_id="rev_1", decision="confirm", user_id=risk.user_id,
                person_id=risk.person_id, role="risk", reason="It was one.", subject_digest="0" * 64,
                evidence={"breach_id": tina.has("brc")}, occurred_at=NOW,
            )
        )  # fmt: skip
        other = await add_user(
            session, login="risk-2", name="x", password_hash="x", role="risk", person_id=risk.person_id
        )
        free = await add_user(session, login="risk-3", name="y", password_hash="x", role="risk", person_id="person-3")

    async def decide(actor: Actor) -> None:
        async with world.db.transaction() as session:
            dispute = await disputes.lock(session, tina.has("dsp"))
            now = await people.current_actor(session, actor.user_id)
            await dispute_voting.decide(session, dispute, Spoken("uphold", now, "As it is.", "", actor.user_id))

    for actor in (risk, other):
        with pytest.raises(SelfApproval, match="confirmed this breach"):
            await decide(actor)
    await decide(free)
