"""axe finds nothing on any page of any role, light and dark, and none is wider than the screen: the pages that links
lead to, one of each kind."""

from pathlib import Path

import pytest
from playwright.async_api import Page
from sqlalchemy import select

from cli.screenshots import DOORS, EXCESS, LINKS, kind_of, own_paths
from store.models import User
from tests.browser_stage import Stage
from tests.console_payments import charge_back, send_and_return
from tests.shelf import shipped

pytestmark = pytest.mark.timeout(1800)
_AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
_EVERY_RULE = "axe.run(document, {resultTypes: ['violations']})"
_COLOURS = "axe.run(document, {runOnly: ['color-contrast', 'link-in-text-block'], resultTypes: ['violations']})"
_SHOWN = (200, 404, 422)  # no workflow has a history here, and a page whose question is missing says so
_PRODUCTS = frozenset(product.product for product in shipped())


async def test_axe_finds_no_violation_on_any_page(stage: Stage) -> None:
    firm, chargeback = stage.world.firm, await charge_back(stage.world)
    await send_and_return(stage.world, firm.payout)
    staff = [
        "/", "/queue", "/accounts?sort=closest", f"/accounts/{firm.breached}", f"/payouts/{firm.big_payout}",
        "/chargebacks?state=won", f"/chargebacks/{chargeback}", "/search?q=nothing", "/exposure",
        f"/queue/bulk?do=approve&item=payout/{firm.big_payout}&item=payout/{firm.payout}",
        f"/queue/bulk?do=claim&item=payout/{firm.big_payout}", f"/accounts/{firm.active}/actions/freeze",
        f"/accounts/{firm.active}/actions",
    ]  # fmt: skip
    own = ["/", f"/accounts/{firm.funded}/payout?amount=200.00", "/api-keys?read", f"/accounts/{firm.active}"]
    found: dict[str, list[str]] = {}
    nobody = await stage.browser.new_page(base_url=stage.url)
    nobody.set_default_timeout(120_000)
    stage.watch(nobody)
    await _look(nobody, stage, list(DOORS), found, set())
    await nobody.close()
    async with stage.world.db.transaction() as session:
        assert len(set(await session.scalars(select(User.role)))) == 6, "the people below have every role"
    seen: set[str] = set()
    for login, start in (
        ("ana@firm.example", staff),
        *((f"{name}@firm.example", ["/", "/queue"]) for name in ("finn", "rosa", "sam", "uma")),
    ):
        async with stage.page(login) as page:
            await _look(page, stage, start, found, seen)
    async with stage.page("mara@example.org") as page:
        await _look(page, stage, own, found, set())  # a trader's pages have the addresses of the firm's
    refused = tuple(f"status of {status} (" for status in _SHOWN[1:])
    stage.problems[:] = [each for each in stage.problems if not any(words in each for words in refused)]
    assert found == {}


async def _look(page: Page, stage: Stage, start: list[str], found: dict[str, list[str]], seen: set[str]) -> None:
    """Looks at each of the pages, and at those of other kinds that links lead to. `seen`: kinds that were looked at."""
    waiting, own = list(start), set(start)
    for path in waiting:
        kind = kind_of(path, _PRODUCTS)
        if path in own:
            own.remove(path)
        elif kind in seen:
            continue
        seen.add(kind)
        await page.emulate_media(color_scheme="light", reduced_motion="reduce")
        answer = await page.goto(path)
        assert answer is not None and answer.status in _SHOWN, (path, answer)
        await page.evaluate(_AXE)
        light = await page.evaluate(_EVERY_RULE)
        await page.emulate_media(color_scheme="dark")
        dark = await page.evaluate(_COLOURS)
        for theme, result in (("light", light), ("dark", dark)):
            if result["violations"]:
                found[f"{page.url} {theme}"] = [
                    f"{each['id']}: {each['nodes'][0]['html'][:200]}" for each in result["violations"]
                ]
        if (excess := await page.evaluate(EXCESS)) > 0:
            found[page.url] = [f"{excess} px wider than the screen"]
        waiting += own_paths(await page.eval_on_selector_all("a[href]", LINKS), stage.url)
