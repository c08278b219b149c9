"""The reports over a firm with sales, payouts, disputes and a chargeback: pages, API and files say the same, and what
they say is what the ledger and the record have."""

import csv
import io
import json
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from decimal import Decimal
from html import unescape
from typing import Any

import psycopg
import pytest
from sqlalchemy import func, select

from domain.money import from_minor
from domain.reports.months import months
from front.permissions import CAN
from store import ledger
from store.models import AuditEntry, Challenge, ExposureMinute, Payout
from store.read.decision_times import decision_times
from store.read.owed import days
from store.read.pass_rates import pass_rates
from store.read.revenue import revenue
from tests.console_counts import length
from tests.console_history import NOW
from tests.console_payments import charge_back, send_and_return
from tests.console_world import ConsoleWorld, console_world
from tests.query_costs import caught_statements, explained

_PAGES = ("pass-rates", "revenue", "decision-times")
_ALL = months("2013-01", "2015-12", NOW, "UTC")  # around NOW


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


def rows_of(page: str) -> list[str]:
    """The rows of the tables of a page, as text."""
    return [" ".join(re.sub(r"<[^>]+>", " ", row).split()) for row in re.findall(r"<tr.*?</tr>", page, re.DOTALL)]


async def test_revenue_is_what_the_ledger_has(world: ConsoleWorld) -> None:
    await charge_back(world)
    await send_and_return(world, world.firm.payout)
    async with world.db.transaction() as session:
        found = await revenue(session, _ALL)
        books = {(row.account, row.currency): row.balance_minor for row in await ledger.trial_balance(session)}
        income = {row.currency: 0 for row in await ledger.trial_balance(session) if row.type in ("income", "expense")}
        for row in await ledger.trial_balance(session):
            if row.type in ("income", "expense"):
                income[row.currency] -= row.balance_minor
    assert found.totals and {total.currency for total in found.totals} == set(income)
    for total in found.totals:

        def balance(account: str, currency: str = total.currency) -> int:
            return books.get((account, currency), 0)

        assert total.result_minor == income[total.currency]
        assert total.fees_minor - total.fees_returned_minor == -balance("fees")
        assert total.discounts_minor == balance("discounts") and total.refunds_minor == balance("refunds")
        assert total.chargebacks_minor == balance("chargebacks")
        assert total.profit_shares_minor == balance("payout-expense")
        others = ("provider-fees", "goodwill", "write-offs", "fx-gain-loss")
        assert total.other_costs_minor == sum(balance(account) for account in others)
        of_months = [row for row in found.items if row.currency == total.currency]
        for name in type(total).model_fields.keys() - {"month", "currency"}:
            assert getattr(total, name) == sum(getattr(row, name) for row in of_months), name
    usd = next(total for total in found.totals if total.currency == "USD")
    assert usd.fees_minor > 0 and usd.profit_shares_minor > 0, "the firm sold, and sent a payout"
    async with world.browser("finn@firm.example") as browser:
        page = (await browser.get("/reports/revenue?from_month=2013-01&to_month=2015-12&currency=USD")).text
        assert f"{from_minor(usd.fees_minor, 'USD'):,.2f}" in page and "data-plot=" in page
        told = (await browser.get("/v1/reports/revenue?from_month=2013-01&to_month=2015-12")).json()
        assert told == json.loads(found.model_dump_json())


async def test_purchases_are_counted_in_the_month_in_which_they_were_bought(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        found = await pass_rates(session, _ALL)
        counted = await session.execute(select(Challenge.state, func.count()).group_by(Challenge.state))
        by_state: dict[str, int] = {row.state: int(row[1]) for row in counted}
        paid = set(await session.scalars(select(Payout.challenge_id).where(Payout.state == "paid")))
    assert found.total.bought > 0
    assert found.total.breached == by_state.get("breached", 0) + by_state.get("failed", 0)
    assert found.total.paid == len(paid)
    for part in (found.items, found.months, found.products):
        for name in ("bought", "funded", "paid", "breached", "expired", "ended_otherwise", "in_evaluation"):
            assert sum(getattr(row, name) for row in part) == getattr(found.total, name), name
    [other, *_] = {row.product for row in found.products if row.product}
    async with world.db.transaction() as session:
        only = await pass_rates(session, _ALL, other or "")
        none = await pass_rates(session, months("2001-01", "2001-02", NOW, "UTC"))
    assert {row.product for row in only.items} == {other} and only.total.bought < found.total.bought
    assert none.items == () and none.total.bought == 0 and none.total.funded_share is None
    async with world.browser("uma@firm.example") as browser:
        page = (await browser.get("/reports/pass-rates")).text
        assert any(row.startswith(f"All {found.total.bought} ") for row in rows_of(page)), rows_of(page)
        assert re.search(r"both rates: \d+ of \d+ open", page), "the month is too young to judge"
        shown = re.findall(r'href="(/challenges[^"]+)" data-count="(\d+)"', page)
        outcomes = {outcome for href, _ in shown for outcome in re.findall(r"outcome=(\w+)", href)}
        assert outcomes == {"breached", "in_evaluation"}, "what is nothing leads nowhere"
        assert any("sold_version=1" in href for href, _ in shown)
        for href, count in shown:
            assert await length(browser.http, unescape(href)) == int(count), href
        empty = (await browser.get("/reports/pass-rates?from_month=2001-01&to_month=2001-02")).text
        assert "Nothing was sold in these months" in empty and "data-plot" not in empty


async def test_decisions_have_their_time_and_say_whether_they_were_in_time(world: ConsoleWorld) -> None:
    world.decides_payouts()
    world.decides_disputes(world.firm.dispute)
    async with world.browser("finn@firm.example") as finn, world.browser("rosa@firm.example") as rosa:
        paid = await finn.post(f"/payouts/{world.firm.payout}/decision", decision="approve", reason="All is in order.")
        assert paid.status_code == 303
        for browser in (rosa, finn):
            await browser.post(f"/payouts/{world.firm.big_payout}/decision", decision="reject", reason="Not now.")
        page = (await finn.get("/reports/decision-times")).text
        told = (await finn.get("/v1/reports/decision-times")).json()
    async with world.db.transaction() as session:
        found = await decision_times(session, months("", "", NOW, "UTC"))
        now = NOW + timedelta(0)
        payouts = [await session.get_one(Payout, each) for each in (world.firm.payout, world.firm.big_payout)]
    waited = sorted(int((now - payout.requested_at).total_seconds()) for payout in payouts)
    total = next(row for row in found.totals if row.kind == "payout")
    assert (total.decided, total.timed_out, total.with_deadline, total.within_deadline) == (2, 0, 2, 2)
    assert abs((total.median_seconds or 0) - waited[0]) <= 60 and total.within_share == Decimal(1)
    assert (total.could_be_overturned, total.overturned) == (1, 0)
    told_in_page = " ".join(rows_of(page))
    assert "2 of 2, 100.0 %" in told_in_page and "0 of 1, 0.0 %" in told_in_page
    assert told == json.loads(found.model_dump_json())
    async with world.browser("finn@firm.example") as finn:
        shown = {
            unescape(href): int(count)
            for href, count in re.findall(r'href="(/decisions[^"]+)" data-count="(\d+)"', page)
        }
        assert sorted(shown.values()) == [2, 2, 2, 2], "decided and in time, in this month and in all"
        for href, count in shown.items():
            assert await length(finn.http, href) == count
            listed = (await finn.get(f"/v1{href}")).json()["items"]
            assert {each["subject_id"] for each in listed} == {world.firm.payout, world.firm.big_payout}
        assert (await finn.get("/decisions")).headers["Location"] == "/reports/decision-times"
        assert (await finn.get("/v1/decisions")).json()["field"] == "decided_since"
        assert (await finn.get("/v1/challenges?outcome=paid")).json()["field"] == "bought_since"


async def test_files_have_the_rows_of_the_report_and_are_logged(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        for name in _PAGES:
            asked = {"from_month": "2013-01", "to_month": "2015-12"}
            sheet = await browser.post(f"/reports/{name}/export", format="csv", **asked)
            body = await browser.post(f"/reports/{name}/export", format="json", **asked)
            assert sheet.status_code == body.status_code == 200, (name, sheet.text[:300])
            told = (await browser.get(f"/v1/reports/{name}?from_month=2013-01&to_month=2015-12")).json()
            assert body.json()["items"] == told["items"]
            lines = list(csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"))))
            assert len(lines) == len(told["items"])
        sheet = await browser.post("/reports/revenue/export", format="csv", **asked)
        line = next(csv.DictReader(io.StringIO(sheet.content.decode("utf-8-sig"))))
        assert re.fullmatch(r"-?\d+\.\d\d", line["fees"]), "in major units"
        assert (await browser.post("/reports/revenue/export", format="xls")).status_code == 422
        assert (await browser.post("/reports/nothing/export", format="csv")).status_code == 404
    async with world.db.transaction() as session:
        taken = await session.scalars(select(AuditEntry.subject_id).where(AuditEntry.action == "list.exported"))
        assert set(taken) == {f"report/{name}" for name in _PAGES}


async def test_reports_are_for_their_roles_and_refuse_what_is_no_range(world: ConsoleWorld) -> None:
    paths = ("/reports", "/reports/liability", "/reports/liability/accounts", *(f"/reports/{name}" for name in _PAGES))
    async with world.browser("sam@firm.example") as sam, world.browser("mara@example.org") as mara:
        assert 'href="/reports"' not in (await sam.get("/")).text
        for path in paths:
            assert (await sam.get(path)).status_code == (await mara.get(path)).status_code == 403, path
        assert (await sam.post("/reports/revenue/export", format="csv")).status_code == 403
    assert CAN["reports.read"] == {"finance", "risk", "admin", "auditor"}
    async with world.browser("rosa@firm.example") as rosa:
        assert 'href="/reports"' in (await rosa.get("/")).text
        wrong: dict[str, Any] = {
            "/reports/revenue?from_month=2014-13": "from_month",
            "/reports/pass-rates?from_month=2010-01&to_month=2014-01": "from_month",
            "/reports/revenue?currency=XXX": "currency",
            "/reports/decision-times?kind=mood": "kind",
        }
        for path, field in wrong.items():
            assert (await rosa.get(path)).status_code == 422, path
            refused = (await rosa.get("/v1" + path)).json()
            assert refused["status"] == 422 and field in json.dumps(refused), path
        assert (await rosa.get("/reports/nothing")).status_code == 404
        assert (await rosa.get("/reports/pass-rates?product=%00")).status_code == 422
        for path, status in (("?product=%00", 422), ("?version=one", 422), ("?cursor=x", 422), ("?reason=mood", 200)):
            assert (await rosa.get("/reports/liability/accounts" + path)).status_code == status, path


async def test_each_number_of_the_liability_leads_to_its_accounts(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        report = (await browser.get("/reports/liability")).text
        counted = re.findall(r'href="(/reports/liability/accounts[^"]*)" data-count="(\d+)"', report)
        assert len(counted) > 1
        for address, count in counted:
            page = (await browser.get(unescape(address))).text
            assert page.count("<tr data-row>") == int(count), address
        nobody = (await browser.get("/reports/liability/accounts?reason=locked")).text
        assert "No funded accounts match" in nobody


async def test_what_would_be_owed_is_shown_for_each_day_that_is_kept(world: ConsoleWorld) -> None:
    figures = {"long_minor": 0, "short_minor": 0, "floating_minor": 0, "net": {}, "quoted_in": {}}
    async with world.browser("finn@firm.example") as browser:
        before = (await browser.get("/reports/liability")).text
        assert "By product, now" in before and "Over time" not in before, "no history is made up"
    minute = NOW.replace(second=0, microsecond=0)
    async with world.db.transaction() as session:
        for day in range(3):
            for ago, shard, owed in ((60, 0, 1), (2, 1, 40_000), (1, 1, 50_000), (0, 0, 10_000)):
                at = minute - timedelta(days=day, minutes=ago)
                body = figures | {"owed_minor": owed * (day + 1), "closed_minor": 2 * owed}
                session.add(ExposureMinute(minute=at, shard=shard, body=body))
    async with world.db.transaction() as session:
        kept = await days(session, "UTC")
    assert [(row.at, row.owed_minor, row.closed_minor) for row in kept] == [
        (minute - timedelta(days=day), 60_000 * (day + 1), 120_000) for day in (2, 1, 0)
    ]
    async with world.browser("finn@firm.example") as browser:
        page = (await browser.get("/reports/liability")).text
        assert "Over time" in page and "1,800.00" in page and "data-plot=" in page
        assert len((await browser.get("/v1/reports/owed")).json()["items"]) == 3


async def test_a_report_is_one_statement_and_reads_only_its_months(world: ConsoleWorld, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as owner:
        owner.execute("SET session_replication_role = replica")
        many = 20_000
        owner.execute(
            "INSERT INTO challenges SELECT made.* FROM generate_series(1, %s) n, "
            "LATERAL (SELECT to_jsonb(c) AS body FROM challenges c LIMIT 1) AS one, "
            "LATERAL jsonb_populate_record(NULL::challenges, one.body || jsonb_build_object("
            "'id', 'chl_old' || n, 'checkout_id', 'old' || n, 'bought_at', '2011-05-01T00:00:00Z')) AS made",
            (many,),
        )
        owner.execute(
            "INSERT INTO transitions (subject_kind, subject_id, key, trigger, from_state, to_state, detail, "
            "occurred_at) SELECT 'payout', 'pay_old' || n, 'x', "
            "(ARRAY['hold_placed', 'approvals_complete'])[1 + n %% 2], "
            "'a', 'b', '{}', '2011-05-01T00:00:00Z' FROM generate_series(1, %s) n",
            (many,),
        )
        owner.execute(
            "INSERT INTO ledger_transactions (key, input_digest, kind, reference, occurred_at) "
            "SELECT 'old' || n, 'd', 'fee_paid', 'chl_old', '2011-05-01T00:00:00Z' FROM generate_series(1, %s) n",
            (many,),
        )
        owner.execute(
            "INSERT INTO postings (transaction_id, account, currency, amount_minor) SELECT t.id, 'fees', 'USD', -100 "
            "FROM ledger_transactions t, generate_series(1, 2) WHERE t.key LIKE 'old%'"
        )
        owner.execute("ANALYZE")
    asked = months("", "", NOW, "UTC")
    for read in (pass_rates, revenue, decision_times):
        with caught_statements(world.db) as caught:
            async with world.db.transaction() as session:
                await read(session, asked)
        own = [each for each in caught if "to_char" in each[0]]
        assert len(own) == 1, read
        growing = ("challenges", "transitions", "ledger_transactions", "postings", "payouts")
        for cost, ends in explained(owner_url, own, growing).values():
            assert cost < many, (read, cost, ends)
            assert not {"challenges", "transitions", "ledger_transactions", "postings"} & set(ends), (read, ends)
