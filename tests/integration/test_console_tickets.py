"""The page of a ticket: what the record says beside it, drafts that are never lost, macros, and work on a ticket."""

import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import func, select

from firm import ticket_ratings
from store.models import Ticket, TicketFill, TicketRating
from tests.console_world import ConsoleWorld, about_the_funded_account, console_world

MACRO = "Dear {{trader.name}}, your account {{account.number}} has {{limit.room}} room to the floor {{limit.floor}}."


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        await about_the_funded_account(made)
        yield made


def _newest(page: str) -> str:
    return str(re.findall(r'name="seen" value="(\w+)"', page)[0])


async def _write_macro(world: ConsoleWorld, name: str, body: str) -> str:
    """Returns the id of a new macro."""
    async with world.browser("ana@firm.example") as browser:
        assert (await browser.post("/macros", name=name, body=body)).status_code == 303
        page = (await browser.get("/macros")).text
    found = re.search(rf'aria-label="{name}".*?name="macro" value="(mac_\w+)"', page, re.DOTALL)
    assert found is not None
    return found[1]


async def test_an_answer_that_overlooks_something_comes_back_as_a_draft(world: ConsoleWorld) -> None:
    address = f"/tickets/{world.firm.ticket}"
    async with world.browser("sam@firm.example") as browser:
        seen = _newest((await browser.get(address)).text)
        noted = await browser.post(f"{address}/reply", body="Ask the bank.", seen=seen, kind="note")
        assert noted.status_code == 303
        refused = await browser.post(f"{address}/reply", body="It is on its way.", seen=seen, kind="public")
        assert refused.status_code == 409 and "Nothing was sent." in refused.text
        assert ">It is on its way.</textarea>" in refused.text and 'data-tone="warn">new<' in refused.text
        sent = await browser.post(f"{address}/reply", body="It is on its way.", seen=_newest(refused.text))
        assert sent.status_code == 303
        page = (await browser.get(address)).text
        assert "note, visible to staff only" in page and "yours until" in page
        (message,) = re.findall(r'name="message" value="(msg_\w+)">Undo', page)
        back = await browser.post(f"{address}/take-back", message=message)
        page = (await browser.get(back.headers["Location"])).text
        assert ">It is on its way.</textarea>" in page and page.count("It is on its way.") == 1
        assert (await browser.post(f"{address}/take-back", message=message)).status_code == 404
        empty = await browser.post(f"{address}/reply", body=" ")
        assert empty.status_code == 422 and "Write something first." in empty.text


async def test_the_record_stands_beside_the_ticket(world: ConsoleWorld) -> None:
    async with world.browser("sam@firm.example") as browser:
        page = (await browser.get(f"/tickets/{world.firm.ticket}")).text
        for words in ("Likely answer", "Least room:", "Clocks", "Snooze until", "business hours"):
            assert words in page
        listed = (await browser.get("/tickets?state=open")).text
        assert world.firm.ticket in listed
        for tab in ("late", "mine", "snoozed", "waiting_for_trader", "solved", ""):
            assert (await browser.get(f"/tickets?state={tab}")).status_code == 200
        assert (await browser.get("/tickets?state=nonsense")).status_code == 422


async def test_a_macro_is_filled_edited_and_kept_with_its_facts(world: ConsoleWorld) -> None:
    macro = await _write_macro(world, "Room", MACRO)
    address = f"/tickets/{world.firm.ticket}"
    async with world.browser("sam@firm.example") as browser:
        filled = (await browser.post(f"{address}/macro", macro=macro, body="Good morning.")).text
        (fill,) = re.findall(r'name="fill" value="(fil_\w+)"', filled)
        (draft,) = re.findall(r"<textarea[^>]*>(.*?)</textarea>", filled, re.DOTALL)
        assert draft.startswith("Good morning.\n\nDear ") and "{{" not in draft
        text = draft.replace("Good morning.", "Hello.")
        assert (await browser.post(f"{address}/reply", body=text, fill=fill)).status_code == 303
        assert "Facts of the macro Room" in (await browser.get(address)).text
        raw = await browser.post(f"{address}/reply", body="Dear {{trader.name}}")
        assert raw.status_code == 422 and "placeholders without a fact: trader.name" in raw.text
        again = await browser.post(f"{address}/reply", body=text, fill=fill)
        assert again.status_code == 422 and "Insert the macro again." in again.text
    async with world.db.transaction() as session:
        row = await session.get_one(TicketFill, fill)
        assert row.message_id is not None and '"limit.room"' in row.facts


async def test_a_macro_without_its_facts_is_refused_and_unknown_facts_cannot_be_written(world: ConsoleWorld) -> None:
    macro = await _write_macro(world, "Breach", "It broke {{breach.rule}} at {{breach.at}}.")
    async with world.browser("sam@firm.example") as browser:
        refused = await browser.post(f"/tickets/{world.firm.ticket}/macro", macro=macro, body="Kept.")
        assert refused.status_code == 422 and "breach.rule (broken rule)" in refused.text
        assert ">Kept.</textarea>" in refused.text
        assert (await browser.post("/macros", name="x", body="y")).status_code == 403
    async with world.browser("ana@firm.example") as browser:
        unknown = await browser.post("/macros", name="Cases", body="{{case.score}}")
        assert unknown.status_code == 422 and "There is no fact case.score." in unknown.text
        assert (await browser.post("/macros", name="breach", body="The same name.")).status_code == 409
        assert (await browser.post("/macros", macro=macro, retire="yes")).status_code == 303
        assert macro not in (await browser.get("/macros")).text


async def test_a_ticket_is_claimed_put_aside_merged_and_split(world: ConsoleWorld) -> None:
    first = world.firm.ticket
    async with world.browser("sam@firm.example") as browser:
        assert (await browser.post(f"/tickets/{first}/claim")).status_code == 303
        shown = await browser.post(f"/tickets/{first}/presence", body="Dear")
        assert shown.status_code == 200 and 'id="presence"' in shown.text
        page = (await browser.get(f"/tickets/{first}")).text
        (until, *_) = re.findall(r'<option value="([^"]+)">for 2 business hours', page)
        assert (await browser.post(f"/tickets/{first}/snooze", until=until)).status_code == 303
        assert "snoozed until" in (await browser.get(f"/tickets/{first}")).text
        assert first in (await browser.get("/tickets?state=snoozed")).text
        assert (await browser.post(f"/tickets/{first}/wake")).status_code == 303
        assert (await browser.post(f"/tickets/{first}/release")).status_code == 303
    async with world.db.transaction() as session:
        trader_id = (await session.get_one(Ticket, first)).trader_id
    async with world.browser("sam@firm.example") as browser:
        made = await browser.post(f"/traders/{trader_id}/tickets", subject="Documents", body="Please send them.")
        second = made.headers["Location"].rsplit("/", 1)[-1]
        merged = await browser.post(f"/tickets/{first}/merge", into=second)
        assert merged.headers["Location"] == f"/tickets/{second}"
        assert "Merged into this ticket" in (await browser.get(f"/tickets/{second}")).text
        assert "This ticket was merged." in (await browser.get(f"/tickets/{first}")).text
        assert (await browser.post(f"/tickets/{first}/split")).status_code == 303
        assert "This ticket was merged." not in (await browser.get(f"/tickets/{first}")).text


async def test_a_link_to_rate_opens_a_form_and_only_sending_it_rates(world: ConsoleWorld) -> None:
    address = f"/tickets/{world.firm.ticket}"
    async with world.browser("sam@firm.example") as browser:
        assert (await browser.post(f"{address}/solve")).status_code == 303
    async with world.db.transaction() as session:
        until = datetime.now(UTC).date()
        link = f"/rate/{ticket_ratings.token(await session.get_one(Ticket, world.firm.ticket), until + timedelta(1))}"
    async with world.browser(None) as anybody:
        for _ in range(3):
            assert "Nothing is sent before you press the button." in (await anybody.get(link)).text
        async with world.db.transaction() as session:
            assert await session.scalar(select(func.count()).select_from(TicketRating)) == 0
        assert "Thank you" in (await anybody.http.post(link, data={"score": "2", "comment": "Too slow."})).text
        assert (await anybody.http.post(link, data={"score": "5"})).status_code == 409
        assert (await anybody.get(link)).status_code == 409
        assert (await anybody.get(f"{link[:-1]}{'0' if link[-1] != '0' else '1'}")).status_code == 404
    async with world.browser("sam@firm.example") as browser:
        page = (await browser.get(address)).text
        assert "2 of 5" in page and "Too slow." in page
