"""The same request twice, at once and altered; decisions through Temporal; wrong amounts; pages; limits."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
from sqlalchemy import func, select
from temporalio.client import WorkflowUpdateRPCTimeoutOrCancelledError
from temporalio.service import RPCError, RPCStatusCode

from api.app import create_app
from domain.errors import AlreadyDecided, Conflict, SelfApproval, Unavailable
from domain.products.product import Product
from domain.proofs.check import check
from front.updates import update_key
from store import products
from store.models import Challenge, DecisionRequestRow, IdempotencyKey, OutboxMessage, Payout, Proof
from store.read.pages import encode_cursor
from tests.api_world import ApiWorld, api_world

BUY = {"product": "instant"}


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ApiWorld]:
    async with api_world(database_url) as made:
        yield made


async def _payout(world: ApiWorld) -> str:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/payouts"
    answer = await world.ask("tina", "POST", path, {"amount": "500.00"})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def _agree(subject: str) -> Any:
    def answer(update: str, _request: Any) -> dict[str, Any]:
        return {"subject_id": subject, "state": "approved", "decision": update, "approvals": 1, "approvals_needed": 1}

    return answer


# idempotency


async def test_a_purchase_repeated_is_the_same_purchase(world: ApiWorld) -> None:
    first = await world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0001")
    again = await world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0001")
    assert (first.status_code, again.status_code) == (201, 201)
    assert first.json() == again.json()
    assert first.json()["checkout_url"].startswith("https://pay.example/")
    own = await world.ask("eve", "POST", "/v1/challenges", BUY, key="buy-0001")
    assert own.json()["id"] != first.json()["id"]


async def test_fifty_copies_at_once_buy_once(world: ApiWorld) -> None:
    answers = await asyncio.gather(
        *(world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0050") for _ in range(50))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(world.payments.checkouts) == 1
    async with world.db.transaction() as session:
        bought = select(func.count()).where(Challenge.product == "instant")
        started = select(func.count()).where(OutboxMessage.name == "Challenge")
        assert (await session.scalar(bought), await session.scalar(started)) == (1, 1)


async def test_the_same_key_with_other_input_is_refused(world: ApiWorld) -> None:
    await world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0002")
    other = await world.ask("tina", "POST", "/v1/challenges", {"product": "two-step"}, key="buy-0002")
    assert (other.status_code, other.json()["type"]) == (409, "idempotency-mismatch")
    elsewhere = await world.ask("tina", "POST", "/v1/tickets", {"subject": "a", "body": "b"}, key="buy-0002")
    assert elsewhere.status_code == 409


async def test_a_purchase_whose_provider_was_down_is_finished_by_its_repetition(world: ApiWorld) -> None:
    world.payments.fails.append(Unavailable("The provider is down."))
    assert (await world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0003")).status_code == 503
    again = await world.ask("tina", "POST", "/v1/challenges", BUY, key="buy-0003")
    assert (again.status_code, again.json()["checkout_id"]) == (201, "co_1")
    async with world.db.transaction() as session:
        assert await session.scalar(select(func.count()).where(Challenge.product == "instant")) == 1


@pytest.mark.parametrize("key", ["", "short", "with space in it", "x" * 121])
async def test_a_post_without_a_proper_key_is_refused(world: ApiWorld, key: str) -> None:
    answer = await world.ask("tina", "POST", "/v1/challenges", BUY, headers={"Idempotency-Key": key})
    assert (answer.status_code, answer.json()["field"]) == (422, "Idempotency-Key")


async def test_fifty_copies_of_a_payout_request_are_one_payout(world: ApiWorld) -> None:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/payouts"
    answers = await asyncio.gather(
        *(world.ask("tina", "POST", path, {"amount": "500"}, key="pay-0001") for _ in range(50))
    )
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1
    second = await world.ask("tina", "POST", path, {"amount": "500"})
    assert (second.status_code, second.json()["type"]) == (409, "payout-open")
    async with world.db.transaction() as session:
        assert await session.scalar(select(func.count()).select_from(Payout)) == 1


async def test_no_text_of_a_person_is_remembered_in_plain(world: ApiWorld) -> None:
    secret = "my grandmother lives in Uppsala"
    await world.ask("tina", "POST", "/v1/tickets", {"subject": secret, "body": secret})
    tina = world.people["tina"]
    await world.ask("tina", "POST", f"/v1/tickets/{tina.has('tkt')}/messages", {"body": secret})
    async with world.db.transaction() as session:
        kept = (await session.scalars(select(IdempotencyKey))).all()
    assert len(kept) == 2
    assert [row for row in kept if "Uppsala" in str(row.response) or "Uppsala" in row.input_digest] == []


# decisions


async def test_a_decision_reaches_the_workflow_once_under_the_persons_key(world: ApiWorld) -> None:
    payout = await _payout(world)
    world.temporal.answers[f"payout/{payout}"] = _agree(payout)
    path, body = f"/v1/payouts/{payout}/approve", {"reason": "all green"}
    first = await world.ask("finance", "POST", path, body, key="same-key")
    again = await world.ask("finance", "POST", path, body, key="same-key")
    assert (first.status_code, first.json()) == (200, again.json())
    assert first.json()["state"] == "approved"
    await world.ask("admin", "POST", path, body, key="same-key")
    updates = [(workflow, update) for workflow, update, _ in world.temporal.sent]
    assert updates == [(f"payout/{payout}", "approve")] * 2
    assert len({key for *_, key in world.temporal.sent}) == 2  # two people, two update ids
    reject = await world.ask("finance", "POST", f"/v1/payouts/{payout}/reject", body, key="same-key")
    assert reject.status_code == 409


async def test_a_decision_is_on_the_record_before_its_workflow_hears_of_it(world: ApiWorld) -> None:
    """Also when the workflow cannot be reached; repeating it under the same key is the same request."""
    payout, finance = await _payout(world), world.people["finance"]
    world.temporal.down = True
    path, body = f"/v1/payouts/{payout}/approve", {"reason": "all green"}
    for _ in range(2):
        assert (await world.ask("finance", "POST", path, body, key="same-key")).status_code == 503
    async with world.db.transaction() as session:
        (row,) = (await session.scalars(select(DecisionRequestRow))).all()
    asked = (row.key, row.subject_kind, row.subject_id, row.verb, row.user_id)
    assert asked == (update_key(finance.actor.user_id, "same-key"), "payout", payout, "approve", finance.actor.user_id)
    assert row.expires_at - row.created_at <= timedelta(minutes=16)
    assert (row.consumed_at, row.outcome, row.answer) == (None, None, None)


@pytest.mark.parametrize(
    ("error", "status"),
    [(SelfApproval("You asked for this payout."), 403), (AlreadyDecided("payout x", "reject", "usr_1"), 409)],
)
async def test_a_workflows_refusal_keeps_its_type_and_sentence(world: ApiWorld, error: Any, status: int) -> None:
    payout = await _payout(world)
    world.temporal.refuse(f"payout/{payout}", error)
    answer = await world.ask("finance", "POST", f"/v1/payouts/{payout}/approve", {"reason": "ok"})
    assert (answer.status_code, answer.json()["type"], answer.json()["detail"]) == (status, error.type, error.message)


async def test_a_refused_decision_can_be_taken_later_with_the_same_key(world: ApiWorld) -> None:
    payout = await _payout(world)
    world.temporal.refuse(f"payout/{payout}", Conflict("Not yet."))
    path, body = f"/v1/payouts/{payout}/approve", {"reason": "ok"}
    assert (await world.ask("finance", "POST", path, body, key="later-01")).status_code == 409
    world.temporal.errors.clear()
    world.temporal.answers[f"payout/{payout}"] = _agree(payout)
    assert (await world.ask("finance", "POST", path, body, key="later-01")).status_code == 200


async def test_a_workflow_that_is_not_there(world: ApiWorld) -> None:
    """Not started yet: try again. Ended: nothing left to decide. Never was: 404."""
    payout = await _payout(world)
    absent = RPCError("workflow not found", RPCStatusCode.NOT_FOUND, b"")
    world.temporal.errors[f"payout/{payout}"] = absent
    path = f"/v1/payouts/{payout}/approve"
    assert (await world.ask("finance", "POST", path, {"reason": "ok"})).status_code == 503
    async with world.db.transaction() as session:
        (await session.get_one(Payout, payout)).state = "paid"
    ended = await world.ask("finance", "POST", path, {"reason": "ok"})
    assert (ended.status_code, ended.json()["detail"]) == (409, "This payout is paid; nothing is left to decide.")
    unknown = f"/v1/payouts/{world.people['eve'].has('pay')}/approve"
    assert (await world.ask("finance", "POST", unknown, {"reason": "ok"})).status_code == 404


async def test_a_decision_without_an_answer_says_so(world: ApiWorld) -> None:
    payout = await _payout(world)
    world.temporal.errors[f"payout/{payout}"] = WorkflowUpdateRPCTimeoutOrCancelledError()
    answer = await world.ask("finance", "POST", f"/v1/payouts/{payout}/approve", {"reason": "ok"})
    assert (answer.status_code, answer.json()["type"]) == (503, "outcome-unknown")


async def test_while_temporal_is_down_reading_and_asking_go_on(world: ApiWorld) -> None:
    world.temporal.down = True
    payout = await _payout(world)
    refused = await world.ask("finance", "POST", f"/v1/payouts/{payout}/approve", {"reason": "ok"})
    assert (refused.status_code, refused.json()["type"]) == (503, "unavailable")
    ready = await world.http.get("/readyz")
    assert (ready.status_code, ready.json()["parts"]["database"]) == (503, "ok")
    assert "cannot be reached" in ready.json()["parts"]["temporal"]
    assert (await world.http.get("/healthz")).json() == {"status": "ok"}


# amounts


@pytest.mark.parametrize(
    "amount",
    ["-5", "0", "0.00", "NaN", "Infinity", "1e3", "1,000", "", "١٠", "5.001", "1_000", 500, 5.5, None, "9" * 39],
)
async def test_a_wrong_amount_names_the_field(world: ApiWorld, amount: Any) -> None:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/payouts"
    answer = await world.ask("tina", "POST", path, {"amount": amount})
    assert (answer.status_code, answer.json().get("field")) == (422, "amount"), answer.text


async def test_more_than_available_and_a_wrong_product(world: ApiWorld) -> None:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/payouts"
    much = await world.ask("tina", "POST", path, {"amount": "99999"})
    assert (much.status_code, much.json()["type"]) == (422, "payout-refused")
    assert "available" in much.json()["reasons"][0]
    refusal = much.json()["refusals"][0]
    assert (refusal["code"], refusal["figures"]["requested"]) == ("more_than_available", 9_999_900)
    async with world.db.transaction() as session:
        proof = await session.get_one(Proof, much.json()["proof_id"])
    assert check(proof.body) == []
    cycle = await world.ask("tina", "POST", path, {"amount": "100", "cycle": "weekly"})
    assert (cycle.status_code, cycle.json()["field"]) == (422, "cycle")
    ahead = await world.ask("tina", "GET", f"{path}/preview?amount=99999")
    assert ahead.json()["refusal_figures"] == much.json()["refusals"]
    unknown = await world.ask("tina", "POST", "/v1/challenges", {"product": "no-such-thing"})
    assert (unknown.status_code, unknown.json()["field"]) == (422, "product")


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/challenges", {"product": "instant", "fee_minor": 1}),
        ("/v1/challenges", {"product": "instant", "trader_id": "trd_x"}),
        ("/v1/tickets", {"subject": "a", "body": "b", "state": "solved"}),
        ("/v1/accounts/{acc}/payouts", {"amount": "10", "beneficiary": "DE00"}),
    ],
)
async def test_nobody_sets_what_was_not_offered(world: ApiWorld, path: str, body: dict[str, Any]) -> None:
    url = path.replace("{acc}", world.people["tina"].has("acc"))
    answer = await world.ask("tina", "POST", url, body)
    assert (answer.status_code, answer.json()["type"]) == (422, "bad-input")
    assert answer.json()["field"] in body


# pages and limits


async def test_pages_follow_each_other_without_gaps(world: ApiWorld) -> None:
    path, found, cursor = f"/v1/accounts/{world.people['tina'].has('acc')}/deals", [], None
    for _ in range(3):
        page = (
            await world.ask("tina", "GET", path, params={"limit": 2} | ({"cursor": cursor} if cursor else {}))
        ).json()
        found += [deal["deal_id"] for deal in page["items"]]
        cursor = page["next_cursor"]
    assert (found, cursor) == (["d4", "d3", "d2", "d1", "d0"], None)


@pytest.mark.parametrize(
    "noun", ["challenges", "accounts", "breaches", "disputes", "tickets", "queue", "audit", "traders"]
)
async def test_every_list_pages_one_by_one(world: ApiWorld, noun: str) -> None:
    whole = (await world.ask("admin", "GET", f"/v1/{noun}")).json()["items"]
    found: list[Any] = []
    cursor = None
    for _ in range(len(whole)):
        more: dict[str, str] = {"cursor": cursor} if cursor else {}
        page = (await world.ask("admin", "GET", f"/v1/{noun}", params={"limit": 1, **more})).json()
        found += page["items"]
        cursor = page["next_cursor"]
    assert len(whole) >= 2
    assert (found, cursor) == (whole, None)


@pytest.mark.parametrize(
    "cursor", ["x", "!!!!", "e30", encode_cursor(["x"]), encode_cursor([2**70]), encode_cursor([True]), "W1tdXQ", "é"]
)
async def test_a_made_up_cursor_is_refused(world: ApiWorld, cursor: str) -> None:
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/deals"
    answer = await world.ask("tina", "GET", path, params={"cursor": cursor})
    assert (answer.status_code, answer.json()["field"]) == (422, "cursor")


@pytest.mark.parametrize(("path", "limit"), [("/v1/tickets", 256), ("/webhooks/payments/sandbox", 64)])
async def test_a_body_over_the_limit_is_refused_declared_or_not(world: ApiWorld, path: str, limit: int) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(limit + 1):
            yield b"x" * 1024

    for content in (b"x" * (limit * 1024 + 1), pieces()):
        answer = await world.http.post(path, content=content)
        assert (answer.status_code, answer.json()["type"]) == (413, "too-large")


async def test_what_is_no_json_or_no_route_is_a_problem_too(world: ApiWorld) -> None:
    broken = await world.http.post(
        "/v1/sessions", content=b"{", headers={"Content-Type": "application/json", "X-Request-ID": "my-request-1"}
    )
    assert (broken.status_code, broken.json()["request_id"]) == (422, "my-request-1")
    surrogate = b'{"login": "\\ud800", "password": "x"}'
    odd = await world.http.post("/v1/sessions", content=surrogate, headers={"Content-Type": "application/json"})
    assert odd.status_code == 422
    assert (await world.http.get("/v1/nothing")).json()["type"] == "not-found"
    assert (await world.http.delete("/v1/products")).status_code == 405
    missing = await world.http.get("/v1/search", params={"q": "a\x00b"}, headers=_bearer(world, "admin"))
    assert (missing.status_code, missing.json()["items"]) == (200, [])


def _bearer(world: ApiWorld, who: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.people[who].token}"}


# the firm as a whole


async def test_queue_summary_and_account_read_the_same_record(world: ApiWorld) -> None:
    payout = await _payout(world)
    async with world.db.transaction() as session:
        (await session.get_one(Payout, payout)).state = "awaiting_approval"
    queue = (await world.ask("risk", "GET", "/v1/queue")).json()["items"]
    kinds = sorted(item["kind"] for item in queue)
    assert kinds == ["case", "dispute", "dispute", "payout", "review", "ticket", "ticket"]
    waiting = next(item for item in queue if item["kind"] == "payout")
    assert waiting["words"] == "Payout 400.00 USD, tina Trader, A-10001"
    summary = (await world.ask("risk", "GET", "/v1/summary")).json()
    assert (summary["open_work"]["dispute"], summary["ledger_imbalance"]) == (2, 0)
    assert (summary["challenges"], summary["breaches"]) == ({"funded": 2}, {"daily_loss": 2})
    assert summary["breach_to_lock_ms"] == {"p50": 12.0, "p99": 12.0}
    account = (await world.ask("tina", "GET", f"/v1/accounts/{world.people['tina'].has('acc')}")).json()
    assert (account["number"], account["open_payout_id"], account["target"]) == ("A-10001", payout, None)
    assert account["rules"][0] == {
        "rule_id": "daily_loss", "kind": "daily_loss", "operator": "equity < floor", "allowance_minor": 500_000,
        "floor_minor": 9_700_000, "room_minor": 600_000,
    }  # fmt: skip
    assert account["next_reset"] == "2014-05-02T22:00:00Z"


async def test_the_timeline_tells_every_kind_in_words(world: ApiWorld) -> None:
    await _payout(world)
    path = f"/v1/accounts/{world.people['tina'].has('acc')}/timeline"
    story = (await world.ask("risk", "GET", path)).json()["items"]
    words = {entry["words"] for entry in story}
    assert "Buy 1.5 EURUSD at 1.387 to close, 1.00 USD" in words
    assert "Daily loss breached: equity 94,990.00 USD, floor 95,000.00 USD" in words
    rules = (await world.ask("risk", "GET", path, params={"kind": "rules"})).json()["items"]
    assert {entry["kind"] for entry in rules} == {"rules"}
    assert rules[0]["proof_id"] == world.people["tina"].has("prf")


async def test_an_identity_decision_tells_the_challenges_that_wait(world: ApiWorld) -> None:
    tina = world.people["tina"]
    async with world.db.transaction() as session:
        (await session.get_one(Challenge, tina.has("chl"))).state = "identity_check"
    item = next(i for i in (await world.ask("risk", "GET", "/v1/queue")).json()["items"] if i["kind"] == "identity")
    assert item["subject_id"] == tina.trader_id
    body = {"verified": True, "reason": "The papers match."}
    answer = await world.ask("risk", "POST", f"/v1/traders/{tina.trader_id}/identity", body)
    assert answer.json() == {"trader_id": tina.trader_id, "identity": "verified"}
    async with world.db.transaction() as session:
        told = (await session.scalars(select(OutboxMessage).where(OutboxMessage.name == "identity_decided"))).all()
    assert [(message.target, message.payload["verified"]) for message in told] == [
        (f"challenge/{tina.has('chl')}", True)
    ]


async def test_a_review_is_closed_once_with_a_reason(world: ApiWorld) -> None:
    review = (await world.ask("risk", "GET", "/v1/reviews")).json()["items"][0]
    path = f"/v1/reviews/{review['id']}/close"
    assert (await world.ask("risk", "POST", path, {"reason": "A known glitch."})).json()["status"] == "closed"
    assert (await world.ask("admin", "POST", path, {"reason": "Again."})).status_code == 409
    assert (await world.ask("auditor", "GET", "/v1/audit/verify")).json()["whole"] is True


async def test_a_proof_sheet_is_served_as_it_is_stored(world: ApiWorld) -> None:
    tina = world.people["tina"]
    answer = await world.ask("tina", "GET", f"/v1/proofs/{tina.has('prf')}")
    assert (answer.json(), answer.headers["content-disposition"].split("=")[1]) == (
        {"hash": "x"},
        f'"{tina.has("prf")}.json"',
    )


async def test_metrics_count_by_route_and_are_for_this_machine(world: ApiWorld) -> None:
    await world.ask("tina", "GET", f"/v1/accounts/{world.people['tina'].has('acc')}")
    text = (await world.http.get("/metrics")).text
    assert 'route="/v1/accounts/{account_id}",status="200"' in text
    assert 'propos_open_work{kind="dispute"} 2.0' in text
    assert world.people["tina"].has("acc") not in text
    assert "propos_feed_age_seconds{" in text


async def test_metrics_are_read_from_elsewhere_with_a_sign_in_that_sees_the_summary(world: ApiWorld) -> None:
    transport = httpx.ASGITransport(app=create_app(world.deps), client=("192.0.2.1", 5000))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as elsewhere:
        assert (await elsewhere.get("/metrics")).status_code == 404
        assert (await elsewhere.get("/metrics", headers=_bearer(world, "tina"))).status_code == 403
        scraped = await elsewhere.get("/metrics", headers=_bearer(world, "risk"))
        assert (scraped.status_code, "propos_open_work" in scraped.text) == (200, True)


async def test_the_console_and_the_api_live_on_one_address(world: ApiWorld) -> None:
    transport = httpx.ASGITransport(app=create_app(world.deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as browser:
        page = await browser.get("/sign-in")
        assert page.headers["content-type"].startswith("text/html")
        assert (await browser.get("/v1/products")).json()["type"] == "not-signed-in"
        assert (await browser.get("/v1/accounts", headers=_bearer(world, "risk"))).status_code == 200


async def test_more_time_is_asked_for_and_refused_with_a_type(world: ApiWorld) -> None:
    """The funded challenge runs without end; another trader's does not exist; risk has no say in it."""
    path = f"/v1/challenges/{world.people['tina'].has('chl')}/extension"
    body = {"reason": "I was ill."}
    for who in ("tina", "support"):
        refused = await world.ask(who, "POST", path, body)
        assert (refused.status_code, refused.json()["type"]) == (409, "extension-refused")
    assert (await world.ask("eve", "POST", path, body)).status_code == 404
    assert (await world.ask("risk", "POST", path, body)).status_code == 403
    assert (await world.ask("tina", "POST", path, {})).status_code == 422


async def test_an_order_goes_on_from_a_challenge_once_and_is_refused_with_a_type(world: ApiWorld) -> None:
    path = f"/v1/challenges/{world.people['tina'].has('chl')}/orders"
    unsold = await world.ask("tina", "POST", path, {"kind": "buyback"}, key="order-0001")
    assert (unsold.status_code, unsold.json()["type"]) == (409, "order-refused")
    assert (await world.ask("eve", "POST", path, {"kind": "buyback"})).status_code == 404
    assert (await world.ask("tina", "POST", path, {"kind": "extension"})).status_code == 422
    async with world.db.transaction() as session:
        body = (await products.newest(session, "instant")).model_dump(mode="json") | {"product": "again"}
        await products.publish(session, Product.model_validate(body | {"fees": {"buyback": "300"}}))
    bought = (await world.ask("tina", "POST", "/v1/challenges", {"product": "again"})).json()
    async with world.db.transaction() as session:
        old = await session.get_one(Challenge, world.people["tina"].has("chl"))
        (await session.get_one(Challenge, bought["id"])).state = "breached"
        (await session.get_one(Challenge, bought["id"])).account_id = old.account_id
    path = f"/v1/challenges/{bought['id']}/orders"
    answers = [await world.ask("tina", "POST", path, {"kind": "buyback"}, key="order-0002") for _ in range(2)]
    assert [answer.status_code for answer in answers] == [201, 201], answers[0].text
    first, again = (answer.json() for answer in answers)
    assert first == again and (first["fee_minor"], first["product"], first["state"]) == (
        30_000,
        "again",
        "awaiting_payment",
    )
    shown = (await world.ask("tina", "GET", f"/v1/challenges/{first['id']}")).json()
    assert (shown["fee_of"], shown["replaces"]) == ("buyback", bought["id"])
