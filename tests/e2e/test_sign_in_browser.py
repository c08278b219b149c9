"""Signing in in a real browser: a passkey of a virtual authenticator, a step-up with it, the identity provider, and a
new password for a forgotten one. Mails arrive by SMTP."""

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
import uvicorn
from playwright.async_api import Page, async_playwright, expect
from sqlalchemy import select

from adapters.sign_in.oidc import OidcProvider
from api.app import create_app
from cli.stack.probes import free_ports
from front.access import Access
from store import crypto
from store.models import User
from store.provider_identities import link
from tests.console_firm import PASSWORD
from tests.console_world import ConsoleWorld, console_world, feed_heard
from tests.e2e.keyboard import POLL_REFUSED
from tests.mailed import link_in
from tests.oidc_server import oidc_server
from tests.post_office import post_office

pytestmark = pytest.mark.timeout(900)
expect.set_options(timeout=60_000)
REASON = "Statement and identity checked."
FINN = "finn@firm.example"
NEW = "staple battery horse"


class Stage:
    """A served console at http://localhost, which passkeys need, and a page of a browser with an authenticator."""

    def __init__(self, world: ConsoleWorld, page: Page, url: str, issuer: str) -> None:
        self.world, self.page, self.url, self.issuer = world, page, url, issuer
        self.problems: list[str] = []


@pytest.fixture
async def stage(database_url: str, chromium_path: str) -> AsyncIterator[Stage]:
    (ours,) = free_ports(1)
    url = f"http://localhost:{ours}"
    with oidc_server() as issuer:
        async with console_world(database_url) as world, async_playwright() as playwright:
            directory = OidcProvider(
                issuer=issuer, client_id="propos", client_secret="secret", label="Our directory", seconds=120
            )
            deps = replace(world.app.state.deps, public_url=url, access=Access(provider=directory))
            server = uvicorn.Server(
                uvicorn.Config(create_app(deps), port=ours, log_level="warning", ws="none", lifespan="off")
            )
            serving = asyncio.create_task(server.serve())
            while not server.started:
                await asyncio.sleep(0.02)
            browser = await playwright.chromium.launch(
                executable_path=chromium_path, args=["--headless", "--no-sandbox"]
            )
            context = await browser.new_context(base_url=url)
            context.set_default_timeout(120_000)
            made = Stage(world, await context.new_page(), url, issuer)
            made.page.on("pageerror", lambda error: made.problems.append(str(error)))
            made.page.on("console", lambda said: _note(made, said))
            await feed_heard(world, timedelta(0))
            yield made
            await browser.close()
            server.should_exit = True
            await serving
            assert made.problems == []


def _note(stage: Stage, said: Any) -> None:
    """Of our own pages. The page that asks for a proof is a 403, which the browser reports; it is no problem."""
    ours = said.location["url"].startswith(stage.url)
    if said.type == "error" and ours and "403 (Forbidden)" not in said.text:
        stage.problems.append(said.text)


async def _authenticator(page: Page) -> None:
    """One that is built into the device, verifies the person, and keeps the key."""
    devtools = await page.context.new_cdp_session(page)
    await devtools.send("WebAuthn.enable")
    options = {
        "protocol": "ctap2",
        "transport": "internal",
        "hasResidentKey": True,
        "hasUserVerification": True,
        "isUserVerified": True,
        "automaticPresenceSimulation": True,
    }
    await devtools.send("WebAuthn.addVirtualAuthenticator", {"options": options})


async def _by_password(page: Page, password: str = PASSWORD) -> None:
    await page.goto("/sign-in")
    await page.get_by_label("Login").fill(FINN)
    await page.get_by_label("Password").fill(password)
    await page.get_by_role("button", name="Sign in", exact=True).click()
    await expect(page.get_by_role("navigation", name="Main")).to_be_visible()


async def _listens(page: Page, button: str) -> None:
    """Waits until a page that was asked for is there, and a script listens to this button of it."""
    await expect(page.get_by_role("button", name=button)).to_be_visible()
    await page.wait_for_load_state()


async def test_a_passkey_signs_in_and_proves_a_decision(stage: Stage) -> None:
    page, firm = stage.page, stage.world.firm
    stage.world.decides_payouts()
    await _authenticator(page)
    await _by_password(page)
    await page.goto("/security")
    await expect(page.get_by_role("button", name="Add a passkey")).to_have_count(0)
    async with post_office(stage.world.db) as post:
        await page.get_by_role("button", name="Email me the link").click()
        await expect(page.get_by_role("status")).to_contain_text("We sent you an e-mail.")
        await page.goto(link_in(await post.got(FINN, "first second factor"), f"{stage.url}/security"))
    await page.get_by_label("Name of a new passkey").fill("Laptop")
    await page.get_by_role("button", name="Add a passkey").click()
    await _listens(page, "Create passkey")
    await page.get_by_role("button", name="Create passkey").click()
    await expect(page.get_by_role("status")).to_have_text("The passkey is added.")
    await expect(page.get_by_role("heading", name="Laptop")).to_be_visible()
    await page.context.clear_cookies()
    await page.goto(f"/sign-in?next=/payouts/{firm.payout}")
    await page.get_by_role("button", name="Sign in with a passkey").click()
    await expect(page).to_have_url(re.compile(f"/payouts/{firm.payout}$"))
    await page.get_by_label("Reason").fill(REASON)
    await page.get_by_role("button", name="Approve 1,116.00 USD").click()
    await expect(page.get_by_role("heading", name="Confirm that it is you")).to_be_visible()
    await expect(page.get_by_text(REASON)).to_be_visible()
    await expect(page.get_by_label("Your password")).to_have_count(0)
    await _listens(page, "Use your passkey")
    await page.get_by_role("button", name="Use your passkey").click()
    await expect(page.get_by_role("status")).to_have_text("Decision recorded. The payout is now approved.")
    assert [sent[:2] for sent in stage.world.temporal.sent] == [(f"payout/{firm.payout}", "approve")]


async def test_a_forgotten_password_is_set_with_the_link_of_a_mail_and_old_sign_ins_end(stage: Stage) -> None:
    old = stage.page
    await _by_password(old)
    browser = old.context.browser
    assert browser is not None
    page = await (await browser.new_context(base_url=stage.url)).new_page()
    await page.goto("/sign-in")
    await page.get_by_role("link", name="Forgot your password?").click()
    await page.get_by_label("Login").fill(FINN)
    async with post_office(stage.world.db) as post:
        await page.get_by_role("button", name="Send me a link").click()
        await expect(page.get_by_role("status")).to_contain_text("we have sent a mail with a link")
        await page.goto(link_in(await post.got(FINN, "asked for a new password"), f"{stage.url}/recover"))
        await page.get_by_label("Password (at least ten characters)").fill(NEW)
        await page.get_by_label("Repeat the password").fill(NEW)
        await page.get_by_role("button", name="Set the password").click()
        await expect(page.get_by_role("status")).to_contain_text("Your password is set.")
        await post.got(FINN, "Your password was changed")
    await expect(old).to_have_url(re.compile("/sign-in"))  # by itself: the next poll of the open page is refused
    stage.problems[:] = [each for each in stage.problems if each != POLL_REFUSED]
    await old.goto("/queue")
    await expect(old).to_have_url(re.compile("/sign-in"))
    await _by_password(page, NEW)


async def test_the_identity_provider_signs_in(stage: Stage) -> None:
    page = stage.page
    async with stage.world.db.transaction() as session:
        user = await _finn(session)
        assert await link(session, issuer=stage.issuer, subject="finn-7", user_id=user, by=user)
    await page.goto("/sign-in?next=/queue")
    await page.get_by_role("link", name="Our directory").click()
    await page.locator("input[name=sub]").fill("finn-7")
    await page.locator("input[name=sub]").press("Enter")
    await expect(page).to_have_url(re.compile("/queue$"))
    await expect(page.get_by_text("Finn Okafor")).to_be_visible()


async def _finn(session: Any) -> str:
    index = crypto.keys().blind_indexes(FINN)
    found: str = (await session.scalars(select(User.id).where(User.login_index.in_(index)))).one()
    return found
