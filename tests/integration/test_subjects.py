"""A new kind of work is one entry of the table, and every count is the number of rows of the list that it leads to."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pytest
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from domain.approvals import STAFF
from front.subjects.subject import Decision, Right, Subject, Subjects, Taken, Verb
from front.subjects.table import SUBJECTS
from store.models import Decision as DecisionRow
from store.models import Trader
from store.read.pages import View, encode_cursor
from store.read.search import Findable, to_staff
from store.read.waiting import Row, Waiting, waiting_rows
from tests.console_world import Browser, ConsoleWorld, console_world

_CALL: Final = Right("calls.decide", frozenset({"support"}))


class Called(View):
    id: str
    state: str


def _rows() -> Select[Any]:
    """Traders whom nobody has called yet."""
    called = select(DecisionRow.subject_id).where(DecisionRow.subject_kind == "call")
    return waiting_rows(
        subject_id=Trader.id, state=Trader.identity, since=Trader.created_at, trader_id=Trader.id, note=Trader.country
    ).where(Trader.id.not_in(called))


def _words(row: Row) -> str:
    return f"Call to {row.note}"


async def _record(session: AsyncSession, decision: Decision) -> Taken:
    who = decision.actor
    session.add(
        DecisionRow(
            subject_kind="call",
            subject_id=decision.subject_id,
            decision=decision.verb,
            user_id=who.user_id,
            person_id=who.person_id,
            role=who.role,
            reason=decision.reason,
            subject_digest="0" * 64,
            evidence={"key": decision.key},
            occurred_at=func.now(),
        )
    )
    return Taken("called", Called(id=decision.subject_id, state="called"))


CALL: Final = Subject(
    name="call",
    label="welcome call",
    plural="welcome calls",
    waits_as="Welcome calls to make",
    waiting=Waiting(_rows, timedelta(hours=8), _words),
    read=Right("calls.read", STAFF),
    under="/tickets",
    page="/calls",
    api="/calls",
    verbs=(Verb("make", "Mark as called", "Called", _CALL, "The trader was called.", "", "make", _record, Called),),
    find=Findable("trd", Trader, to_staff),
)


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url, Subjects((*SUBJECTS, CALL))) as made:
        yield made


async def _text(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code)
    return answer.text


def _rows_of(html: str) -> int:
    return len(re.findall(r"<tr data-row", html))


def _counts(html: str) -> dict[str, int]:
    """The open work of the firm page: the address of each list, and its count."""
    count = r'(?:<span[^>]*><a [^>]*data-count="(\d+)")?'
    found = re.findall(r'id="work-\d+" href="([^"]+)">.*?<td class="num">' + count, html)
    return {href.replace("&amp;", "&"): int(count or 0) for href, count in found}


def _tabs(html: str) -> dict[str, int]:
    nav = html[html.index('id="work-tabs"') : html.index("</nav>", html.index('id="work-tabs"'))]
    found = re.findall(
        r'<a id="[^"]+" href="(/queue[^"]*)"[^>]*>[^<]+(?: <span class="count">(\d+)</span>)?</a>',
        nav,
    )
    return {href: int(count or 0) for href, count in found}


async def test_a_new_kind_of_work_is_one_entry(world: ConsoleWorld) -> None:
    trader = world.firm.waiting_trader
    async with world.browser("sam@firm.example") as sam, world.browser("finn@firm.example") as finn:
        assert _counts(await _text(sam, "/"))["/queue?kind=call"] == _rows_of(await _text(sam, "/queue?kind=call"))
        listed = await _text(sam, "/queue?kind=call")
        assert f'href="/queue/call/{trader}?kind=call"' in listed and "Welcome calls" in listed
        assert "Welcome calls to make" in await _text(sam, "/tickets")
        for path in (f"/calls/{trader}", f"/queue/call/{trader}"):
            assert "Mark as called" in await _text(sam, path) and 'name="decision"' not in await _text(finn, path)
        assert "Only support may decide this" in await _text(finn, f"/calls/{trader}")
        api = (await sam.get("/v1/queue?kind=call")).json()["items"]
        assert {item["kind"] for item in api} == {"call"} and len(api) == _rows_of(listed)
        assert (await sam.get("/v1/summary")).json()["open_work"]["call"] == len(api)
        form = {"item": f"call/{trader}", "seen": "unverified/0", "decision": "make", "reason": "Called today."}
        assert (await finn.post(f"/calls/{trader}/decision", **form)).status_code == 403
        answer = await sam.post(f"/calls/{trader}/decision", tab="call", **form)
        assert answer.status_code == 303, answer.text
        landed = await _text(sam, answer.headers["Location"])
        assert "Decision recorded. The welcome call is now called." in landed
        assert f'id="row/call/{trader}"' not in landed
        assert _rows_of(await _text(sam, "/queue?kind=call")) == len(api) - 1
        paths = (await sam.get("/v1/openapi.json")).json()["paths"]
        assert "/v1/calls/{id}/make" in paths


async def test_every_count_is_the_number_of_rows_of_its_list(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as ana:
        home = await _text(ana, "/")
        counts = _counts(home)
        assert {"/queue?kind=payout", "/queue?kind=review", "/tickets?state=open"} <= set(counts)
        assert sum(counts.values()) > len(SUBJECTS.all) // 2, "the firm of the test has work"
        for href, count in counts.items():
            assert _rows_of(await _text(ana, href)) == count, href
        tabs = _tabs(await _text(ana, "/queue"))
        for href, count in tabs.items():
            assert _rows_of(await _text(ana, href)) == count, href
        assert tabs["/queue"] == sum(count for href, count in tabs.items() if href != "/queue")


async def test_challenges_by_state_lead_to_as_many_challenges(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as ana:
        found = re.findall(r'id="state-(\w+)" href="([^"]+)".*?data-count="(\d+)"', await _text(ana, "/"))
        assert found
        for state, href, count in found:
            assert href == f"/challenges?state={state}" and _rows_of(await _text(ana, href)) == int(count), state
        assert _rows_of(await _text(ana, "/challenges")) == sum(int(count) for *_, count in found)


async def test_the_rail_counts_what_its_page_leads_to(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as ana:
        for place, label in (("/risk", "risk"), ("/payouts", "payouts"), ("/tickets", "tickets")):
            html = await _text(ana, place)
            badge = re.search(rf'id="count-{label}" href="([^"]+)"[^>]*>.*?</span>(\d+)</a>', html)
            shown = re.search(r'aria-label="Open work of this page">(.*?)</nav>', html)
            assert badge is not None and shown is not None, place
            links = re.findall(r'<a href="([^"]+)" data-count="(\d+)">', shown.group(1))
            assert int(badge.group(2)) == sum(int(count) for _, count in links)
            assert int(badge.group(2)) == _rows_of(await _text(ana, badge.group(1))), "its own link"
            for href, count in links:
                assert _rows_of(await _text(ana, href)) == int(count), href


async def test_the_api_lists_and_counts_only_the_work_that_a_role_may_read(world: ConsoleWorld) -> None:
    far = encode_cursor([datetime.max.replace(tzinfo=UTC), 0, datetime.max.replace(tzinfo=UTC), "case", "cas_1"])
    async with world.browser("sam@firm.example") as sam, world.browser("rosa@firm.example") as rosa:
        assert (await rosa.get("/v1/queue?kind=sanction_hit")).status_code == 200
        assert (await sam.get("/v1/queue?kind=sanction_hit")).status_code == 403
        assert (await sam.get("/v1/queue?kind=nothing")).status_code == 422
        assert (await sam.get(f"/v1/queue?cursor={far}")).status_code == 422, "a time that nothing can be added to"
        assert "sanction_hit" not in (await sam.get("/v1/summary")).json()["open_work"]
        assert "sanction_hit" in (await rosa.get("/v1/summary")).json()["open_work"]


async def test_the_tab_of_deadlines_has_only_tickets_with_one_in_their_order(world: ConsoleWorld) -> None:
    async with world.browser("sam@firm.example") as sam:
        [late] = re.findall(r'<a href="(/tickets[?]state=late[^"]*)"', await _text(sam, "/tickets?sort=opened"))
        assert "sort" not in late
        html = await _text(sam, late)
        assert re.search(r'aria-sort="ascending"[^>]*>.*?sort=-due', html, re.DOTALL) or "sort=due" in html
        open_tickets = (await sam.get("/v1/tickets?limit=200")).json()["items"]
        with_clock = [ticket["id"] for ticket in open_tickets if ticket["due_at"] is not None]
        assert len(with_clock) < len(open_tickets)
        for order in ("", "&sort=-opened"):
            assert _rows_of(await _text(sam, f"/tickets?state=late{order}")) == len(with_clock), order


async def test_a_review_that_is_no_doubtful_breach_is_closed_from_the_queue(world: ConsoleWorld) -> None:
    review = world.firm.review
    async with world.browser("rosa@firm.example") as rosa:
        assert "Close the review" in await _text(rosa, f"/queue/review/{review}")
        answer = await rosa.post(f"/reviews/{review}/decision", decision="close", reason="A misprint.", tab="review")
        assert answer.headers["Location"] == f"/queue/review/{world.firm.doubtful}?kind=review"
        assert "Closed: A misprint." in await _text(rosa, f"/queue/review/{review}")


def test_a_subject_without_a_page_leads_to_the_page_it_belongs_to() -> None:
    assert replace(CALL, page=None).href("trd_1") == "/tickets"
