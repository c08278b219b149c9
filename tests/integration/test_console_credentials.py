"""The login at a platform on the account page: shown to its trader once, reset by trader and staff."""

import re
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from adapters.platforms.sandbox import PLUGIN
from firm import credentials
from ports.capabilities import PlatformFeatures
from store import credentials as stored
from store.models import Account, Credential
from tests.console_world import ConsoleWorld, console_world

MARA, SAM, FINN = "mara@example.org", "sam@firm.example", "finn@firm.example"


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    shown = PlatformFeatures("sandbox", "sandbox", True, PLUGIN.capabilities)
    async with console_world(database_url, platforms=(shown,)) as made:
        number = int(made.firm.funded[2:])
        async with made.db.transaction() as session:
            await session.execute(update(Account).where(Account.number == number).values(login=7_001))
            await credentials.want_first(session, await _account(session, number))
        yield made


async def _account(session: object, number: int) -> Account:
    found: Account = (await session.scalars(select(Account).where(Account.number == number))).one()  # type: ignore[attr-defined]
    return found


async def _made(world: ConsoleWorld) -> SecretStr:
    """The platform has made the newest one; returns its password."""
    async with world.db.transaction() as session:
        account = await _account(session, int(world.firm.funded[2:]))
        row = await stored.newest(session, account.id)
        assert row is not None and row.password is not None
        await stored.arrived(session, row.id, username="7001", new=True)
        return SecretStr(row.password)


async def test_the_trader_sees_it_once_and_resets_it(world: ConsoleWorld) -> None:
    page = f"/accounts/{world.firm.funded}"
    async with world.browser(MARA) as browser:
        assert "The platform is creating it." in (await browser.get(page)).text
        assert (await browser.post(f"{page}/sign-in")).status_code == 409
        password = (await _made(world)).get_secret_value()
        shown = (await browser.get(page)).text
        assert "Show my login" in shown and password not in shown
        key = "a" * 20
        first = await browser.post(f"{page}/sign-in", key=key)
        assert first.status_code == 200 and first.headers["cache-control"] == "no-store"
        assert re.search(r"<code>7001</code>.*<code>" + re.escape(_html(password)) + "</code>", first.text)
        again = await browser.post(f"{page}/sign-in", key=key)
        assert "was shown before" in again.text and _html(password) not in again.text
        after = (await browser.get(page)).text
        assert "The password was shown on" in after and "Show my login" not in after
        assert (await browser.post(f"{page}/sign-in/reset")).status_code == 303
        assert "The platform is creating it." in (await browser.get(page)).text
        assert (await _made(world)).get_secret_value() != password


async def test_staff_reset_it_with_a_reason_and_never_see_it(world: ConsoleWorld) -> None:
    page = f"/accounts/{world.firm.funded}"
    password = (await _made(world)).get_secret_value()
    async with world.browser(SAM) as browser:
        shown = (await browser.get(page)).text
        assert "has not opened the password yet" in shown and "Show my login" not in shown
        assert (await browser.post(f"{page}/sign-in")).status_code == 403
        assert (await browser.post(f"{page}/sign-in/reset")).status_code == 422
        assert (await browser.post(f"{page}/sign-in/reset", reason="Lost.")).status_code == 303
    async with world.db.transaction() as session:
        passwords = (await session.scalars(select(Credential.password).order_by(Credential.number))).all()
    assert passwords[0] is None and passwords[1] not in (None, password)
    async with world.browser(FINN) as browser:
        assert "Reset the password" not in (await browser.get(page)).text
        assert (await browser.post(f"{page}/sign-in/reset", reason="Why not.")).status_code == 403
    async with world.browser("otto@example.org") as browser:
        assert (await browser.post(f"{page}/sign-in")).status_code == 404


def _html(text: str) -> str:
    return text.replace("&", "&amp;")
