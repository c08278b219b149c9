"""A served console and a real browser in front of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, expect

from tests.console_firm import PASSWORD
from tests.console_world import ConsoleWorld

expect.set_options(timeout=60_000)  # a busy machine draws a page in many seconds


@dataclass
class Stage:
    """A served console and a browser; `problems` are scripts that failed, requests that the policy blocked, and
    whatever else the browser or htmx complains of."""

    world: ConsoleWorld
    browser: Browser
    url: str
    problems: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def page(self, login: str, **options: Any) -> AsyncIterator[Page]:
        context = await self.browser.new_context(base_url=self.url, **options)
        context.set_default_timeout(120_000)
        page = await context.new_page()
        self.watch(page)
        await sign_in(page, login)
        yield page
        await context.close()

    def watch(self, page: Page) -> None:
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on("console", self._note)

    def _note(self, said: ConsoleMessage) -> None:
        """The page that asks for a proof is a 403, which the browser reports; it is no problem."""
        proves = said.location["url"].endswith(("/decision", "/queue/bulk"))
        complains = said.type == "error" or (said.type == "warning" and said.text.startswith("htmx"))
        if complains and not ("403 (Forbidden)" in said.text and proves):
            self.problems.append(said.text)


async def sign_in(page: Page, login: str) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("Login").fill(login)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def prove(page: Page) -> None:
    """Fill in the page that asks for a proof."""
    await page.get_by_label("Your password").fill(PASSWORD)
    await page.get_by_role("button", name="Confirm and continue").click()


async def until(page: Page, condition: str) -> None:
    """Waits without `eval`, which the policy forbids."""
    await page.evaluate(
        f"new Promise((ok) => {{ const ask = () => ({condition} ? ok() : setTimeout(ask, 50)); ask(); }})"
    )
