"""Who reaches what: every route by role, and every route with another trader's id."""

import re
from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.approvals import ROLES
from domain.keys import derived_id
from front.permissions import CAN
from tests.api_world import IBAN, ApiWorld, Person, api_world

REASON = {"reason": "because"}
CASE, REVIEW = derived_id("cas", "one"), derived_id("rev", "one")
PAYOUT = derived_id("pay", "nobody")
PROPOSAL, MOVE = derived_id("ppr", "one"), derived_id("mov", "one")
MOVES = {"product": "two-step", "from_version": 1, "to_version": 2, "accounts": None, "reason": "because"}
ORDER = {"account_id": derived_id("acc", "tina"), "kind": "market", "symbol": "EURUSD", "side": "buy", "lots": "1"}

# method, path, body, permission; {noun} becomes an id of the person whose things are asked for
ROUTES: list[tuple[str, str, dict[str, Any] | None, str]] = [
    ("GET", "/v1/products", None, "products.read"),
    ("GET", "/v1/products/two-step", None, "products.read"),
    ("GET", "/v1/products/two-step/1/words", None, "products.read"),
    ("GET", "/v1/products/two-step/versions", None, "versions.read"),
    ("POST", "/v1/products/two-step/versions?reason=because", {"product": "two-step"}, "versions.propose"),
    ("GET", "/v1/product-proposals", None, "versions.read"),
    ("GET", f"/v1/product-proposals/{PROPOSAL}", None, "versions.read"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/approve", REASON, "versions.decide"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/reject", REASON, "versions.decide"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/withdraw", REASON, "versions.propose"),
    ("POST", f"/v1/product-proposals/{PROPOSAL}/publish", None, "versions.propose"),
    ("POST", "/v1/account-moves", MOVES, "versions.propose"),
    ("GET", "/v1/account-moves", None, "versions.read"),
    ("GET", f"/v1/account-moves/{MOVE}", None, "versions.read"),
    ("POST", f"/v1/account-moves/{MOVE}/approve", REASON, "versions.decide"),
    ("POST", f"/v1/account-moves/{MOVE}/reject", REASON, "versions.decide"),
    ("POST", f"/v1/account-moves/{MOVE}/withdraw", REASON, "versions.propose"),
    ("GET", "/v1/challenges", None, "challenges.read"),
    ("GET", "/v1/challenges/{chl}", None, "challenges.read"),
    ("POST", "/v1/challenges", {"product": "instant"}, "challenges.buy"),
    ("POST", "/v1/challenges/{chl}/orders", {"kind": "reset"}, "challenges.order"),
    ("POST", "/v1/challenges/{chl}/refund", REASON, "challenges.refund"),
    ("POST", "/v1/challenges/{chl}/extension", REASON, "challenges.extend"),
    ("POST", "/v1/orders/check", ORDER, "orders.check"),
    ("GET", "/v1/accounts", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/deals", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/bars", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/breaches", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/timeline", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/room", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/warnings", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/gates", None, "accounts.read"),
    ("GET", "/v1/accounts/{acc}/payouts/preview?amount=100.00", None, "payouts.read"),
    ("POST", "/v1/accounts/{acc}/payouts", {"amount": "100.00"}, "payouts.request"),
    ("GET", "/v1/breaches", None, "breaches.read"),
    ("GET", "/v1/breaches/{brc}", None, "breaches.read"),
    ("GET", "/v1/proofs/{prf}", None, "breaches.read"),
    ("POST", "/v1/breaches/{brc}/disputes", {"statement": "no"}, "disputes.open"),
    ("GET", "/v1/payouts", None, "payouts.read"),
    ("GET", "/v1/payouts/{pay}", None, "payouts.read"),
    ("POST", "/v1/payouts/{pay}/approve", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/return", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/reject", REASON, "payouts.decide"),
    ("POST", "/v1/payouts/{pay}/cancel", REASON, "payouts.cancel"),
    ("GET", "/v1/disputes", None, "disputes.read"),
    ("GET", "/v1/disputes/{dsp}", None, "disputes.read"),
    ("POST", "/v1/disputes/{dsp}/uphold", REASON, "disputes.decide"),
    ("POST", "/v1/disputes/{dsp}/reinstate", REASON, "disputes.decide"),
    ("GET", "/v1/cases", None, "cases.read"),
    ("GET", f"/v1/cases/{CASE}", None, "cases.read"),
    ("POST", f"/v1/cases/{CASE}/clear", REASON, "cases.decide"),
    ("POST", f"/v1/cases/{CASE}/confirm", REASON, "cases.decide"),
    ("GET", "/v1/reviews", None, "reviews.read"),
    ("GET", f"/v1/reviews/{REVIEW}", None, "reviews.read"),
    ("POST", f"/v1/reviews/{REVIEW}/close", REASON, "reviews.close"),
    ("POST", f"/v1/reviews/{REVIEW}/confirm", REASON, "reviews.decide"),
    ("POST", f"/v1/reviews/{REVIEW}/dismiss", REASON, "reviews.decide"),
    ("GET", "/v1/traders", None, "traders.list"),
    ("GET", "/v1/traders/{trd}", None, "traders.read"),
    ("PUT", "/v1/traders/{trd}/beneficiary", {"iban": IBAN}, "traders.set_beneficiary"),
    ("POST", "/v1/traders/{trd}/identity", {"verified": True, "reason": "seen"}, "traders.decide_identity"),
    ("GET", "/v1/tickets", None, "tickets.read"),
    ("GET", "/v1/tickets/{tkt}", None, "tickets.read"),
    ("POST", "/v1/tickets", {"subject": "x", "body": "y"}, "tickets.open"),
    ("POST", "/v1/tickets/{tkt}/messages", {"body": "y"}, "tickets.write"),
    ("POST", "/v1/tickets/{tkt}/solve", None, "tickets.solve"),
    ("GET", "/v1/queue", None, "queue.read"),
    ("GET", "/v1/summary", None, "summary.read"),
    ("GET", "/v1/exposure", None, "exposure.read"),
    ("GET", "/v1/audit", None, "audit.read"),
    ("GET", "/v1/audit/verify", None, "audit.read"),
    ("GET", "/v1/search?q=A-10001", None, "search"),
]
OPEN = {
    ("POST", "/v1/sessions"), ("GET", "/v1/sessions/current"), ("DELETE", "/v1/sessions/current"),
    ("POST", "/v1/traders"), ("POST", "/webhooks/payments/{}"), ("GET", "/healthz"), ("GET", "/readyz"),
}  # fmt: skip
NOUNS = ("chl", "acc", "brc", "prf", "pay", "dsp", "tkt", "trd")


def _of(person: Person, path: str) -> str:
    for noun in NOUNS:
        path = path.replace(f"{{{noun}}}", person.trader_id if noun == "trd" else person.has(noun))
    return path


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        made.temporal.answers = _Any()
        yield made


class _Any(dict[str, Any]):
    """A workflow behind every id, which agrees to everything."""

    def __missing__(self, workflow_id: str) -> Any:
        subject = workflow_id.split("/")[1]
        refund = {"state": "refunded", "phase_index": 1}
        return lambda update, _: refund if update == "refund" else _result(subject, update)


def _result(subject: str, update: str) -> dict[str, Any]:
    return {"subject_id": subject, "state": "decided", "decision": update, "approvals": 1, "approvals_needed": 1}


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
    known = {(method, _blank(path)) for method, path, _, _ in ROUTES} | OPEN
    assert {(method, re.sub("products/two-step(/1)?", _blank_version, path)) for method, path in known} == served
    assert {permission for *_, permission in ROUTES} == set(CAN)


def _blank_version(found: re.Match[str]) -> str:
    return "products/{}/{}" if found[1] else "products/{}"


def _blank(path: str) -> str:
    return re.sub(r"(cas|rev|ppr|mov)_\w{26}", "{}", re.sub(r"\{\w+\}", "{}", path)).split("?")[0]


async def test_the_role_matrix(world: ApiWorld) -> None:
    """Whoever lacks the role gets 403 before anything else; whoever has it gets past the door."""
    tina = world.people["tina"]
    payout = await _open_payout(world, "tina")
    for method, path, body, permission in ROUTES:
        url = _of(tina, path.replace("{pay}", payout))
        assert (await world.ask(None, method, url, body)).status_code == 401, path
        for role in ROLES:
            answer = await world.ask("tina" if role == "trader" else role, method, url, body)
            if role not in CAN[permission]:
                assert (answer.status_code, answer.json()["type"]) == (403, "not-allowed"), (role, path)
            else:
                assert answer.status_code < 500, (role, path, answer.text)
                assert answer.status_code not in (401, 403), (role, path, answer.text)


async def test_auditors_change_nothing() -> None:
    changing = {permission for method, _, _, permission in ROUTES if method != "GET"}
    assert [permission for permission in changing if "auditor" in CAN[permission]] == []


async def test_another_traders_thing_answers_like_an_unknown_one(world: ApiWorld) -> None:
    """P7, on every route that names something: what is tina's, what nobody has, and what is no id at all."""
    payout = await _open_payout(world, "tina")
    nobody = Person(
        "nobody", world.people["eve"].actor.model_copy(update={"trader_id": derived_id("trd", "no")}), "", ""
    )
    for method, path, body, permission in ROUTES:
        if "{" not in path or "trader" not in CAN[permission]:
            continue
        others = _of(world.people["tina"], path.replace("{pay}", payout))
        unknown = _of(nobody, path)
        malformed = re.sub(r"\{(\w+)\}", r"\1_'; DROP TABLE traders; --", path)
        answers = [await world.ask("eve", method, url, body) for url in (others, unknown, malformed)]
        assert [answer.status_code for answer in answers] == [404, 404, 404], (path, [a.text for a in answers])
        told = [{k: v for k, v in a.json().items() if k not in ("request_id", "instance")} for a in answers]
        assert told[0] == told[1] == told[2], path
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
