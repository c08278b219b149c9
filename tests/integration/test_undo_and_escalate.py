"""What was just done with an item of the queue is taken back while nothing has followed; items are given to others."""

import html as markup
import re
from collections.abc import AsyncIterator
from typing import Any

import pytest
from sqlalchemy import select

from domain.keys import new_id
from firm import reviews
from store.models import AuditEntry, Decision, Payout, Review, User
from tests.console_history import NOW
from tests.console_world import Browser, ConsoleWorld, console_world

ANA, FINN, ROSA = "ana@firm.example", "finn@firm.example", "rosa@firm.example"
REASON = "Statement and identity checked."


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.decides_payouts()
        yield made


async def _shown(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return markup.unescape(answer.text)


async def _undo(browser: Browser, path: str) -> tuple[str, str]:
    """The address of the undo button that the page shows, and what is said about its time."""
    page = await _shown(browser, path)
    found = re.search(r'action="(/queue/[^"]+/undo[^"]+)".*?data-left>([^<]+)<', page, re.DOTALL)
    assert found is not None, "there is no undo"
    assert "/undo" not in await _shown(browser, path), "it is offered once, right after"
    return found.group(1), found.group(2)


async def _audited(world: ConsoleWorld, subject_id: str) -> list[str]:
    async with world.db.transaction() as session:
        found = await session.scalars(
            select(AuditEntry.action).where(AuditEntry.subject_id == subject_id).order_by(AuditEntry.seq)
        )
        return list(found)


def _refs(html: str) -> list[str]:
    return re.findall(r'<a id="row/([^"]+)"', html)


async def test_claims_and_snoozes_and_a_first_approval_are_undone_on_the_record(world: ConsoleWorld) -> None:
    big = f"payout/{world.firm.big_payout}"
    item, path = f"/queue/{big}", f"/payouts/{world.firm.big_payout}/decision"
    async with world.browser(ANA) as ana, world.browser(FINN) as finn:
        claimed = await ana.post(f"{item}/claim", kind="payout", show="mine")
        to, left = await _undo(ana, claimed.headers["Location"])
        assert to == f"{item}/undo?what=claim&kind=payout&show=mine" and left == "until somebody else decides"
        assert (await ana.post(to)).headers["Location"] == f"{item}?kind=payout&show=mine"
        assert "Undone. Released." in await _shown(ana, item)
        snoozed = await ana.post(f"{item}/snooze", hours="72")
        assert big not in _refs(await _shown(finn, "/queue"))
        to, _ = await _undo(ana, snoozed.headers["Location"])
        await ana.post(to)
        assert big in _refs(await _shown(finn, "/queue"))
        one = await ana.post(path, decision="approve", reason=REASON, **await _listed(ana, item, path))
        to, _ = await _undo(ana, one.headers["Location"])
        key = new_id("key")
        for _ in range(2):
            assert (await ana.post(to, key=key)).status_code == 303
        assert "It has 0 of 2" in (await _shown(ana, item)).replace("The payout has 0 of 2", "It has 0 of 2")
        one = await ana.post(path, decision="approve", reason=REASON, **await _listed(ana, item, path))
        to, _ = await _undo(ana, one.headers["Location"])
        two = await finn.post(path, decision="approve", reason=REASON, **await _listed(finn, item, path))
        assert "/undo" not in await _shown(finn, two.headers["Location"]), "the money leaves at once"
        async with world.db.transaction() as session:
            (await session.get_one(Payout, world.firm.big_payout)).state = "sent"
        late = await ana.post(to)
        assert late.status_code == 409 and "the approval is used up" in late.text
    audited = await _audited(world, world.firm.big_payout)
    assert [each for each in audited if each.startswith("work.")] == [
        *("work.undone", "work.snoozed", "work.brought_back", "work.undone"),
    ]
    async with world.db.transaction() as session:
        made = await session.scalars(select(Decision.decision).order_by(Decision.id))
        assert list(made) == ["approve", "retract", "approve", "approve"], "an undo is a decision of its own"


async def _listed(browser: Browser, item: str, path: str) -> dict[str, str]:
    """The fields of the form beside the list."""
    await browser.get(item)
    return {**await browser.form(path), "tab": "payout"}


async def test_nothing_is_given_to_somebody_who_has_approved_it_already(world: ConsoleWorld) -> None:
    big = f"payout/{world.firm.big_payout}"
    item, path = f"/queue/{big}", f"/payouts/{world.firm.big_payout}/decision"
    async with world.browser(ANA) as ana, world.browser(FINN) as finn:
        assert ">Finn Okafor (finance)</option>" in await _shown(ana, item)
        approved = await finn.post(path, decision="approve", reason=REASON, **await _listed(finn, item, path))
        assert approved.status_code == 303
        page = await _shown(ana, item)
        assert ">Finn Okafor (finance)</option>" not in page
        async with world.db.transaction() as session:
            users = {login: user_id for user_id, login in await session.execute(select(User.id, User.login))}
        given = await ana.post(f"{item}/escalate", to=users[FINN], reason=REASON)
        assert given.status_code == 422 and "Nobody else there can decide this." in given.text


async def test_the_closing_of_a_review_is_undone_for_a_minute_unless_something_followed(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        for number in range(2):
            about = {"workflow": f"payout/{number}"}
            await reviews.report(session, key=f"stuck/{number}", kind="workflow_stuck", detail=about)
        ids = list(await session.scalars(select(Review.id).where(Review.kind == "workflow_stuck")))
        account = (await session.get_one(Payout, world.firm.payout)).account_id
        held, detail = new_id("rev"), {"rule_id": "max_lots", "sentence": "Too many lots."}
        about_money = {"key": held, "kind": "offence", "status": "open", "occurred_at": NOW, "account_id": account}
        session.add(Review(id=held, detail=detail, **about_money))
    async with world.browser(ROSA) as rosa, world.browser(ANA) as ana:

        async def closed(review_id: str) -> Any:
            path = f"/reviews/{review_id}/decision"
            return await rosa.post(path, decision="close", reason=REASON, **{**await rosa.form(path), "tab": "review"})

        to, left = await _undo(rosa, (await closed(ids[0])).headers["Location"])
        assert re.fullmatch(r"(60|5\d) s left", left)
        assert (await ana.post(to)).status_code == 409, "only who closed it"
        assert (await rosa.post(to)).status_code == 303
        page = await _shown(rosa, f"/queue/review/{ids[0]}")
        assert "The review is open again." in page and "Opened again" in page and "by Rosa Lindgren" in page
        to, _ = await _undo(rosa, (await closed(ids[1])).headers["Location"])
        headers = {"Idempotency-Key": new_id("key"), "X-CSRF-Token": await rosa.csrf()}
        answer = await rosa.http.post(f"/v1/queue/review/{ids[1]}/undo", json={"what": "close"}, headers=headers)
        assert answer.status_code == 200 and answer.json()["words"] == "The review is open again."
        gone = await closed(held)
        assert gone.status_code == 303 and "/undo" not in await _shown(rosa, gone.headers["Location"])
        assert (await rosa.post(f"/queue/review/{held}/undo?what=close")).status_code == 409
    async with world.db.transaction() as session:
        assert [(await session.get_one(Review, each)).status for each in ids] == ["open", "open"]
    assert await _audited(world, ids[0]) == ["review.closed", "review.reopened"]


async def test_an_escalated_item_is_the_work_of_whom_it_was_given_to(world: ConsoleWorld) -> None:
    ref = f"payout/{world.firm.payout}"

    async def mine(browser: Browser, part: str = "mine") -> bool:
        page = await _shown(browser, f"/queue?kind=payout&show={part}")
        count = re.search(rf'id="part/{part}"[^>]*>[^<]+(?:<span class="count">(\d+)<)?', page)
        assert count is not None and int(count.group(1) or 0) == len(_refs(page))
        return ref in _refs(page)

    async with world.browser(FINN) as finn, world.browser(ANA) as ana, world.browser("sam@firm.example") as sam:
        await finn.post(f"/queue/{ref}/claim")
        page = await _shown(finn, f"/queue/{ref}")
        assert 'value="role:admin">Everybody with the role admin' in page and ">Ana Ruiz (admin)</option>" in page
        assert "role:risk" not in page and "Finn Okafor (finance)</option>" not in page
        for wrong in ({"to": "role:risk", "reason": REASON}, {"to": "nobody", "reason": REASON}, {"to": "role:admin"}):
            assert (await finn.post(f"/queue/{ref}/escalate", **wrong)).status_code == 422, wrong
        assert (await sam.post(f"/queue/{ref}/escalate", to="role:admin", reason=REASON)).status_code == 403
        assert (await ana.post(f"/queue/{ref}/escalate", to="role:finance", reason=REASON)).status_code == 409
        given = await finn.post(f"/queue/{ref}/escalate", to="role:admin", reason="The name is unlike.", kind="payout")
        assert given.headers["Location"] == f"/queue/{ref}?kind=payout"
        page = await _shown(finn, f"/queue/{ref}")
        assert "escalated to admin</span>" in page and "by Finn Okafor to admin: The name is unlike." in page
        assert "Yours until" not in page, "the claim has ended"
        assert "by Finn Okafor to admin: The name is unlike." in await _shown(ana, f"/payouts/{world.firm.payout}")
        assert (await mine(finn), await mine(finn, "made")) == (False, True)
        assert (await mine(ana), await mine(ana, "made")) == (True, False)
        (item,) = [
            each
            for each in (await ana.get("/v1/queue?kind=payout")).json()["items"]
            if ref.endswith(each["subject_id"])
        ]
        assert item["escalated_to"] == "admin"
        users = re.findall(r'<option value="(usr_[^"]+)">Finn Okafor', await _shown(ana, f"/queue/{ref}"))
        headers = {"Idempotency-Key": new_id("key"), "X-CSRF-Token": await ana.csrf()}
        for _ in range(2):
            body = {"to_user": users[0], "reason": "You know the trader."}
            answer = await ana.http.post(f"/v1/queue/{ref}/escalate", json=body, headers=headers)
            assert answer.status_code == 200 and answer.json()["to"] == users[0]
        assert (await mine(finn), await mine(ana), await mine(ana, "made")) == (True, False, True)
        assert "escalated to Finn Okafor</span>" in await _shown(ana, "/queue")
        async with world.db.transaction() as session:
            person = await session.get_one(User, users[0])
            person.role = "support"
        assert await mine(ana), "whoever cannot decide it any more has not got it"
        async with world.db.transaction() as session:
            person = await session.get_one(User, users[0])
            person.role, person.active = "finance", False
        assert "escalated to Finn Okafor" not in await _shown(ana, "/queue"), "whoever has left has nothing"
        async with world.db.transaction() as session:
            (await session.get_one(User, users[0])).active = True
        assert not await mine(ana)
        await finn.post(f"/payouts/{world.firm.payout}/decision", decision="reject", reason="No statement.")
    assert [each for each in await _audited(world, world.firm.payout) if each.startswith("work.")] == [
        "work.escalated",
        "work.escalated",
    ]
    async with world.browser("mara@example.org") as mara:
        page = await _shown(mara, f"/payouts/{world.firm.payout}")
        assert "Finn" not in page and "unlike" not in page and "Work on it" not in page


async def test_a_program_with_a_sign_in_claims_and_snoozes_one_item_as_the_console_does(world: ConsoleWorld) -> None:
    ref = f"payout/{world.firm.payout}"
    async with world.browser(FINN) as finn, world.browser(ANA) as ana, world.browser("sam@firm.example") as sam:

        async def asks(browser: Browser, verb: str, body: dict[str, object] | None = None) -> tuple[int, str]:
            headers = {"Idempotency-Key": new_id("key"), "X-CSRF-Token": await browser.csrf()}
            answer = await browser.http.post(f"/v1/queue/{ref}/{verb}", json=body, headers=headers)
            return answer.status_code, str(answer.json().get("words", ""))

        assert (await asks(sam, "claim", {}))[0] == 403
        status, words = await asks(finn, "claim", {})
        assert status == 200 and words.startswith("This is yours until ")
        assert (await asks(ana, "claim", {}))[0] == 409
        assert (await asks(ana, "claim", {"take_over": True}))[0] == 200
        assert await asks(ana, "release") == (200, "Released.")
        assert (await asks(finn, "snooze", {"hours": 5}))[0] == 422
        assert (await asks(finn, "snooze", {"hours": 4}))[0] == 200
        assert await asks(finn, "wake") == (200, "Back in the queue.")
