"""Lists of the console and the API: filters, search, order, totals, both ways through the pages, and files."""

import csv
import io
import re
from collections.abc import AsyncIterator
from datetime import timedelta

import httpx
import pytest
from sqlalchemy import select

from console.pages.lists import FILES
from domain.keys import new_id
from domain.money import Money, from_minor
from front import saved_views
from store import account_ranks
from store.models import (
    Account,
    AccountLive,
    AccountRank,
    AuditEntry,
    Challenge,
    DealRow,
    Payout,
    PhasePass,
    Proof,
    Trader,
)
from store.models.ranks import LAST
from tests.console_counts import differences, length
from tests.console_firm import HOSTILE_NAME, PASSWORD
from tests.console_history import NOW
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.proofs import prove_by_form

_LISTS = ("/accounts", "/challenges", "/breaches", "/traders", "/payouts", "/deals", "/ledger", "/cases", "/tickets")
_API = {"/ledger": "/ledger-entries"}  # where the API has another path for a list
_TOTAL = re.compile(r'<p class="totals"><strong>([0-9,]+)</strong>')


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def _text(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, (path, answer.status_code, answer.text[:300])
    return answer.text


async def _total(browser: Browser, path: str) -> int:
    found = _TOTAL.search(await _text(browser, path))
    return int(found.group(1).replace(",", "")) if found else 0


def _hrefs(html: str, rel: str) -> str | None:
    found = re.search(rf'rel="{rel}" href="([^"]+)"', html)
    return found.group(1).replace("&amp;", "&") if found else None


@pytest.mark.timeout(900)
async def test_every_list_says_how_long_it_is_and_every_number_leads_to_what_it_counts(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        for path in _LISTS:
            assert await length(browser.http, path) == await _total(browser, path) > 0, path
        assert await differences(browser.http) == {}


async def test_every_order_of_every_list_opens_both_ways_on_the_page_and_in_the_api(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        for path, (listing, _, _) in FILES.items():
            needed = "".join(f"&{name}=2026-01-01" for name in listing.needs)
            for order in (sign + name + needed for name in listing.orders for sign in ("", "-")):
                assert (await browser.get(f"{path}?sort={order}")).status_code == 200, (path, order)
                assert (await browser.get(f"/v1{_API.get(path, path)}?sort={order}")).status_code == 200, (path, order)


async def test_the_numbers_of_the_firm_page_lead_to_lists_of_that_length(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        accounts = (await session.scalars(select(Account).order_by(Account.number).limit(3))).all()
        proof = await session.get_one(Proof, world.firm.proof)
        for number, account in enumerate(accounts):  # two today, one the day before
            session.add(
                PhasePass(
                    id=new_id("psg"),
                    account_id=account.id,
                    challenge_id=account.challenge_id,
                    phase_index=1,
                    proof_id=proof.id,
                    seq=number,
                    occurred_at=NOW - timedelta(days=number // 2),
                    balance_minor=account.initial_minor,
                )
            )
    async with world.browser("ana@firm.example") as browser:
        page = await _text(browser, "/")
        passes = re.search(r'href="(/passes[^"]+)" data-count="(\d+)"', page)
        open_ends = re.search(r'href="(/reconciliation/unreconciled)" data-count="(\d+)"', page)
        assert passes is not None and passes.group(2) == "2" and open_ends is not None
        for found in (passes, open_ends):
            assert await length(browser.http, found.group(1)) == int(found.group(2)) > 0
        assert await length(browser.http, "/passes") == await _total(browser, "/passes") == 3
        assert len((await browser.get("/v1/passes?since=" + f"{NOW:%Y-%m-%d}")).json()["items"]) == 2
        listed = await browser.get("/v1/reconciliation/unreconciled?limit=200")
        assert len(listed.json()["items"]) == int(open_ends.group(2))
        assert await length(browser.http, "/passes?q=nobody") == 0


async def test_a_program_keeps_the_views_that_its_person_sees_in_the_console(world: ConsoleWorld) -> None:
    assert {f"/{name}": found for name, found in saved_views.LISTS.items()} == {
        path: (offered, right) for path, (offered, right, _) in FILES.items()
    }
    views = "/v1/saved-views"
    async with world.browser("ana@firm.example") as ana, world.browser("rosa@firm.example") as rosa:

        async def send(method: str, path: str, body: object = None, key: str = "") -> httpx.Response:
            headers = {"Idempotency-Key": key or new_id("key"), "X-CSRF-Token": await ana.csrf()}
            return await ana.http.request(method, path, json=body, headers=headers)

        body = {"list": "accounts", "name": "Busy", "filters": {"status": "active"}, "sort": "-equity"}
        first, again = await send("POST", views, body, "view-0001"), await send("POST", views, body, "view-0001")
        assert (first.status_code, again.json()) == (201, first.json()) and first.json() == body
        assert 'href="/accounts?status=active&amp;sort=-equity"' in await _text(ana, "/accounts")
        await ana.post("/views", page="/queue", name="Payouts", query="kind=payout&show=mine")
        kept = (await ana.get(views)).json()["items"]
        assert kept == [
            body,
            {"list": "queue", "name": "Payouts", "filters": {"kind": "payout", "show": "mine"}, "sort": ""},
        ]
        assert (await ana.get(f"{views}?list=queue")).json()["items"] == kept[1:]
        assert (await rosa.get(views)).json()["items"] == []
        for wrong, field in (
            ({"filters": {"status": "odd"}}, "status"),
            ({"filters": {"nonsense": "1"}}, "nonsense"),
            ({"sort": "nonsense"}, "sort"),
            ({"list": "traders", "filters": {"email": "mara@example.org"}, "sort": ""}, "email"),
            ({"list": "queue", "filters": {"kind": "odd"}, "sort": ""}, "kind"),
            ({"list": "queue", "filters": {"status": "active"}, "sort": ""}, "status"),
        ):
            refused = await send("POST", views, body | wrong)
            assert (refused.status_code, refused.json()["field"]) == (422, field), wrong
        assert (await send("POST", views, body | {"list": "staff"})).status_code == 404
        assert (await send("DELETE", f"{views}?list=accounts&name=Busy")).json() == body
        assert (await send("DELETE", f"{views}?list=accounts&name=Busy")).status_code == 404
        assert "Busy" not in await _text(ana, "/accounts")


async def test_a_view_of_a_list_is_kept_by_name_for_its_person_and_without_names(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as ana, world.browser("rosa@firm.example") as rosa:
        for path, query in (("/accounts", "status=active"), ("/payouts", "state=paid"), ("/deals", "side=buy")):
            saved = await ana.post("/views", page=path, name="Mine & yours", query=f"{query}&cursor=x&nonsense=1")
            assert saved.headers["Location"] == f"{path}?{query}"
            page = await _text(ana, saved.headers["Location"])
            assert f'<a href="{path}?{query}">Mine &amp; yours</a>' in page or 'aria-current="true">Mine' in page
            assert "Mine &amp; yours" not in await _text(rosa, path)
        await ana.post("/views", page="/tickets", name="Other", query="state=open&sort=-opened")
        assert "Other" in await _text(ana, "/tickets") and "Other" not in await _text(ana, "/accounts")
        for wrong in ("q=lindqvist", "email=mara%40example.org&q="):
            answer = await ana.post("/views", page="/traders", name="Mara", query=wrong)
            assert answer.status_code == 422 and "A saved view cannot contain a search" in answer.text
        assert (await ana.post("/views", page="/staff", name="x", query="")).status_code == 404
        await ana.post("/views/delete", page="/deals", name="Mine & yours")
        assert "Delete the view" not in await _text(ana, "/deals")
        assert "Delete the view Mine" in await _text(ana, "/payouts")
        for number in range(20):
            answer = await ana.post("/views", page="/deals", name=f"View {number}", query="side=buy")
            assert answer.status_code == 303
        assert (await ana.post("/views", page="/deals", name="One more", query="")).status_code == 422
    async with world.browser("mara@example.org") as mara, world.browser("uma@firm.example") as uma:
        assert (await mara.post("/views", page="/payouts", name="x", query="")).status_code == 403
        assert "Save this view" not in await _text(mara, "/payouts")
        assert "Save this view" not in await _text(uma, "/payouts")
        assert (await uma.post("/views", page="/payouts", name="x", query="")).status_code == 403


async def test_a_list_pages_forth_and_back_under_the_same_filter(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        first = await _text(browser, "/deals?side=buy")
        assert _hrefs(first, "prev") is None
        second_place = _hrefs(first, "next")
        assert second_place is not None and "side=buy" in second_place
        second = await _text(browser, second_place)
        back = await _text(browser, _hrefs(second, "prev") or "")
        rows = re.compile(r"<tr data-row>.*?</tr>", re.DOTALL)
        assert rows.findall(back) == rows.findall(first) and len(rows.findall(first)) == 50
        assert _hrefs(back, "prev") is None and _hrefs(back, "next") is not None


async def test_an_account_without_room_is_never_the_closest_to_its_floor(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        number = int(world.firm.breached.removeprefix("A-"))
        account = (await session.scalars(select(Account).where(Account.number == number))).one()
        live = await session.get_one(AccountLive, account.id)
        live.floors = {rule: {**floor, "room_minor": -99} for rule, floor in live.floors.items()}
        live.batch += 1
        assert live.floors
        await session.flush()
        await account_ranks.refresh(session)
    async with world.browser("ana@firm.example") as browser:
        header = re.search(r'href="([^"]+sort=[^"]*closest)"', await _text(browser, "/accounts"))
        assert header is not None and "sort=closest" in header.group(1), "the closest come first at the first click"
        for order in ("closest", "-closest", "daily", "-daily", "total"):
            html = await _text(browser, f"/accounts?sort={order}")
            shown = re.findall(r'id="(A-[0-9]+)"', html)
            ended = shown.index(world.firm.breached)
            after = [row for row in re.findall(r"<tr data-row>.*?</tr>", html)[ended:] if "·" in row]
            assert ended > 0 and after == [], f"{order}: accounts with a floor close by come before those that ended"


async def test_accounts_without_a_figure_come_last_on_every_page_forth_and_back(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        await account_ranks.refresh(session)
        ranks = (await session.execute(select(AccountRank.closest, AccountRank.number))).tuples().all()
    have, lack = ([each for each in ranks if (each[0] == LAST) is none] for none in (False, True))
    assert min(len(have), len(lack)) > 1
    wanted = [f"A-{number}" for _, number in (*sorted(have, reverse=True), *sorted(lack, reverse=True))]
    async with world.browser("ana@firm.example") as browser:
        for limit in (1, 2, 3):
            path = f"/v1/accounts?sort=-closest&limit={limit}"
            pages, back = [(await browser.get(path)).json()], list[list[str]]()
            while cursor := pages[-1]["next_cursor"]:
                pages.append((await browser.get(f"{path}&cursor={cursor}")).json())
            forth = [[row["number"] for row in page["items"]] for page in pages]
            assert [number for page in forth for number in page] == wanted
            page = pages[-1]
            while cursor := page["previous_cursor"]:
                page = (await browser.get(f"{path}&cursor={cursor}")).json()
                back.insert(0, [row["number"] for row in page["items"]])
            assert back == forth[:-1]


async def test_people_are_found_by_words_of_their_name_in_lists_and_in_search(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        mara = (await session.scalars(select(Trader.id).where(Trader.country == "SE"))).one()
        challenges = len((await session.scalars(select(Challenge.id).where(Challenge.trader_id == mara))).all())
        login = await session.scalar(select(Account.login).where(Account.trader_id == mara))
        of_mara = select(DealRow.deal_id).join(Account, Account.id == DealRow.account_id)
        deal_id = await session.scalar(of_mara.where(Account.trader_id == mara).limit(1))
    async with world.browser("ana@firm.example") as browser:
        for text in ("lindqvist", "LINDQVIST mara", "mara@example.org", mara):
            found = await browser.http.get("/search", params={"q": text})
            assert found.headers.get("Location") == f"/traders/{mara}", text
        for text in ("lindq", "mara brandt", "nobody@example.org"):
            assert "No results" in (await browser.http.get("/search", params={"q": text})).text
        assert await _total(browser, "/challenges?q=lindqvist") == challenges > 1
        assert await _total(browser, "/traders?q=Mara+Lindqvist") == 1
        assert await _total(browser, "/payouts?q=lindqvist") == 2
        assert await _total(browser, "/tickets?q=mara") == 1
        assert "No accounts match" in await _text(browser, "/accounts?q=nobody")
        by_login = await browser.http.get("/search", params={"q": str(login)})
        assert "login" in by_login.text or by_login.headers["Location"].startswith("/accounts/A-")
        deal = await browser.http.get("/search", params={"q": deal_id})
        assert deal.headers.get("Location", "").startswith("/accounts/") or "deal id" in deal.text
        assert (await browser.get(f"/v1/search?q={deal_id}")).json()["items"], "a deal by the venue's id"
        assert (await browser.get("/v1/search?q=lindqvist")).json()["items"]
    async with world.browser("otto@example.org") as browser:
        for words in ("lindqvist", deal_id):
            assert (await browser.get(f"/v1/search?q={words}")).json()["items"] == [], words


async def test_filters_and_parameters_that_cannot_be_are_refused_by_name(world: ConsoleWorld) -> None:
    wrong = {
        "/v1/accounts?status=dead": "status",
        "/v1/accounts?sort=colour": "sort",
        "/v1/accounts?number=seven": "number",
        "/v1/accounts?stauts=active": "stauts",
        "/v1/challenges?state=nonsense": "state",
        "/v1/challenges?updated_since=yesterday": "updated_since",
        "/v1/payouts?state=nonsense": "state",
        "/v1/payouts?account=mine": "account",
        "/v1/traders?country=Germany": "country",
        "/v1/tickets?state=late": "state",
        "/v1/cases?state=nonsense": "state",
        "/v1/deals?side=up": "side",
        "/v1/ledger-entries?currency=XXX": "currency",
        "/v1/disputes?state=nonsense": "state",
        "/v1/reviews?status=nonsense": "status",
        "/v1/summary?verbose=1": "verbose",
    }
    async with world.browser("ana@firm.example") as browser:
        for address, field in wrong.items():
            answer = await browser.get(address)
            assert (answer.status_code, answer.json().get("field")) == (422, field), address
            assert answer.json()["remedy"], address
        for address in ("/accounts?status=dead", "/payouts?state=nonsense", "/accounts?sort=colour"):
            assert (await browser.get(address)).status_code == 422, address
        number = world.firm.active
        found = (await browser.get(f"/v1/accounts?number={number}")).json()["items"]
        assert [each["number"] for each in found] == [number]


async def _file(browser: Browser, path: str, **fields: str) -> httpx.Response:
    sent = {"csrf": await browser.csrf(), "key": "key-of-the-export-1", **fields}
    return await browser.http.post(path, data=sent)


async def test_a_filter_goes_with_the_one_that_it_needs(world: ConsoleWorld) -> None:
    """A page lets people take away each filter; a program is told what it left out."""
    async with world.browser("ana@firm.example") as ana:
        for name, needed, filters in (
            ("payouts", "stage", "stage=in+transit&currency=USD"),
            ("accounts", "product", "product=two-step&version=1"),
        ):
            alone = filters.partition("&")[2]
            kept = 'name="{}" value="{}"'.format(*alone.split("="))
            assert kept in await _text(ana, f"/{name}?{filters}")
            assert kept not in await _text(ana, f"/{name}?{alone}")
            assert await _total(ana, f"/{name}?{alone}") == await _total(ana, f"/{name}")
            refused = await ana.get(f"/v1/{name}?{alone}")
            assert (refused.status_code, refused.json()["field"]) == (422, needed)


async def test_a_list_is_exported_as_it_is_filtered_after_a_proof_and_on_the_record(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        asked = await _file(browser, "/payouts/export", state="awaiting_approval", q="lindqvist", format="csv")
        assert asked.status_code == 403, "the person proves who they are first"
        given = await prove_by_form(browser.http, asked, PASSWORD)
        assert given.headers["Content-Disposition"] == 'attachment; filename="payouts.csv"'
        rows = list(csv.DictReader(io.StringIO(given.content.decode("utf-8-sig"))))
        shown = await _text(browser, "/payouts?state=awaiting_approval&q=lindqvist")
        traders = await prove_by_form(browser.http, await _file(browser, "/traders/export", format="json"), PASSWORD)
    async with world.db.transaction() as session:
        payouts = (await session.scalars(select(Payout).where(Payout.state == "awaiting_approval"))).all()
        entries = (await session.scalars(select(AuditEntry).where(AuditEntry.action == "list.exported"))).all()
    assert {(row["id"], row["gross"]) for row in rows} == {
        (each.id, f"{from_minor(each.gross_minor, each.currency):.2f}") for each in payouts
    }
    gross = Money(minor=sum(each.gross_minor for each in payouts), currency="USD")
    assert f"{from_minor(gross.minor, 'USD'):,.2f}" in shown, "the total of the list"
    assert HOSTILE_NAME in [row["name"] for row in traders.json()["items"]]
    assert [(each.subject_id, each.evidence["rows"]) for each in entries] == [("payouts", 2), ("traders", 3)]
    assert entries[0].evidence["search"] == "given" and "lindqvist" not in str(entries[0].evidence)


async def test_only_staff_exports(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        assert "/payouts/export" not in await _text(browser, "/payouts")
        assert (await _file(browser, "/payouts/export", format="csv")).status_code == 403
