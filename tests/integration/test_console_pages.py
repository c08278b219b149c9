"""Every page of the console for the people who may see it, and what it never contains."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import select

from console.templating import POLICY
from domain.products.phase_terms import phase_terms
from domain.products.product import Product
from store import account_ranks, products
from store.models import Account, AccountLive, AccountRank, DailySnapshot
from store.read import market
from tests.console_firm import HOSTILE_NAME, HOSTILE_TEXT
from tests.console_world import Browser, ConsoleWorld, console_world, feed_heard
from tests.integration.console_page import RESTORES, Page, staff_pages


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_every_page_answers_staff_and_keeps_its_own_policy(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        for path in staff_pages(world):
            answer = await browser.get(path)
            assert answer.status_code == 200, (path, answer.text[:500])
            assert answer.headers["Content-Security-Policy"] == POLICY
            assert answer.headers["Cache-Control"] == "no-store"
            page = Page(answer.text)
            assert page.forbidden == [], path
            assert [a for a in page.addresses if not a.startswith(("/", "?", "#"))] == [], path


async def test_an_account_of_many_months_lists_its_newest_days(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        account = (await session.scalars(select(Account).where(Account.number == int(world.firm.active[2:])))).one()
        before = (await market.days(session, account.id))[0].day
        for back in range(1, 90):
            day = before - timedelta(days=back)
            at = datetime(day.year, day.month, day.day, 21, tzinfo=UTC)
            kept = {"balance_minor": 10_000_000, "equity_minor": 10_000_000, "floors": {}}
            session.add(DailySnapshot(account_id=account.id, day=day, reset_at=at, **kept))
    async with world.browser("ana@firm.example") as browser:
        page = (await browser.get(f"/accounts/{world.firm.active}")).text
    days = re.findall(r'<th scope="row">(\d{4}-\d\d-\d\d)</th>', page)
    assert len(days) == 60
    assert days == sorted(days, reverse=True) and days[-1] > f"{before - timedelta(days=60)}"
    assert "These are the newest days." in page


async def test_the_sign_in_and_problem_pages_keep_the_policy_too(world: ConsoleWorld) -> None:
    async with world.browser(None) as browser:
        door = await browser.get("/sign-in")
        assert door.headers["Content-Security-Policy"] == POLICY and Page(door.text).forbidden == []
    async with world.browser("ana@firm.example") as browser:
        missing = await browser.get("/payouts/pay_unknown")
        assert missing.status_code == 404
        assert missing.headers["Content-Security-Policy"] == POLICY and Page(missing.text).forbidden == []


async def test_names_and_texts_of_traders_are_only_ever_text(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        for path in (*staff_pages(world), f"/traders/{world.firm.waiting_trader}"):
            html = (await browser.get(path)).text
            assert HOSTILE_NAME not in html and HOSTILE_TEXT not in html, path
        ticket = (await browser.get(f"/tickets/{world.firm.ticket}")).text
        assert "&lt;script&gt;alert(&#39;name&#39;)&lt;/script&gt;" in ticket
        assert "&lt;img src=x onerror=alert(&#39;ticket&#39;)&gt;" in ticket


async def test_an_auditor_reads_everything_and_is_offered_nothing(world: ConsoleWorld) -> None:
    async with world.browser("uma@firm.example") as browser:
        for path in staff_pages(world):
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            offered = {action for action in Page(answer.text).actions if not action.endswith("/export")}
            own = {"/theme", "/sign-out", "/notifications/choices", "/notifications/read"}
            assert offered <= {*own, "/audit/verify"}, path
        payout = (await browser.get(f"/payouts/{world.firm.payout}")).text
        assert "Only admin or finance may decide this; your role is auditor." in payout


async def test_support_is_not_offered_payout_decisions_but_may_answer_tickets(world: ConsoleWorld) -> None:
    async with world.browser("sam@firm.example") as browser:
        assert f"/payouts/{world.firm.payout}/decision" not in (await browser.get(f"/payouts/{world.firm.payout}")).text
        assert f"/tickets/{world.firm.ticket}/reply" in (await browser.get(f"/tickets/{world.firm.ticket}")).text


async def test_a_trader_sees_their_own_things_and_nothing_else(world: ConsoleWorld) -> None:
    firm = world.firm
    async with world.browser("mara@example.org") as browser:
        home = (await browser.get("/")).text
        assert firm.active in home and firm.funded in home and firm.breached not in home
        assert (await browser.get(f"/accounts/{firm.active}")).status_code == 200
        assert (await browser.get(f"/payouts/{firm.payout}")).status_code == 200
        for path in (f"/accounts/{firm.breached}", f"/proofs/{firm.proof}", f"/disputes/{firm.dispute}"):
            theirs = await browser.get(path)
            unknown = await browser.get(path[:-3] + "000")
            assert theirs.status_code == unknown.status_code == 404
        for path in ("/queue", "/accounts", "/traders", "/risk", "/audit", f"/cases/{firm.case}", "/overview"):
            assert (await browser.get(path)).status_code == 403, path


async def test_who_is_not_signed_in_comes_back_to_the_page_afterwards(world: ConsoleWorld) -> None:
    async with world.browser(None) as browser:
        answer = await browser.get("/payouts?state=paid")
        assert (answer.status_code, answer.headers["Location"]) == (303, "/sign-in?next=%2Fpayouts%3Fstate%3Dpaid")
        part = await browser.part("/live", "span#live")
        assert (part.status_code, part.headers["HX-Redirect"]) == (401, "/sign-in")
        restored = await browser.get("/queue?kind=case", **RESTORES)
        assert (restored.status_code, restored.headers["HX-Redirect"]) == (401, "/sign-in?next=%2Fqueue%3Fkind%3Dcase")


async def test_the_indicator_tells_market_time_and_when_the_feed_is_silent(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        await feed_heard(world, timedelta(0))
        fresh = (await browser.get("/live")).text
        assert 'data-stale="no"' in fresh and "2014-05-02 14:30:07" in fresh
        await feed_heard(world, timedelta(minutes=5))
        assert 'data-stale="yes"' in (await browser.get("/live")).text


async def test_live_parts_are_fragments_and_a_refresh_moves_no_row(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        rows = (await browser.get("/accounts/rows?numbers=10003,10001,10002")).text
        places = [rows.index(f'id="A-{number}"') for number in (10003, 10001, 10002)]
        assert places == sorted(places) and "<html" not in rows
        item = f"dispute/{world.firm.dispute}"
        work = await _work(browser, f"/queue/{item}")
        assert "Uphold the breach" in work and "<html" not in work
        assert selected_row(work) == f"/queue/{item}", "the row and its item come together"
        page = (await browser.get(f"/accounts/{world.firm.active}")).text
        assert page.count('hx-trigger="every') == 1, "one poll brings all that follows the market"
        live = (await browser.get(f"/accounts/{world.firm.active}/live")).text
        assert "<html" not in live
        assert [part in live for part in ('id="account-head"', 'id="gauges" hx-swap-oob', 'id="live"')] == [True] * 3


async def _work(browser: Browser, path: str) -> str:
    return (await browser.part(path, "div#work")).text


def selected_row(html: str) -> str | None:
    """The address of the highlighted row."""
    found = re.search(r'<tr data-row data-selected>.*?href="([^"]+)"', html)
    return None if found is None else found.group(1)


async def test_accounts_are_sorted_by_what_the_url_says(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        assert await account_ranks.refresh(session) > 0
        assert await account_ranks.refresh(session) == 0, "nothing moved since"
    async with world.browser("ana@firm.example") as browser:
        closest = (await browser.get("/accounts?sort=closest")).text
        widest = (await browser.get("/accounts?sort=-closest")).text
        first = [html[html.index("<tbody") :].split('id="A-')[1][:5] for html in (closest, widest)]
        assert first[0] != first[1]
        assert (await browser.get("/accounts?sort=name")).status_code == 422


async def test_ranks_are_written_when_a_figure_moved_so_far_that_it_matters_and_by_one_relay(
    world: ConsoleWorld,
) -> None:
    number = int(world.firm.active[2:])

    async def written(equity: int, rooms: int) -> int:
        async with world.db.transaction() as session:
            account = (await session.scalars(select(Account).where(Account.number == number))).one()
            live = await session.get_one(AccountLive, account.id)
            live.equity_minor, live.batch = equity, live.batch + 1
            live.floors = {rule: {**floor, "room_minor": rooms} for rule, floor in live.floors.items()}
            await session.flush()
            return await account_ranks.refresh(session)

    await written(10_000_000, 500_000)
    assert [await written(10_010_000, 505_000), await written(9_990_000, 495_000)] == [0, 0]
    assert [await written(10_010_001, 500_000), await written(10_010_001, 494_999)] == [1, 1]
    assert [await written(10_010_001, 99), await written(10_010_001, 98)] == [1, 1], "to the cent next to a floor"
    async with world.db.transaction() as first:
        rank = (await first.scalars(select(AccountRank).where(AccountRank.number == number))).one()
        assert (rank.equity, rank.closest) == (10_010_001, 98)
        await account_ranks.refresh(first)
        assert await written(20_000_000, 500_000) == 0, "another relay is at it"
    async with world.db.transaction() as session:
        assert await account_ranks.refresh(session) == 1


async def test_the_daily_order_and_the_daily_column_are_about_the_same_rules(world: ConsoleWorld) -> None:
    """A daily move cap is set anew each day, as a daily loss limit is; another product's rule of its id is not."""
    async with world.db.transaction() as session:
        (account,) = await session.scalars(select(Account).where(Account.number == int(world.firm.active[2:])))
        body = (await products.load(session, account.product, account.version)).model_dump(mode="json")
        for phase in (*body["phases"], body["funded"]):
            phase["rules"] = [
                {
                    "type": "daily_move_cap",
                    "id": "max_loss",
                    "anchor": "balance",
                    "allowance": {"type": "pct_of_initial", "value": "5"},
                    "directions": ["down"],
                    "breach_when": "equity < floor",
                }
            ]
        capped = Product.model_validate({**body, "product": "capped", "version": 1})
        await products.publish(session, capped)
        account.product, account.version = capped.product, capped.version
        (spec,) = phase_terms(capped, account.phase_index).specs
        live = await session.get_one(AccountLive, account.id)
        state = live.rule_state["rules"]["max_loss"]
        live.rule_state = {**live.rule_state, "rules": {spec.key: state}}
        live.floors = {spec.key: {"floor_minor": 9_500_000, "operator": "equity < floor", "room_minor": 777}}
        live.batch += 1
        await session.flush()
        await account_ranks.refresh(session)
    async with world.browser("ana@firm.example") as browser:
        for sort, column in (("daily", 7), ("total", 8)):
            rows = cells((await browser.get(f"/accounts?sort={sort}")).text)
            shown = [row[column - 1] for row in rows]
            rooms = [float(text.replace(",", "").replace("\u2212", "-")) for text in shown if text != "–"]
            assert rooms == sorted(rooms) and shown[: len(rooms)] == [text for text in shown if text != "–"], sort
            mine = next(row for row in rows if world.firm.active in row[0])
            assert mine[column - 1] == ("7.77" if sort == "daily" else "–")


def cells(html: str) -> list[list[str]]:
    """The texts of the cells of the accounts list, row by row."""
    body = html[html.index('<tbody id="rows"') : html.index("</tbody>")]
    rows = re.findall(r"<tr data-row>(.*?)</tr>", body, re.DOTALL)
    return [
        [re.sub(r"<[^>]+>", "", cell).strip() for cell in re.findall(r"<t[hd][^>]*>(.*?)</t[hd]>", row)] for row in rows
    ]


async def test_the_curve_is_columns_of_one_length(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        curve = (await browser.get(f"/accounts/{world.firm.active}/curve.json?range=phase")).json()
        lengths = {len(curve[name]) for name in ("at", "equity", "low", "high", "balance")}
        assert lengths == {len(curve["at"])} and 1000 < len(curve["at"]) <= 1500
        assert {len(floor["values"]) for floor in curve["floors"]} == lengths
        assert [floor["label"] for floor in curve["floors"]] == ["daily loss", "max loss"]
        assert curve["at"] == sorted(set(curve["at"])) and len(curve["resets"]) == 3
        broken = (await browser.get(f"/accounts/{world.firm.breached}/curve.json?range=1d")).json()
        assert [mark["rule"] for mark in broken["breaches"]] == ["daily loss"]


async def test_a_long_curve_comes_in_parts_that_lose_nothing(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = f"/accounts/{world.firm.active}/curve.json?range=phase&width=200"
    async with world.browser("ana@firm.example") as browser:
        whole = (await browser.get(path)).json()
        monkeypatch.setattr(market, "READ", 500)
        parts = [(await browser.get(path)).json()]
        while (earlier := parts[0]["earlier"]) is not None:
            parts.insert(0, (await browser.get(f"{path}&before={earlier}")).json())
    joined = {
        name: [each for part in parts for each in part[name]] for name in ("at", "low", "high", "resets", "breaches")
    }
    assert whole["earlier"] is None and len(parts) > 2
    assert joined["at"] == sorted(set(joined["at"]))
    assert (joined["at"][0], joined["at"][-1]) == (whole["at"][0], whole["at"][-1])
    for name, extreme in (("low", min), ("high", max)):
        assert extreme(v for v in joined[name] if v is not None) == extreme(v for v in whole[name] if v is not None)
    assert (joined["resets"], joined["breaches"]) == (whole["resets"], whole["breaches"])
    assert {len(part["low"]) for part in parts} == {len(part["floors"][0]["values"]) for part in parts}


async def test_a_proof_sheet_is_recomputed_when_it_is_read(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        html = (await browser.get(f"/proofs/{world.firm.proof}")).text
        assert "every figure and the hash match" in html
        assert "equity 94,887.00 USD fell below the floor of 95,000.00 USD" in html
        sheet = await browser.get(f"/proofs/{world.firm.proof}.json")
        assert sheet.headers["Content-Disposition"].endswith(f'{world.firm.proof}.json"')
        assert sheet.json()["proof_id"] == world.firm.proof


async def test_search_opens_a_single_hit(world: ConsoleWorld) -> None:
    firm = world.firm
    wanted = {
        firm.active: f"/accounts/{firm.active}", "10002": f"/accounts/{firm.breached}",
        firm.payout: f"/payouts/{firm.payout}", firm.case: f"/cases/{firm.case}", firm.proof: f"/proofs/{firm.proof}",
        "eve@example.org": f"/traders/{firm.waiting_trader}", firm.ticket: f"/tickets/{firm.ticket}",
    }  # fmt: skip
    async with world.browser("ana@firm.example") as browser:
        for text, place in wanted.items():
            answer = await browser.http.get("/search", params={"q": text})
            assert (answer.status_code, answer.headers["Location"]) == (303, place)
    async with world.browser("mara@example.org") as browser:
        assert (await browser.http.get("/search", params={"q": firm.case})).status_code == 200


async def test_what_is_not_the_consoles_stays_problem_json(world: ConsoleWorld) -> None:
    async with world.browser("ana@firm.example") as browser:
        api = await browser.get("/v1/payouts/pay_unknown")
        assert api.status_code == 404 and api.headers["Content-Type"] == "application/problem+json"
        page = await browser.get("/nowhere")
        assert page.status_code == 404 and page.headers["Content-Type"].startswith("text/html")


async def test_the_account_page_says_its_size_and_what_its_next_size_needs(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        (account,) = await session.scalars(select(Account).where(Account.number == int(world.firm.funded[2:])))
        body = (await products.load(session, account.product, account.version)).model_dump(mode="json")
        body["payout"]["scaling"] = {"increase_pct": "50", "min_payouts": 3}
        growing = Product.model_validate({**body, "product": "growing", "version": 1})
        await products.publish(session, growing)
        account.product, account.version = growing.product, growing.version
    async with world.browser("ana@firm.example") as browser:
        page = (await browser.get(f"/accounts/{world.firm.funded}")).text
        assert f"{growing.initial_minor // 100:,}.00" in page
        assert "The next size is" in page and "it needs 3 payouts since the last step" in page
        assert "Growth" not in (await browser.get(f"/accounts/{world.firm.active}")).text
