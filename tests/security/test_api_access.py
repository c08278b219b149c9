"""Who reaches what: every route by every person with every kind of id, by API keys, and with another trader's id."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from functools import partial
from itertools import product
from typing import Any, Final
from uuid import uuid4

import httpx
import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import ROLES
from domain.key_errors import NeedsPerson
from domain.keys import derived_id
from firm import api_keys
from front import proving
from front.once import Once
from front.permissions import CAN, PERSONS_ONLY
from front.proving import Offer
from tests.api_routes import CASE, NAMED, NOUNS, ON_PAGES_ONLY, OPEN, PROOF, ROUTES, Agrees, blank, url_of
from tests.api_world import PASSWORD, ApiWorld, Person, api_world

KINDS: Final = ("known", "unknown", "malformed")  # of ids in the address
_NOBODY: Final = "nobody"
_LITTLE: Final = (_NOBODY, "venue", "auditor")  # who may do little: one test
_AT_ONCE: Final = 6  # refused requests change nothing: they need not wait for one another
_ID: Final = re.compile(rf"\b({'|'.join(NOUNS)}|{NAMED})_\w{{26}}\b")


class Tally:
    """What part of the matrix was tried. `counts` goes into the summary at the end; `wrong` has what was answered."""

    def __init__(self) -> None:
        self.counts = {"routes": len(ROUTES), "kinds": len(KINDS), "people": 1, "tries": 0, "allowed": 0, "wrong": 0}
        self.wrong: list[str] = []

    def allowed(self, answer: httpx.Response, *, right: bool) -> None:
        """A request that passed the door, or had to."""
        self.counts["allowed"] += 1
        self._note(answer, right)

    def refused(self, answer: httpx.Response, status: int, kind: str) -> None:
        """A request that had to be refused with this status and type."""
        self._note(answer, (answer.status_code, _type(answer)) == (status, kind))

    def _note(self, answer: httpx.Response, right: bool) -> None:
        self.counts["tries"] += 1
        if not right:
            self.counts["wrong"] += 1
            self.wrong.append(
                f"{answer.request.method} {answer.request.url.raw_path!r}: {answer.status_code} {answer.text[:300]}"
            )


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        made.temporal.answers = Agrees()
        made.deps.limits.person = made.deps.limits.key = 1_000_000
        yield made


@pytest.fixture
def tally(record_property: Callable[[str, object], None]) -> Tally:
    made = Tally()
    record_property("matrix", made.counts)  # read when the test has ended
    return made


def _urls(person: Person, path: str, payout: str) -> dict[str, str]:
    """The address with each kind of id; one alone when it names nothing."""
    known = url_of(person, path.replace("{pay}", payout))
    if not _ID.search(known):
        return {"known": known}
    unknown = _ID.sub(lambda found: derived_id(found[1], "nobody"), known)  # type: ignore[arg-type]
    return {"known": known, "unknown": unknown, "malformed": _ID.sub(r"\1_'; DROP TABLE traders; --", known)}


async def _each(requests: Sequence[Callable[[], Any]]) -> None:
    """Runs these, some at once."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def run(ask: Callable[[], Any]) -> None:
        async with gate:
            await ask()

    await asyncio.gather(*map(run, requests))


async def _open_payout(world: ApiWorld, name: str) -> str:
    path = f"/v1/accounts/{world.people[name].has('acc')}/payouts"
    answer = await world.ask(name, "POST", path, {"amount": "500.00"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def test_every_route_of_the_schema_is_in_this_table(world: ApiWorld) -> None:
    schema = (await world.http.get("/v1/openapi.json")).json()
    served = {
        (method.upper(), re.sub(r"\{\w+\}", "{}", path)) for path, ways in schema["paths"].items() for method in ways
    }
    known = {(method, blank(path)) for method, path, _, _ in ROUTES} | OPEN
    known = {(method, re.sub(r"queue/payout/pay_\w+", "queue/{}/{}", path)) for method, path in known}
    assert {(method, re.sub("products/two-step(/1)?", _blank_version, path)) for method, path in known} == served
    assert {permission for *_, permission in ROUTES} | ON_PAGES_ONLY == set(CAN)


def _blank_version(found: re.Match[str]) -> str:
    return "products/{}/{}" if found[1] else "products/{}"


@pytest.mark.parametrize("who", [_LITTLE, *((role,) for role in ROLES if role not in _LITTLE)], ids="-".join)
async def test_the_matrix(world: ApiWorld, tally: Tally, who: tuple[str, ...]) -> None:
    """Who has not signed in gets 401, and whoever lacks the right 403, whatever the id. Whoever has the right gets past
    the door, and finds nothing behind an id that nobody has."""
    tina = world.people["tina"]
    payout = await _open_payout(world, "tina")
    tally.counts["people"] = len(who)
    refused = []
    for role, (method, path, body, permission) in product(who, ROUTES):
        name = {_NOBODY: None, "trader": "tina"}.get(role, role)
        for kind, url in _urls(tina, path, payout).items():
            if role in CAN[permission]:
                answer = await world.ask(name, method, url, body)
                tally.allowed(answer, right=_passes(answer) and (kind == "known" or answer.status_code in (404, 422)))
            else:
                refused.append(partial(_refused, world, tally, name, method, url, body))
    await _each(refused)
    assert tally.wrong == []


async def _refused(world: ApiWorld, tally: Tally, who: str | None, method: str, url: str, body: Any) -> None:
    answer = await world.ask(who, method, url, body, proves=False)
    tally.refused(answer, *((401, "not-signed-in") if who is None else (403, "not-allowed")))


def _passes(answer: httpx.Response) -> bool:
    return answer.status_code < 500 and answer.status_code not in (401, 403)


@pytest.mark.parametrize("who", ["key with the scope", "key without the scope", "key of a lower role"])
async def test_a_key_does_what_its_scope_and_its_owners_role_allow_and_nothing_that_needs_a_person(
    world: ApiWorld, tally: Tally, who: str
) -> None:
    """The whole table of routes: with the route's own scope alone, with every other scope, with a role that lacks the
    right, and with a right that only a person has."""
    payout = await _open_payout(world, "tina")
    tokens = await _keys(world, who)
    refused = []
    for method, path, body, permission in ROUTES:
        if permission not in tokens:
            continue
        for url in _urls(world.people["tina"], path, payout).values():
            ask = partial(_by_key, world, tokens[permission], method, url, body)
            if permission in PERSONS_ONLY:
                refused.append(partial(_refused_key, tally, ask, "needs-person"))
            elif who == "key with the scope":
                answer = await ask()
                tally.allowed(answer, right=_passes(answer))
            else:
                kind = "out-of-scope" if who == "key without the scope" else "not-allowed"
                refused.append(partial(_refused_key, tally, ask, kind))
    await _each(refused)
    assert tally.wrong == []


async def _refused_key(tally: Tally, ask: Callable[[], Awaitable[httpx.Response]], kind: str) -> None:
    tally.refused(await ask(), 403, kind)


async def _keys(world: ApiWorld, who: str) -> dict[str, str]:
    """A token by permission, for the permissions that this kind of key is tried with."""
    made = {}
    async with world.db.transaction() as session:
        for permission in sorted({permission for *_, permission in ROUTES}):
            owner = "admin" if "admin" in CAN[permission] else "tina"
            scopes = [permission]
            if who == "key without the scope":
                scopes = [scope for scope in CAN if scope != permission]
            elif who == "key of a lower role":
                if "auditor" in CAN[permission] or permission in PERSONS_ONLY:
                    continue
                owner = "auditor"
            made[permission] = await _issue(session, world.people[owner], scopes)
    return made


async def test_a_key_reaches_nothing_of_how_its_owner_signs_in(world: ApiWorld) -> None:
    async with world.db.transaction() as session:
        key = await _issue(session, world.people["tina"], sorted(CAN))
    for method, path, body in (
        ("GET", "/v1/sessions", None),
        ("DELETE", "/v1/sessions", None),
        ("DELETE", "/v1/sessions/current", None),
        ("DELETE", f"/v1/sessions/{derived_id('ses', 'no')}", None),
        ("PUT", "/v1/password", {"old": PASSWORD, "new": "a brand new pass phrase"}),
        ("POST", "/v1/email-confirmation", None),
        ("GET", "/v1/factors", None),
        ("POST", "/v1/step-ups", PROOF),
    ):
        answer = await _by_key(world, key, method, path, body)
        assert (answer.status_code, _type(answer)) == (403, "needs-person"), path
    assert (await world.ask("tina", "GET", "/v1/sessions/current")).status_code == 200


async def test_a_key_makes_and_uses_no_step_up(world: ApiWorld) -> None:
    """Also where a route would let it through."""
    actor = world.people["finance"].actor.model_copy(update={"key_id": "key_x"})
    once = Once(world.deps, actor, "POST /v1/x", "a-key-0001")
    with pytest.raises(NeedsPerson):
        await proving.step_up(world.deps, actor, once.holder, "keys", "0" * 64, Offer("password", PASSWORD))
    async with world.db.transaction() as session:
        with pytest.raises(NeedsPerson):
            await once.prove(session, "keys", do="make a key")


def _type(answer: httpx.Response) -> str | None:
    """The type of a refusal."""
    return str(answer.json()["type"]) if answer.status_code >= 400 else None


async def _issue(session: AsyncSession, person: Person, scopes: list[str]) -> str:
    """A key with any scopes, also such as nobody can ask for."""
    _, token = await api_keys.issue(session, actor=person.actor, name="crm", scopes=scopes, days=1)
    return token


async def _by_key(world: ApiWorld, key: str, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"Authorization": f"Bearer {key}", "Idempotency-Key": uuid4().hex}
    return await world.http.request(method, path, json=body, headers=headers)


async def test_auditors_change_nothing() -> None:
    """Reading facts about an identity asks for a reason, which goes into the audit log: so it is no GET. To verify the
    audit log remembers how far it was verified. How one signs in, and what one is told, is everybody's own."""
    reads = {"traders.identity_facts", "audit.verify", "factors.own", "notifications.own", "step_ups.make"}
    changing = {permission for method, _, _, permission in ROUTES if method != "GET"} - reads
    assert [permission for permission in changing if "auditor" in CAN[permission]] == []


async def test_another_traders_thing_answers_like_an_unknown_one(world: ApiWorld, tally: Tally) -> None:
    """P7, on every route that names something: what is tina's, what nobody has, and what is no id at all."""
    payout = await _open_payout(world, "tina")
    nobody = Person(
        "nobody", world.people["eve"].actor.model_copy(update={"trader_id": derived_id("trd", "no")}), "", ""
    )
    for method, path, body, permission in ROUTES:
        if "{" not in path or "trader" not in CAN[permission]:
            continue
        others = url_of(world.people["tina"], path.replace("{pay}", payout))
        unknown = url_of(nobody, path)
        malformed = re.sub(r"\{(\w+)\}", r"\1_'; DROP TABLE traders; --", path)
        answers = await asyncio.gather(*(world.ask("eve", method, url, body) for url in (others, unknown, malformed)))
        for answer in answers:
            tally.refused(answer, 404, "not-found")
        told = [{k: v for k, v in a.json().items() if k not in ("request_id", "instance")} for a in answers]
        assert told[0] == told[1] == told[2], path
    assert tally.wrong == []
    assert world.temporal.sent == []


async def test_lists_hold_what_is_ones_own(world: ApiWorld) -> None:
    tina = world.people["tina"]
    await _open_payout(world, "tina")
    for noun in ("challenges", "accounts", "breaches", "payouts", "disputes", "tickets"):
        own = await world.ask("tina", "GET", f"/v1/{noun}")
        assert [item["trader_id"] for item in own.json()["items"]] == [tina.trader_id], noun
        firm = (await world.ask("support", "GET", f"/v1/{noun}")).json()["items"]
        assert len(firm) == (1 if noun == "payouts" else 2), noun
    filtered = await world.ask("eve", "GET", "/v1/accounts", params={"trader": tina.trader_id})
    assert filtered.json()["items"] == []
    for text in (tina.has("acc"), tina.has("brc"), tina.trader_id, "tina@example.org"):
        assert (await world.ask("eve", "GET", "/v1/search", params={"q": text})).json()["items"] == [], text
        assert len((await world.ask("tina", "GET", "/v1/search", params={"q": text})).json()["items"]) == 1, text


async def test_a_trader_does_not_learn_that_they_are_watched(world: ApiWorld) -> None:
    tina = world.people["tina"]
    payout = await _open_payout(world, "tina")
    seen = (await world.ask("tina", "GET", f"/v1/payouts/{payout}")).json()
    assert (seen["checks"], seen["was_held"], seen["ledger"]) == ({}, False, [])
    story = await world.ask("tina", "GET", f"/v1/accounts/{tina.has('acc')}/timeline")
    assert "case" not in story.text
    staff = await world.ask("risk", "GET", f"/v1/accounts/{tina.has('acc')}/timeline")
    assert "Case opened" in staff.text
    assert (await world.ask("tina", "GET", "/v1/search", params={"q": CASE})).json()["items"] == []
