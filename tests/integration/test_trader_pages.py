"""The pages of a trader: what they say of the trader's own account, and what they never say."""

import csv
import html
import io
import re
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import httpx
import pytest
from sqlalchemy import select, update

from front.certificates import OPENED
from store.models import Account, DealRow, Payout
from tests.console_history import NOW
from tests.console_world import Browser, ConsoleWorld, console_world, feed_heard
from tests.integration.console_page import Page


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_what_the_pages_of_a_trader_say(world: ConsoleWorld) -> None:
    """On one firm: nothing here changes it."""
    for check in (
        _every_page_of_an_account,
        _room_says_what_is_left,
        _objectives_say_what_is_missing,
        _days_and_trades_agree_with_the_deals,
        _a_payout_is_followed_without_names,
        _no_page_names_staff_or_cases,
        _products_are_compared,
    ):
        await check(world)


async def _every_page_of_an_account(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        for number in (world.firm.active, world.firm.funded):
            for part in ("", "/days", "/trades", "/terms", "/room"):
                answer = await browser.get(f"/accounts/{number}{part}")
                assert answer.status_code == 200, (part, answer.text[:800])
                assert Page(answer.text).forbidden == [] and len(answer.content) < 150_000


async def _room_says_what_is_left(world: ConsoleWorld) -> None:
    await feed_heard(world, -timedelta(hours=1))  # however long the page takes
    async with world.browser("mara@example.org") as browser:
        page = text_of(await browser.get(f"/accounts/{world.firm.active}"))
        told = (await browser.get(f"/v1/accounts/{await _id(world)}/room")).json()
        assert "as of 2014-05-02 14:30:07 UTC" in page and "Prices are late" not in page
        reset = datetime.fromisoformat(told["next_reset"])
        local = reset.astimezone(ZoneInfo(told["clock_zone"]))
        assert f"{local:%Y-%m-%d %H:%M} {told['clock_zone']} ( {reset:%H:%M} UTC)" in page
        for limit in told["limits"]:
            room, level = (_digits(limit[each]) for each in ("room_minor", "floor_minor"))
            after = (_digits(limit[f"{each}_after_reset_minor"]) for each in ("floor", "room"))
            assert f"{room} USD room" in page and level in page
            assert "After the reset: level {}, room {}".format(*after) in page
        daily = next(each for each in told["limits"] if each["rule_id"] == "daily_loss")
        assert daily["room_after_reset_minor"] != daily["room_minor"], "the daily limit begins anew"
        await feed_heard(world, timedelta(minutes=5))
        late = text_of(await browser.get(f"/accounts/{world.firm.active}/room"))
        assert "Prices are late: silent for 5 min. These figures do not change until prices arrive." in late


async def _objectives_say_what_is_missing(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        page = text_of(await browser.get(f"/accounts/{world.firm.active}"))
        told = (await browser.get(f"/v1/accounts/{await _id(world)}/standing")).json()
    by_rule = {each["rule_id"]: each for each in told["objectives"]}
    assert by_rule["flat"]["missing"] == "close them all" and not by_rule["flat"]["met"]
    for each in told["objectives"]:
        words = each["name"] + (f" {each['done']}" if each["done"] else "")
        assert words in page and each["missing"] in page


async def _days_and_trades_agree_with_the_deals(world: ConsoleWorld) -> None:
    account_id = await _id(world)
    async with world.db.transaction() as session:
        deals = (await session.scalars(select(DealRow).where(DealRow.account_id == account_id))).all()
    total = sum(deal.profit_minor + deal.commission_minor + deal.swap_minor + deal.fee_minor for deal in deals)
    async with world.browser("mara@example.org") as browser:
        api = f"/v1/accounts/{account_id}"
        first = (await browser.get(f"{api}/days")).json()
        days = [
            day for month in first["months"] for day in (await browser.get(f"{api}/days?month={month}")).json()["items"]
        ]
        trades = await _all(browser, f"{api}/trades")
        statistics = (await browser.get(f"{api}/statistics")).json()
        page = text_of(await browser.get(f"/accounts/{world.firm.active}/trades"))
        wrong = await browser.get(f"/accounts/{world.firm.active}/days?month=2001-01")
    assert sum(day["result_minor"] for day in days) == total
    assert sum(day["fills"] for day in days) == len(deals)
    assert sum(day["trades"] for day in days) == len(trades) == statistics["all"]["trades"] > 5
    assert sum(trade["result_minor"] for trade in trades) == statistics["all"]["result_minor"]
    assert [trade["closed_at"] for trade in trades] == sorted((trade["closed_at"] for trade in trades), reverse=True)
    assert all(trade["side"] == "buy" and trade["held_seconds"] == 97 * 60 for trade in trades)
    assert f"{statistics['all']['win_rate_pct']} %" in page and trades[0]["position_id"] in page
    assert wrong.status_code == 422 and "Nothing was traded in this month." in wrong.text


async def test_the_statement_is_a_file_of_own_lines_that_computes_nothing(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        number = int(world.firm.funded.removeprefix("A-"))
        account = (await session.scalars(select(Account).where(Account.number == number))).one()
        await session.execute(update(DealRow).where(DealRow.account_id == account.id).values(symbol="=1+1"))
    async with world.browser("mara@example.org") as browser:
        answer = await browser.get(f"/accounts/{world.firm.funded}/statement.csv?zone=Asia/Tokyo")
        same = await browser.get(f"/v1/accounts/{account.id}/statement?zone=Asia/Tokyo")
        nowhere = await browser.get(f"/accounts/{world.firm.funded}/statement.csv?zone=Mars/Olympus")
    assert answer.headers["Content-Disposition"] == f'attachment; filename="statement-{world.firm.funded}.csv"'
    assert answer.content == same.content and nowhere.status_code == 422
    rows = list(csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert {row["kind"] for row in rows} == {"day", "deal", "payout"}
    assert [row["time_utc"] for row in rows] == sorted(row["time_utc"] for row in rows)
    assert {row["symbol"] for row in rows if row["kind"] == "deal"} == {"'=1+1"}
    for row in rows:
        local, utc = (datetime.fromisoformat(row[each]) for each in ("time", "time_utc"))
        assert local - utc == timedelta(hours=9) and row["zone"] == "Asia/Tokyo"
    (payout,) = [row for row in rows if row["kind"] == "payout"]
    assert (payout["amount"], payout["what"]) == ("-1240.00", "awaiting approval; 1116.00 to the trader")
    months = sorted({row["time"][:7] for row in rows})
    parts: list[dict[str, str]] = []
    async with world.browser("mara@example.org") as browser:
        for month in months:
            part = await browser.get(f"/v1/accounts/{account.id}/statement?zone=Asia/Tokyo&month={month}")
            parts += csv.DictReader(io.StringIO(part.content.decode("utf-8-sig")))
        wrong = await browser.get(f"/accounts/{world.firm.funded}/statement.csv?month=March")
    assert parts == rows
    assert wrong.status_code == 422 and "Write it like 2026-03." in wrong.text
    async with world.browser("otto@example.org") as otto:
        assert (await otto.get(f"/v1/accounts/{account.id}/statement")).status_code == 404


async def _a_payout_is_followed_without_names(world: ConsoleWorld) -> None:
    firm = world.firm
    async with world.browser("mara@example.org") as browser:
        page = text_of(await browser.get(f"/payouts/{firm.payout}"))
        steps = (await browser.get(f"/v1/payouts/{firm.payout}/steps")).json()["items"]
    (now,) = [step for step in steps if step["state"] == "now"]
    assert now["name"] == "approved" and now["holder"] == "the firm's finance team"
    assert f"with the firm's finance team, until {now['until'][:16].replace('T', ' ')} UTC at the latest" in page
    assert "Nothing has been sent yet" in page
    for word in ("Finn", "Ana Ruiz", "surveillance", "case", "approvals"):
        assert word not in page


async def _no_page_names_staff_or_cases(world: ConsoleWorld) -> None:
    firm = world.firm
    own = [
        "/", "/my/details", "/my/messages", "/certificates", "/buy", "/compare?product=two-step&product=instant",
        f"/accounts/{firm.active}", f"/accounts/{firm.funded}", f"/accounts/{firm.funded}/days",
        f"/accounts/{firm.funded}/trades", f"/accounts/{firm.funded}/terms", f"/payouts/{firm.payout}",
        f"/accounts/{firm.funded}/payout?amount=200.00",
    ]  # fmt: skip
    async with world.browser("mara@example.org") as mara, world.browser("ana@firm.example") as ana:
        for path in own:
            source = (await mara.get(path)).text
            assert Page(source).forbidden == [] and len(source.encode()) < 150_000, path
            for name in ("Ana Ruiz", "Finn Okafor", "Rosa Lindgren", firm.case, "/cases/", "/queue"):
                assert name not in source, (path, name)
        for path in ("/my/details", "/my/messages", "/certificates", f"/accounts/{firm.active}/days"):
            assert (await ana.get(path)).status_code == 403, path


async def _products_are_compared(world: ConsoleWorld) -> None:
    async with world.browser("mara@example.org") as browser:
        page = text_of(await browser.get("/compare?product=two-step&product=instant"))
        one = await browser.get("/compare?product=two-step")
    assert "Phase 1: profit target" in page and "none, funded from the first trade" in page
    assert one.status_code == 422 and "Choose two or three challenges; you chose 1." in one.text


def text_of(answer: httpx.Response) -> str:
    assert answer.status_code == 200, answer.text[:500]
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", answer.text)))


def _digits(minor: int) -> str:
    return f"{minor / 100:,.2f}".replace("-", "\u2212")


async def _id(world: ConsoleWorld) -> str:
    async with world.db.transaction() as session:
        number = int(world.firm.active.removeprefix("A-"))
        return str((await session.scalars(select(Account.id).where(Account.number == number))).one())


async def _all(browser: Browser, path: str) -> list[dict[str, Any]]:
    """Every row of a list, page by page."""
    rows: list[dict[str, Any]] = []
    cursor: str | None = ""
    while cursor is not None:
        page = (await browser.get(f"{path}?limit=5{f'&cursor={cursor}' if cursor else ''}")).json()
        rows, cursor = rows + page["items"], page["next_cursor"]
    return rows


_LINK = re.compile(r"http://firm\.test(/c/[\w-]{43})<")


async def test_a_certificate_is_shown_while_its_link_works(world: ConsoleWorld) -> None:
    await _arrived(world)
    async with world.browser("mara@example.org") as mara, world.browser(None) as anybody:
        page = (await mara.get("/certificates")).text
        (of,) = set(re.findall(r'value="(payout/pay_\w+)"', page))
        made = await mara.post("/certificates", key="k" * 20, of=of, name="initials")
        link = _LINK.search(made.text)
        assert link is not None and made.status_code == 200
        again = await mara.post("/certificates", key="k" * 20, of=of, name="initials")
        assert _LINK.search(again.text) is None and "the link was shown then" in again.text
        assert (await mara.post("/certificates", of=of, name="full")).status_code == 409

        shown = await anybody.get(link[1])
        assert shown.status_code == 200 and shown.headers["X-Robots-Tag"] == "noindex, nofollow, noarchive"
        assert '<meta name="robots" content="noindex, nofollow, noarchive">' in shown.text
        assert "M. L." in shown.text and "Lindqvist" not in shown.text and "1,116.00" not in shown.text
        assert world.firm.funded not in shown.text and Page(shown.text).forbidden == []

        (certificate,) = set(re.findall(r"/certificates/(crt_\w+)/renew", again.text))
        renewed = await mara.post(f"/certificates/{certificate}/renew", name="full", amount="yes")
        second = _LINK.search(renewed.text)
        assert second is not None and second[1] != link[1]
        new, old = await anybody.get(second[1]), await anybody.get(link[1])
        assert "Mara Lindqvist" in new.text and "1,116.00" in new.text
        assert (await mara.post(f"/certificates/{certificate}/revoke")).status_code == 303
        revoked, unknown = await anybody.get(second[1]), await anybody.get(f"/c/{'x' * 43}")
        answers = [old, revoked, unknown, await anybody.get("/c/short")]
        assert [each.status_code for each in answers] == [404] * 4 and len({each.text for each in answers}) == 1

        third = _LINK.search((await mara.post(f"/certificates/{certificate}/renew", name="none")).text)
        assert third is not None and (await anybody.get(third[1])).status_code == 200
        async with world.db.transaction() as session:  # the money came back
            await session.execute(update(Payout).where(Payout.id == world.firm.payout).values(state="returned"))
        assert (await anybody.get(third[1])).text == unknown.text
    async with world.browser("otto@example.org") as otto:
        assert certificate not in (await otto.get("/certificates")).text
        assert (await otto.post(f"/certificates/{certificate}/revoke")).status_code == 404
        assert (await otto.post("/certificates", of=of)).status_code == 404
    async with world.browser(None) as anybody:  # nobody tries many links
        tried = [(await anybody.get(f"/c/{number:043}")).status_code for number in range(OPENED + 20)]
    assert tried[:20] == [404] * 20 and 429 in tried


async def _arrived(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        paid = update(Payout).where(Payout.id == world.firm.payout)
        await session.execute(paid.values(state="paid", closed_at=NOW))
