"""Several items of the queue decided at once: what is shown before, what becomes of each, and what is never in it."""

import html as markup
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any, cast

import httpx
import pytest
from sqlalchemy import func, select

from domain.keys import new_id
from firm import reviews
from store.models import Decision, Payout, Review, StepUp
from tests.console_firm import PASSWORD
from tests.console_history import NOW
from tests.console_payments import more_payouts
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.proofs import prove_by_api, prove_by_form

ANA, FINN, SAM = "ana@firm.example", "finn@firm.example", "sam@firm.example"
REASON = "Statement and identity checked."


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _page(browser: Browser, action: str, *refs: str, status: int = 200, **more: str) -> str:
    answer = await browser.http.get("/queue/bulk", params={"do": action, "item": list(refs), **more})
    assert answer.status_code == status, answer.text[:500]
    return markup.unescape(answer.text)


def _form(page: str) -> dict[str, Any]:
    """The fields of the form that does it, as the browser would send them."""
    start = page.index('<form class="decide"')
    fields: dict[str, Any] = {}
    for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', page[start:]):
        fields.setdefault(name, []).append(value)
    return fields


async def _send(browser: Browser, fields: dict[str, Any], **more: str) -> str:
    answer = await browser.http.post("/queue/bulk", data={**fields, **more})
    answer = await prove_by_form(browser.http, answer, PASSWORD)
    assert answer.status_code == 200, answer.text[:500]
    return markup.unescape(answer.text)


async def _ask(browser: Browser, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    headers = {"Idempotency-Key": key, "X-CSRF-Token": await browser.csrf()}
    answer = await browser.http.post(f"/v1/queue/bulk{path}", json=body, headers=headers)
    return await prove_by_api(browser.http, answer, PASSWORD)


async def _approvals(world: ConsoleWorld) -> dict[str, int]:
    async with world.db.transaction() as session:
        found = await session.execute(
            select(Decision.subject_id, func.count()).where(Decision.decision == "approve").group_by("subject_id")
        )
        return {str(payout): int(count) for payout, count in found}


async def test_payouts_are_approved_at_once_and_each_as_if_alone(world: ConsoleWorld) -> None:
    one, two, lost, odd, held = await more_payouts(world, *(timedelta(hours=each) for each in (3, 4, 5, 6, 7)))
    world.decides_payouts(one, two, lost, odd, held)
    async with world.db.transaction() as session:
        warned = await session.get_one(Payout, odd)
        warned.checks = {**warned.checks, "news": {"ok": True, "warns": True, "words": "A trade was near news."}}
    chosen = [f"payout/{each}" for each in (one, two, lost, odd, held, world.firm.big_payout)]
    async with world.browser(FINN) as finn, world.browser(ANA) as ana:
        await ana.post(f"/queue/payout/{held}/claim")
        page = await _page(finn, "approve", *chosen, f"case/{world.firm.case}")
        for why in (
            "Not every check passes: A trade was near news.",
            "It needs two people, so each reads it alone.",
            "Ana Ruiz has claimed this until",
            "A case is decided alone.",
        ):
            assert why in page, why
        assert "Left out: 4 items" in page and "Approve 3 items" in page
        assert "3,348.00 <span" in page and page.count("Sends 1,116.00 USD to DE…4821.") == 3
        form = _form(page)
        assert form["item"] == chosen[:3]
        assert await _approvals(world) == {}, "a preview does nothing"
        await ana.post(f"/payouts/{lost}/decision", decision="reject", reason="The account was reported.")
        async with world.db.transaction() as session:  # and one is not what was seen any more
            (await session.get_one(Payout, two)).beneficiary = "DE02120300000000202051"
        first = await _send(finn, form, reason=REASON)
        assert "1 of 3 items done." in first
        assert re.search("Reject by Ana Ruiz, 2014-05-02 14:30 UTC.", first) and "decided by others" in first
        assert "refused" in first and "the beneficiary" in first
        assert await _approvals(world) == {one: 1}
        async with world.db.transaction() as session:
            (await session.get_one(Payout, two)).beneficiary = "DE89370400440532014821"
        again = await _send(finn, form, reason=REASON)  # pressed twice: what is done is not done again
        assert "2 of 3 items done." in again and await _approvals(world) == {one: 1, two: 1}
        assert (await finn.http.post("/queue/bulk", data={**form, "reason": "Another."})).status_code == 409
    async with world.db.transaction() as session:
        decided = (await session.scalars(select(Decision).where(Decision.subject_id == one))).one()
        proof = (await session.scalars(select(StepUp).where(StepUp.used_key == decided.evidence["key"]))).one()
        assert proof.method == "password" and decided.evidence["step_up"]["id"] == proof.id
        assert (await session.get_one(Payout, held)).state == "awaiting_approval"


async def test_a_bulk_over_the_api_stops_at_an_outage_and_goes_on_when_it_is_repeated(world: ConsoleWorld) -> None:
    one, two = await more_payouts(world, timedelta(hours=3), timedelta(hours=4))
    world.decides_payouts(one, two)
    items = [{"kind": "payout", "id": each} for each in (one, two)]
    async with world.browser(FINN) as finn, world.browser(SAM) as sam:
        body = {"action": "approve", "items": items}
        plan = (await _ask(finn, "/preview", body, new_id("key"))).json()
        assert plan["totals"] == [{"amount_minor": 223_200, "currency": "USD"}]
        forbidden = (await _ask(sam, "/preview", body, new_id("key"))).json()
        assert all("This needs the role" in each["left_out"] for each in forbidden["items"])
        seen = [{**item, "seen": each["seen"]} for item, each in zip(items, plan["items"], strict=True)]
        asked, key = {"action": "approve", "items": seen, "reason": REASON}, new_id("key")
        assert (await _ask(finn, "", {**asked, "items": items}, new_id("key"))).json()["field"] == "seen"
        world.temporal.down = True
        outcomes = (await _ask(finn, "", asked, key)).json()["items"]
        assert [each["outcome"] for each in outcomes] == ["unknown", "not_tried"]
        world.temporal.down = False
        for _ in range(2):
            outcomes = (await _ask(finn, "", asked, key)).json()["items"]
            assert [each["outcome"] for each in outcomes] == ["done", "done"]
        assert await _approvals(world) == {one: 1, two: 1}
        assert (await _ask(finn, "", {**asked, "reason": "Other."}, key)).status_code == 409
        many = [{"kind": "payout", "id": new_id("pay")} for _ in range(26)]
        for wrong in (
            {"action": "claim", "items": many},
            {"action": "claim", "items": items * 2},
            {"action": "snooze", "items": items},
            {"action": "close", "items": items, "reason": "x"},
            {"action": "reject", "items": items},
        ):
            assert (await _ask(finn, "", wrong, new_id("key"))).status_code == 422, wrong
        items = [{"kind": "payout", "id": each} for each in (world.firm.payout, new_id("pay"))]
        outcomes = (await _ask(sam, "", {"action": "claim", "items": items}, new_id("key"))).json()["items"]
        assert [each["outcome"] for each in outcomes] == ["refused", "refused"]


async def test_a_proof_of_many_covers_no_other_and_a_repetition_tells_what_became_of_it(world: ConsoleWorld) -> None:
    one, two = await more_payouts(world, timedelta(hours=3), timedelta(hours=4))
    world.decides_payouts(one, two)
    answers = world.temporal.answers
    taken, slow = answers[f"payout/{one}"], True

    async def unheard(verb: str, request: Any) -> Any:
        """The workflow takes the decision, and its answer is lost on the way."""
        answer = await cast("Any", taken(verb, request))
        if slow:
            raise TimeoutError
        return answer

    answers[f"payout/{one}"] = unheard
    async with world.browser(FINN) as finn:
        items = list[dict[str, str]]()
        for payout_id in (one, two):
            plan = await _ask(finn, "/preview", {"action": "approve", "items": [_item(payout_id)]}, new_id("key"))
            items.append({**_item(payout_id), "seen": plan.json()["items"][0]["seen"]})
        page = await finn.get(f"/v1/payouts/{world.firm.big_payout}")
        big = {**_item(world.firm.big_payout), "seen": page.json()["seen"]}
        asked, key = {"action": "approve", "items": [big, *items], "reason": REASON}, new_id("key")
        outcomes = (await _ask(finn, "", asked, key)).json()["items"]
        assert [each["outcome"] for each in outcomes] == ["refused", "unknown", "not_tried"]
        slow = False
        for _ in range(2):
            outcomes = (await _ask(finn, "", asked, key)).json()["items"]
            assert [each["outcome"] for each in outcomes] == ["refused", "done", "done"]
    assert await _approvals(world) == {one: 1, two: 1}
    async with world.db.transaction() as session:
        used = list(await session.scalars(select(StepUp.used_key)))
    assert len(used) == 3 and None not in used, "that of the bulk, and one for each payout that was approved"


def _item(payout_id: str) -> dict[str, str]:
    return {"kind": "payout", "id": payout_id}


async def test_reviews_are_closed_and_items_claimed_and_snoozed_at_once(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        for number in range(3):
            detail = {"workflow": f"payout/{number}"}
            await reviews.report(session, key=f"stuck/{number}", kind="workflow_stuck", detail=detail)
        found = await session.scalars(select(Review.id).where(Review.kind == "workflow_stuck"))
        chosen = [f"review/{each}" for each in sorted(found)]
        account = (await session.get_one(Payout, world.firm.payout)).account_id
        holds, detail = new_id("rev"), {"rule_id": "max_lots", "sentence": "Too many lots."}
        about = {"key": holds, "kind": "offence", "status": "open", "occurred_at": NOW, "account_id": account}
        session.add(Review(id=holds, detail=detail, **about))
    async with world.browser(ANA) as ana:
        listed = await ana.get("/queue?kind=review")
        assert all(f'name="item" value="{ref}" aria-label="Select' in listed.text for ref in chosen)
        form = _form(await _page(ana, "claim", *chosen))
        assert "3 of 3 items done." in await _send(ana, form)
        assert (await ana.get("/queue?kind=review")).text.count(">yours<") == 3
        page = await _page(ana, "snooze", *chosen, hours="4")
        assert "Snoozed for 4 h" in page
        done = await _send(ana, _form(page))
        assert ">Undo</button>" in done
        listed = await ana.get("/queue?show=aside")
        assert all(f'id="row/{ref}"' in listed.text for ref in chosen)
        start = done.index('<form method="post" action="/queue/bulk">')
        undo: dict[str, Any] = {}
        for name, value in re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', done[start:]):
            undo.setdefault(name, []).append(value)
        assert "3 of 3 items done." in await _send(ana, undo)
        listed = await ana.get("/queue?kind=review")
        assert all(f'id="row/{ref}"' in listed.text for ref in chosen)
        others = (f"review/{world.firm.doubtful}", f"review/{holds}", f"payout/{world.firm.payout}")
        page = await _page(ana, "close", *chosen, *others)
        assert "judged again when it is closed, and sent without an approval if none is needed." in page
        assert "This review asks whether a rule was broken." in page and "A payout is decided alone." in page
        form = _form(page)
        refused = await ana.http.post("/queue/bulk", data={**form, "reason": ""})
        assert refused.status_code == 422 and "Reason needs 3" in refused.text
        assert "3 of 3 items done." in await _send(ana, form, reason="Looked at each.")
        closed = await _page(ana, "close", chosen[0])
        assert "It no longer waits. Closed by Ana Ruiz" in closed and "Nothing to do" in closed
        for wrong in ((), [f"review/{new_id('rev')}" for _ in range(26)]):
            await _page(ana, "close", *wrong, status=422)
        await _page(ana, "nonsense", *chosen, status=422)
    async with world.browser("uma@firm.example") as uma:
        assert 'id="pick"' not in (await uma.get("/queue")).text
        await _page(uma, "claim", *chosen, status=403)
