"""The work queue in the console: what is in it, its parts, claims and snoozes, live changes, and links that are old."""

import csv
import html as markup
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import delete, func, select, update

from domain.keys import new_id
from firm.parked import drop
from front.exports import defused
from front.subjects.table import SUBJECTS
from store.models import (
    Account,
    AuditEntry,
    Case,
    InboxEvent,
    MarketClock,
    OutboxMessage,
    Payout,
    Review,
    Trader,
    WorkMark,
)
from store.outbox import RESET
from tests.console_firm import PASSWORD
from tests.console_history import NOW
from tests.console_world import Browser, ConsoleWorld, console_world, feed_heard
from tests.proofs import prove_by_form

REASON = "Statement and identity checked."
FORM, POLL = 'name="decision"', "div#work-poll"
ANA, FINN, ROSA = "ana@firm.example", "finn@firm.example", "rosa@firm.example"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.decides_payouts()
        yield made


async def shown(browser: Browser, path: str, status: int = 200) -> str:
    answer = await browser.get(path)
    assert answer.status_code == status, (path, answer.status_code, answer.text[:300])
    return markup.unescape(answer.text)


def refs(html: str) -> list[str]:
    """The rows of the list, in their order."""
    return re.findall(r'<a id="row/([^"]+)"', html)


def poll_of(html: str) -> str:
    found = re.search(r'id="work-poll"[^>]*hx-get="([^"]+)"', html)
    assert found is not None
    return found.group(1)


def tabs(html: str, nav: str) -> dict[str, int]:
    """The links of the tabs, with their counts."""
    start = html.index(f'id="{nav}"')
    found = re.findall(
        r'<a id="[^"]+" href="([^"]+)"[^>]*>[^<]+(?:<span class="count">(\d+)</span>)?</a>',
        html[start : html.index("</nav>", start)],
    )
    return {href: int(count or 0) for href, count in found}


async def _reviews(world: ConsoleWorld, count: int, *, kind: str = "stale", **detail: Any) -> list[str]:
    ids = [new_id("rev") for _ in range(count)]
    async with world.db.transaction() as session:
        for number, review_id in enumerate(ids):
            session.add(
                Review(
                    id=review_id,
                    key=f"{kind}/{review_id}",
                    kind=kind,
                    status="open",
                    occurred_at=NOW - timedelta(minutes=count - number),
                    detail=detail or {"workflow": f"payout/{number}"},
                )
            )
    return ids


async def test_thirty_reviews_of_one_silent_symbol_are_one_item_that_is_closed_as_one(world: ConsoleWorld) -> None:
    ids = await _reviews(world, 30, symbol="XAGUSD")
    async with world.browser(ROSA) as rosa:
        listed = await shown(rosa, "/queue?kind=review")
        assert [ref for ref in refs(listed) if ref.removeprefix("review/") in ids] == [f"review/{ids[0]}"]
        assert "Review: stale on XAGUSD" in listed and "30 times" in listed
        assert tabs(listed, "work-tabs")["/queue?kind=review"] == len(refs(listed))
        (item,) = [
            each for each in (await rosa.get("/v1/queue?kind=review")).json()["items"] if each["subject_id"] == ids[0]
        ]
        assert item["alike"] == 30
        path = f"/reviews/{ids[0]}/decision"
        assert "Close all 30" in await shown(rosa, f"/queue/review/{ids[0]}")
        old = await rosa.form(path)
        ids += await _reviews(world, 1, symbol="XAGUSD")
        refused = await rosa.post(path, decision="close", reason="The market was closed.", **old)
        assert refused.status_code == 409 and "has changed since you opened the page" in refused.text
        assert (await rosa.post(path, decision="close", reason="The market was closed.")).status_code == 303
        assert not [ref for ref in refs(await shown(rosa, "/queue?kind=review")) if ref.removeprefix("review/") in ids]
    async with world.db.transaction() as session:
        closed = await session.scalars(select(Review.close_reason).where(Review.id.in_(ids)))
        assert set(closed) == {"The market was closed."}


async def test_reviews_with_facts_of_their_own_stand_alone(world: ConsoleWorld) -> None:
    ids = [
        (await _reviews(world, 1, kind="offence", symbol="XAGUSD", rule_id=rule, sentence=f"{rule} was broken."))[0]
        for rule in ("max_lots", "weekend")
    ]
    async with world.browser(ROSA) as rosa:
        assert {f"review/{each}" for each in ids} <= set(refs(await shown(rosa, "/queue?kind=review")))
        page = await shown(rosa, f"/queue/review/{ids[0]}")
        assert "max_lots was broken." in page and "Close all" not in page
        closed = await rosa.post(f"/reviews/{ids[0]}/decision", decision="close", reason="The trader was warned.")
        assert closed.status_code == 303
        assert f"review/{ids[1]}" in refs(await shown(rosa, "/queue?kind=review"))
    async with world.db.transaction() as session:
        assert [(await session.get_one(Review, each)).status for each in ids] == ["closed", "open"]


async def test_pages_go_on_until_the_last_item(world: ConsoleWorld) -> None:
    await _reviews(world, 70, kind="workflow_stuck")
    async with world.browser(ANA) as ana:
        first = await shown(ana, "/queue?kind=review")
        following = re.search(r'rel="next" href="([^"]+)"', first)
        assert following is not None
        second = await shown(ana, following.group(1))
        assert len(refs(first)) == 60 and 'href="/queue?kind=review">First page' in second
        whole = [*refs(first), *refs(second)]
        assert len(set(whole)) == len(whole) == tabs(first, "work-tabs")["/queue?kind=review"]
        assert f"{len(whole)} items" in first and 'rel="next"' not in second


async def test_work_on_a_later_page_goes_on_there(world: ConsoleWorld) -> None:
    await _reviews(world, 70, kind="workflow_stuck")
    async with world.browser(ANA) as ana:
        following = re.search(r'rel="next" href="([^"]+)"', await shown(ana, "/queue?kind=review"))
        assert following is not None
        later = await shown(ana, following.group(1))
        here, own = following.group(1).removeprefix("/queue"), refs(later)
        links = re.findall(r'<a id="row/[^"]+"[^>]* href="([^"]+)"', later)
        assert links == [f"/queue/{ref}{here}" for ref in own]
        item = await shown(ana, links[3])
        assert refs(item) == own and FORM in item
        sent = dict(re.findall(r'<input type="hidden" name="(tab|show|cursor|next)" value="([^"]*)">', item))
        assert sent["next"] == own[4] and sent["cursor"]
        path = f"/reviews/{own[3].removeprefix('review/')}/decision"
        refused = await ana.post(path, decision="close", **sent)
        assert refused.status_code == 422 and f'href="/queue{markup.escape(here)}"' in refused.text
        closed = await ana.post(path, decision="close", reason=REASON, **sent)
        assert closed.headers["Location"] == f"/queue/{own[4]}{here}"
        claimed = await ana.post(f"/queue/{own[4]}/claim", kind="review", cursor=sent["cursor"])
        assert claimed.headers["Location"] == f"/queue/{own[4]}{here}"
        path = f"/reviews/{own[4].removeprefix('review/')}/decision"
        closed = await ana.post(path, decision="close", reason=REASON, **sent | {"cursor": "nonsense", "next": ""})
        assert closed.status_code == 303, "the decision is made, wherever it leads"
        for ref in [ref for ref in own if ref not in own[3:5]]:
            snoozed = await ana.post(f"/queue/{ref}/snooze", hours="72", kind="review", cursor=sent["cursor"])
            assert snoozed.headers["Location"] == f"/queue{here}"
        assert len(refs(await shown(ana, following.group(1)))) == 60, "nothing is left there: from the first again"
        assert "cursor" in await shown(ana, "/queue?cursor=nonsense", 422)


async def test_every_kind_of_work_is_in_the_queue_also_what_is_done_on_another_page(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        parked = OutboxMessage(
            key="k1", topic="venue.lock", target="1001", name="", payload={}, attempts=9, parked_at=NOW, error="refused"
        )
        session.add(parked)
        await session.flush()
        number = parked.id
    async with world.browser(ANA) as ana:
        whole = await shown(ana, "/queue")
        assert {f"ticket/{world.firm.ticket}", f"outbox/{number}"} <= set(refs(whole))
        counts = tabs(whole, "work-tabs")
        assert counts.pop("/queue") == sum(counts.values()) == len(refs(whole))
        for href, count in counts.items():
            assert len(refs(await shown(ana, href))) == count, href
        ticket = await shown(ana, f"/queue/ticket/{world.firm.ticket}")
        assert "Answer this ticket on its own page." in ticket and f'href="/tickets/{world.firm.ticket}"' in ticket
        message = await shown(ana, f"/queue/outbox/{number}")
        assert "Delivery has failed too many times." in message and 'href="/messages?box=outbox"' in message
        assert "refused" in message and FORM not in message
        reset = await _given_up(world)
        assert f"outbox/{reset}" in refs(await shown(ana, "/queue"))
        message = await shown(ana, f"/queue/outbox/{reset}")
        assert "This reset of a balance was given up." in message and "no longer waits" not in message
    async with world.browser("sam@firm.example") as sam:
        assert "/queue?kind=staff_change" not in tabs(await shown(sam, "/queue"), "work-tabs")


async def _given_up(world: ConsoleWorld) -> int:
    """A reset of a balance that the venue refused and a person gave up. Returns its number."""
    async with world.db.transaction() as session:
        about = {"account_id": (await session.scalars(select(Account.id).limit(1))).one()}
        row = OutboxMessage(key="reset/1", topic=RESET, target="7", name="", payload=about, attempts=9, parked_at=NOW)
        session.add(row)
        await session.flush()
        await drop(session, "outbox", row.id, actor="usr_1", role="admin", reason="The venue cannot do it today.")
        return row.id


async def test_to_check_and_waiting_on_others_follow_what_each_person_has_done(world: ConsoleWorld) -> None:
    big = f"payout/{world.firm.big_payout}"

    async def part(browser: Browser, name: str) -> list[str]:
        page = await shown(browser, f"/queue?kind=payout&show={name}")
        assert tabs(page, "work-parts")[f"/queue?kind=payout&show={name}"] == len(refs(page))
        return refs(page)

    async with world.browser(ANA) as ana, world.browser(FINN) as finn, world.browser(ROSA) as rosa:
        assert big in await part(ana, "mine") and await part(ana, "made") == []
        assert await part(rosa, "mine") == [], "risk decides no payouts"
        await ana.post(f"/payouts/{world.firm.big_payout}/decision", decision="approve", reason=REASON)
        assert big not in await part(ana, "mine") and await part(ana, "made") == [big]
        assert big in await part(finn, "mine") and await part(finn, "made") == []
        assert await part(finn, "returned") == []
        async with world.db.transaction() as session:
            (await session.get_one(Payout, world.firm.payout)).state = "returned"
        assert await part(finn, "returned") == [f"payout/{world.firm.payout}"]
        assert "part named nonsense" in await shown(finn, "/queue?show=nonsense", 422)
        assert "no kind of work named nonsense" in await shown(finn, "/queue?kind=payout,nonsense", 422)


async def test_a_claim_keeps_others_from_deciding_until_it_ends_or_is_taken_over(world: ConsoleWorld) -> None:
    item, path = f"/queue/payout/{world.firm.payout}", f"/payouts/{world.firm.payout}/decision"
    async with world.browser(ANA) as ana, world.browser(FINN) as finn:
        before = await finn.form(path)
        assert (await ana.post(f"{item}/claim", kind="payout")).headers["Location"] == f"{item}?kind=payout"
        assert "Yours until" in await shown(ana, item) and FORM in await shown(ana, item)
        held = await shown(finn, item)
        assert "Ana Ruiz has claimed this until" in held and FORM not in held
        refused = await finn.post(path, decision="reject", reason="No statement.", **before)
        assert refused.status_code == 409 and "Ana Ruiz has claimed this" in refused.text
        assert (await finn.post(f"{item}/claim")).status_code == 409
        assert (await finn.post(f"{item}/snooze", hours="4")).status_code == 409
        assert (await finn.post(f"{item}/take-over")).status_code == 303
        assert FORM in await shown(finn, item) and "Finn Okafor has claimed this" in await shown(ana, item)
        async with world.db.transaction() as session:
            await session.execute(update(WorkMark).values(held_until=func.now() - timedelta(seconds=1)))
        assert FORM in await shown(ana, item)
        assert (await finn.post(path, decision="reject", reason="No statement.")).status_code == 303
        async with world.db.transaction() as session:
            assert (await session.scalars(select(WorkMark))).all() == [], "a decision ends the claim"
            taken = await session.scalar(select(func.count()).where(AuditEntry.action == "work.taken_over"))
            assert taken == 1
    async with world.browser("sam@firm.example") as sam:
        assert (await sam.post(f"/queue/payout/{world.firm.big_payout}/claim")).status_code == 403


async def test_a_snoozed_item_is_in_no_count_and_comes_back_before_its_deadline(world: ConsoleWorld) -> None:
    ref = f"payout/{world.firm.big_payout}"
    async with world.browser(FINN) as finn:
        before = tabs(await shown(finn, "/queue"), "work-tabs")
        assert (await finn.post(f"/queue/{ref}/snooze", hours="5")).status_code == 422
        assert (await finn.post(f"/queue/{ref}/snooze", hours="72")).status_code == 303
        after = await shown(finn, "/queue")
        assert ref not in refs(after) and tabs(after, "work-tabs")["/queue"] == before["/queue"] - 1
        assert (await finn.get("/v1/summary")).json()["open_work"]["payout"] == before["/queue?kind=payout"] - 1
        assert refs(await shown(finn, "/queue?show=aside")) == [ref]
        watched = f'propos_open_work{{kind="payout"}} {before["/queue?kind=payout"]}.0'
        assert watched in (await finn.get("/metrics")).text, "a snooze silences no alert"
        assert "Snoozed until" in await shown(finn, f"/queue/{ref}")
        async with world.db.transaction() as session:  # an hour before its deadline
            await session.execute(update(MarketClock).values(watermark=NOW + timedelta(days=2, hours=23)))
        assert ref in refs(await shown(finn, "/queue")) and refs(await shown(finn, "/queue?show=aside")) == []
        async with world.db.transaction() as session:
            await session.execute(update(MarketClock).values(watermark=NOW))
        assert ref not in refs(await shown(finn, "/queue"))
        assert (await finn.post(f"/queue/{ref}/wake")).status_code == 303
        assert ref in refs(await shown(finn, "/queue"))


async def test_a_snooze_ends_when_the_deadline_or_the_state_changes_or_somebody_decides(world: ConsoleWorld) -> None:
    case, payout = f"case/{world.firm.case}", f"payout/{world.firm.big_payout}"
    async with world.db.transaction() as session:  # escalated to admin in four days, ended in eight
        row = await session.get_one(Case, world.firm.case)
        row.escalate_at, row.hold_until = NOW + timedelta(days=4), NOW + timedelta(days=8)
    async with world.browser(ANA) as ana:
        for ref in (case, payout):
            assert (await ana.post(f"/queue/{ref}/snooze", hours="72")).status_code == 303
        assert not {case, payout} & set(refs(await shown(ana, "/queue")))
        async with world.db.transaction() as session:
            (await session.get_one(Case, world.firm.case)).escalated_at = NOW
            (await session.get_one(Payout, world.firm.big_payout)).state = "returned"
        assert {case, payout} <= set(refs(await shown(ana, "/queue")))
        assert refs(await shown(ana, "/queue?show=returned")) == [payout]
        assert refs(await shown(ana, "/queue?show=aside")) == []
        assert "Snoozed until" not in await shown(ana, f"/queue/{case}")
        async with world.db.transaction() as session:
            (await session.get_one(Payout, world.firm.big_payout)).state = "awaiting_approval"
        review = (await _reviews(world, 1))[0]
        await ana.post(f"/queue/review/{review}/snooze", hours="72")
        assert {payout, f"review/{review}"} <= set(refs(await shown(ana, "/queue?show=aside")))
        csrf = await ana.csrf()
        for path, verb in ((f"/v1/payouts/{world.firm.big_payout}", "reject"), (f"/v1/reviews/{review}", "close")):
            headers = {"Idempotency-Key": new_id("key"), "X-CSRF-Token": csrf}
            answer = await ana.http.post(f"{path}/{verb}", json={"reason": "No statement."}, headers=headers)
            assert answer.status_code == 200, answer.text
    async with world.db.transaction() as session:
        marked = await session.scalars(select(WorkMark.kind))
        assert marked.all() == ["case"], "also a decision over the API ends the snooze"


async def test_the_one_poll_is_silent_until_something_changes_and_tells_who_looks(world: ConsoleWorld) -> None:
    item = f"payout/{world.firm.payout}"
    await feed_heard(world, -timedelta(minutes=10))  # however long this takes, it is not silent
    async with world.browser(ANA) as ana, world.browser(FINN) as finn:
        page = await shown(finn, f"/queue/{item}?kind=payout")
        assert page.count("data-poll") == 1, "one poll a page"
        first = await finn.part(poll_of(page), POLL)
        poll = poll_of(markup.unescape(first.text))
        assert (await finn.part(poll, POLL)).status_code == 204
        await shown(ana, f"/queue/{item}")
        told = markup.unescape((await finn.part(poll, POLL)).text)
        assert "Ana Ruiz is looking at this" in told and "data-closed" not in told
        poll = poll_of(told)
        assert (await finn.part(poll, POLL)).status_code == 204
        await ana.post(f"/payouts/{world.firm.payout}/decision", decision="reject", reason="No statement.")
        told = markup.unescape((await finn.part(poll, POLL)).text)
        assert "data-closed" in told and "Rejected by Ana Ruiz (admin), 2014-05-02 14:30 UTC." in told
        assert item not in refs(told) and refs(told) == [f"payout/{world.firm.big_payout}"]
        assert tabs(told, "work-tabs")["/queue?kind=payout"] == 1
        badge = r'id="count-queue" href="/queue"[^>]*><span [^>]+>[^<]+</span>(\d+)</a>'
        before, after = (int(re.findall(badge, each)[0]) for each in (page, told))
        assert after == before - 1
        assert "<html" not in told and FORM not in told


async def test_an_open_message_that_is_tried_again_or_deleted_elsewhere_is_said_to_be_gone(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        message = OutboxMessage(
            key="k1", topic="venue.lock", target="1001", name="", payload={}, attempts=9, parked_at=NOW, error="refused"
        )
        event = InboxEvent(
            provider="sandbox", event_id="e1", kind="paid", object_id="o1", attempts=9, parked_at=NOW, error="refused"
        )
        session.add_all((message, event))
        await session.flush()
        items = {f"outbox/{message.id}", f"inbox/{event.id}"}
    async with world.browser(ANA) as ana:
        polls = [poll_of(await shown(ana, f"/queue/{item}")) for item in items]
        async with world.db.transaction() as session:
            await session.execute(update(OutboxMessage).values(parked_at=None))
            await session.execute(update(InboxEvent).values(parked_at=None))
        for poll in polls:
            told = await shown(ana, poll)
            assert "It no longer waits." in told and "data-closed" in told and not items & set(refs(told))
        async with world.db.transaction() as session:
            await session.execute(delete(OutboxMessage))
            await session.execute(delete(InboxEvent))
        for poll in polls:
            told = await shown(ana, poll)
            assert "This item no longer exists." in told and ">Back to the queue</a>" in told and refs(told)


async def test_a_blocked_payout_says_why_and_cannot_be_approved(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        row = await session.get_one(Payout, world.firm.payout)
        row.state, row.reason = "in_review", "an open review holds it"
        row.checks = {**row.checks, "reviews": {"ok": False, "words": "1 review about the account is open."}}
    async with world.browser(FINN) as finn:
        for path in (f"/queue/payout/{world.firm.payout}", f"/payouts/{world.firm.payout}"):
            page = await shown(finn, path)
            assert "On hold, so it cannot be approved yet. An open review holds it. 1 review about" in page
            assert (
                'name="decision" value="approve"' not in page
                and 'value="reject"' in page
                and 'btn primary" name' not in page
            )


async def test_one_payout_is_called_one_amount_wherever_it_is_named(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        row = await session.get_one(Payout, world.firm.payout)
        row.refund_minor = 54_000
        account, trader = await session.get_one(Account, row.account_id), row.trader_id
    staff = (f"/queue/payout/{row.id}", "/payouts", f"/payouts/{row.id}", f"/accounts/A-{account.number}")
    async with world.browser(ANA) as ana, world.browser("mara@example.org") as mara:
        for path in (*staff, f"/traders/{trader}"):
            page = re.sub(r"<[^>]+>", "", await shown(ana, path))
            assert "1,656.00 USD" in page and "Payout 1,240.00" not in page, path
        links = re.findall(rf'<a href="/payouts/{row.id}">([^<]+)</a>', await shown(ana, f"/traders/{trader}"))
        assert links == ["1,656.00 USD"]
        for path in ("/", f"/payouts/{row.id}"):
            assert "1,656.00 USD" in re.sub(r"<[^>]+>", "", await shown(mara, path)), path


async def test_links_to_what_is_missing_or_not_for_this_role_say_so(world: ConsoleWorld) -> None:
    async with world.browser("sam@firm.example") as sam:
        missing = await shown(sam, "/queue/payout/pay_unknown", 404)
        assert "There is no payout with the id pay_unknown." in missing and "Go to the queue" in missing
        assert "There is no kind of work named payouts." in await shown(sam, "/queue/payouts/x", 404)
        forbidden = await shown(sam, "/queue/staff_change/stc_1", 403)
        assert "You cannot open this staff change." in forbidden and "yours is support" in forbidden
    async with world.browser(FINN) as finn:
        form = await finn.form(f"/payouts/{world.firm.payout}/decision")
        stale = {**form, "seen": "awaiting_approval/7", "tab": "payout", "show": "mine"}
        path = f"/payouts/{world.firm.payout}/decision"
        refused = await finn.post(path, decision="approve", reason=REASON, **stale)
        assert (
            refused.status_code == 409 and 'href="/queue?kind=payout&amp;show=mine">Back to the queue' in refused.text
        )
    async with world.browser(None) as nobody:
        at = {"Referer": f"http://firm.test/queue/payout/{world.firm.payout}"}
        answer = await nobody.http.post(path, data={"reason": "long text"}, headers=at)
        assert answer.headers["Location"] == f"/sign-in?next=%2Fqueue%2Fpayout%2F{world.firm.payout}"
        poll = await nobody.part("/queue/changes", POLL, **{"HX-Current-URL": at["Referer"]})
        assert poll.headers["HX-Redirect"] == answer.headers["Location"]


async def test_a_filter_is_kept_by_name_and_its_export_is_proved_logged_and_harmless(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        payout = await session.get_one(Payout, world.firm.payout)
        (await session.get_one(Trader, payout.trader_id)).name = "=HYPERLINK(1)"
    async with world.browser(FINN) as finn, world.browser(ANA) as ana:
        assert (
            await finn.post("/views", page="/queue", name="My payouts", query="kind=payout&show=mine")
        ).status_code == 303
        link = '<a href="/queue?kind=payout&show=mine">My payouts</a>'
        assert link in await shown(finn, "/queue") and link not in await shown(ana, "/queue")
        asked = await finn.get("/queue/export?kind=payout&show=mine&format=csv")
        assert asked.status_code == 403 and "Confirm that it is you" in asked.text
        answer = await prove_by_form(finn.http, asked, PASSWORD)
        assert answer.status_code == 200 and 'filename="queue-payout-mine.csv"' in answer.headers["Content-Disposition"]
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        assert [row["id"] for row in rows] == [world.firm.payout, world.firm.big_payout]
        assert rows[0]["trader"] == "'=HYPERLINK(1)" and rows[0]["amount"] == "1116.00"
        asked = await finn.get("/queue/export?kind=payout&format=json")
        items = (await prove_by_form(finn.http, asked, PASSWORD)).json()["items"]
        assert [f"{item['kind']}/{item['id']}" for item in items] == refs(await shown(finn, "/queue?kind=payout"))
        assert (await finn.get("/queue/export?format=xls")).status_code == 422
        await finn.post("/views/delete", page="/queue", name="My payouts")
        assert "My payouts" not in re.sub(r'(?s)role="status".*?</div>', "", await shown(finn, "/queue"))
        await shown(finn, "/queue")
    async with world.db.transaction() as session:
        logged = await session.scalars(select(AuditEntry.evidence).where(AuditEntry.action == "list.exported"))
        assert list(logged) == [
            {"query": "kind=payout&show=mine", "format": "csv", "rows": 2},
            {"query": "kind=payout", "format": "json", "rows": 2},
        ]


def test_a_cell_that_a_spreadsheet_would_run_is_made_text() -> None:
    for text in ("=1+1", "+1+1", "-1+1", "@SUM(1)", "\tx", "\rx", "-"):
        assert defused(text) == f"'{text}"
    assert [defused(text) for text in ("-12.50", "12.50", "Ana", "")] == ["-12.50", "12.50", "Ana", ""]
    assert all(subject.verbs or subject.todo for subject in SUBJECTS), "the panel says what to do"
