"""A version from its draft to the shop, in the console: written, checked, proposed, returned, approved, sold."""

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Final

import pytest

from activities.impact_replays import ImpactReplays
from store import products
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.integration.console_page import Page

WHY: Final = "A dearer one for new customers"
SCRIPT: Final = "# <script>alert(1)</script>\n"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


def text_in(html: str) -> str:
    found = re.search(r'<textarea id="text"[^>]*>\n(.*?)</textarea>', html, re.DOTALL)
    assert found is not None, html
    return unescape(found.group(1))


def hidden(html: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', html)
    assert found is not None, html
    return found.group(1)


async def started(browser: Browser, source: str, **fields: str) -> str:
    answer = await browser.post("/product-drafts", **{"from": source}, **fields)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def saved(browser: Browser, path: str, **changes: str) -> str:
    """Saves the draft with lines changed, and returns its page."""
    html = (await browser.get(path)).text
    text = text_in(html)
    for before, after in changes.items():
        text = re.sub(rf"^{before}: .*$", f"{before}: {after}", text, count=1, flags=re.MULTILINE)
    answer = await browser.post(path, act="save", text=SCRIPT + text, seen=hidden(html, "seen"))
    assert answer.status_code == 303, answer.text
    return (await browser.get(path)).text


async def proposed(browser: Browser, path: str) -> str:
    html = (await browser.get(path)).text
    answer = await browser.post(f"{path}/proposal", seen=hidden(html, "seen"), reason=WHY)
    assert answer.status_code == 303, answer.text
    return str(answer.headers["location"])


async def test_a_draft_becomes_a_version_that_the_shop_sells(world: ConsoleWorld) -> None:
    async with (
        world.browser("rosa@firm.example") as rosa,
        world.browser("ana@firm.example") as ana,
        world.browser("mara@example.org") as mara,
    ):
        words = (await rosa.get("/products/two-step/1")).text
        assert "Draft version 2" in words and "Draft version" not in (await mara.get("/products/two-step/1")).text
        path = await started(rosa, "version:two-step")
        html = await saved(rosa, path, fee="'612'")
        assert Page(html).forbidden == [] and "<script>alert" not in html, "what is typed stays text"
        assert "no errors" in html and "<ins>612.00 USD</ins>" in html and "What a trader reads" in html
        assert "<del>-fee: &#39;540&#39;</del>" in html and "<ins>+fee: &#39;612&#39;</ins>" in html
        assert path in (await ana.get("/products")).text

        other = (await ana.get(path)).text
        assert "<textarea id=" not in other and "<script>alert" not in other and "Copy to my drafts" in other
        seen = hidden(html, "seen")
        assert (await ana.post(path, act="save", text="product: x", seen=seen)).status_code == 403
        assert (await ana.post(f"{path}/proposal", seen=seen, reason=WHY)).status_code == 403

        proposal = await proposed(rosa, path)
        answer = await rosa.post(f"{proposal}/decision", decision="approve", reason="I like it")
        assert answer.status_code == 403 and "somebody else must decide it" in answer.text
        assert (await rosa.post(path, act="save", text="product: x", seen=seen)).status_code == 422, "it is proposed"
        assert path in (await ana.get(proposal)).text, "who decides sees the draft and its impact"
        assert (await ana.post(f"{proposal}/decision", decision="reject", reason="Too dear")).status_code == 303

        html = (await rosa.get(path)).text
        assert "Ana Ruiz rejected it" in html and "Too dear" in html
        await saved(rosa, path, fee="'566'")
        proposal = await proposed(rosa, path)
        assert (await ana.post(f"{proposal}/decision", decision="approve", reason="Agreed")).status_code == 303
        assert (await ana.post(f"{proposal}/decision", decision="publish", reason="From now")).status_code == 303
        assert "566.00" in (await mara.get("/buy/two-step")).text, "the shop sells it"
    async with world.db.transaction() as session:
        assert (await products.newest(session, "two-step")).ref == "two-step@2"


async def test_a_wrong_text_is_shown_again_with_the_line_of_every_error(world: ConsoleWorld) -> None:
    async with world.browser("rosa@firm.example") as rosa:
        path = await started(rosa, "example:two-step-static.v1.yaml", product="two-step-plus")
        html = (await rosa.get(path)).text
        assert "no errors" in html, "an example under a new name can be proposed at once"
        good, seen = text_in(html), hidden(html, "seen")
        wrong = SCRIPT + re.sub(r"^leverage: .*$", "leverage: 0", good, flags=re.MULTILINE) + "colour: <b>red</b>\n"
        lines = wrong.splitlines()
        answer = await rosa.post(path, act="check", text=wrong, seen=seen)
        assert Page(answer.text).forbidden == [] and "<b>red" not in answer.text
        for line in (lines.index("leverage: 0") + 1, len(lines)):
            assert f"<strong>Line {line}</strong>" in answer.text
        assert text_in(answer.text).splitlines() == lines, "nothing that was typed is lost"
        assert text_in((await rosa.get(path)).text) == good, "it is checked, and not saved"
        assert (await rosa.post(path, act="save", text=wrong, seen=seen)).status_code == 303, "a draft may be wrong"
        answer = await rosa.post(path, act="save", text="product: [", seen=seen)
        assert answer.status_code == 422 and "another window" in answer.text and "product: [" in answer.text
        assert "It is not YAML" in answer.text
        answer = await rosa.post(f"{path}/proposal", seen=hidden((await rosa.get(path)).text, "seen"), reason=WHY)
        assert answer.status_code == 422 and "leverage" in answer.text
        assert (await rosa.post(f"{path}/delete")).status_code == 303
        assert (await rosa.get(path)).status_code == 404


async def test_a_replay_is_about_one_text_and_says_so(world: ConsoleWorld) -> None:
    async with world.browser("rosa@firm.example") as rosa, world.browser("uma@firm.example") as uma:
        path = await started(rosa, "version:two-step")
        await saved(rosa, path, fee="'600'")
        assert (await rosa.post(f"{path}/impact", version="1")).status_code == 303
        assert (await rosa.post(f"{path}/impact", version="1")).status_code == 303, "it waits already"
        html = (await rosa.get(path)).text
        assert html.count("challenges replayed.") == 1 and "data-poll" in html
        replays = ImpactReplays(world.db)
        assert await replays.step() and not await replays.step()
        part = (await rosa.part(f"{path}/impact", "section#impact")).text
        assert "two-step@2" in part and "the saved text" in part and "Fees less payouts" in part
        assert "an earlier text" in await saved(rosa, path, fee="'700'"), "never silently of another text"
        read_only = (await uma.get(path)).text
        assert "two-step@2" in read_only and '/impact"' not in read_only and "Copy to" not in read_only
        assert (await uma.post(f"{path}/impact", version="1")).status_code == 403
