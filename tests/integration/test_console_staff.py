"""The pages of sign-ins and staff, in a browser without script."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import select

from store.models import OutgoingMailRow, StaffChange, User
from tests.console_firm import PASSWORD
from tests.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_an_admin_proposes_on_the_page_of_a_person_and_signs_out_everywhere(world: ConsoleWorld) -> None:
    async with world.db.transaction() as session:
        users = {user.role: user for user in await session.scalars(select(User).where(User.trader_id.is_(None)))}
    admin, risk = users["admin"], users["risk"]
    async with world.browser(admin.login) as browser:
        assert risk.name in (await browser.http.get("/staff")).text
        page = (await browser.http.get(f"/staff/{risk.id}")).text
        assert "cases.decide" in page
        assert "payouts.decide" in (await browser.http.get("/permissions")).text
        fields = {"kind": "role", "user_id": risk.id, "role": "auditor", "reason": "moves to audit"}
        assert (await browser.post("/staff", **fields)).status_code == 303
        async with world.db.transaction() as session:
            change = (await session.scalars(select(StaffChange))).one()
        shown = (await browser.http.get(f"/staff-changes/{change.id}")).text
        assert f"Make {risk.name} auditor" in shown
        assert "Withdraw" in shown
        assert "this one" in (await browser.http.get("/sign-ins")).text
        wrong = {"old": "not this one", "new": "green boats at night", "again": "green boats at night"}
        assert (await browser.post("/sign-ins/password", **wrong)).status_code == 422
        assert (await browser.post("/sign-ins/end")).headers["location"] == "/sign-in"
        assert (await browser.http.get("/staff")).headers["location"].startswith("/sign-in")
    async with world.browser(users["support"].login) as browser:
        assert (await browser.http.get("/staff")).status_code == 403


async def test_the_outer_doors_say_what_is_wrong_and_keep_what_was_typed(world: ConsoleWorld) -> None:
    async with world.browser(None) as browser:
        for page in ("/sign-up", "/forgot", "/recover?token=x", "/invited?token=x", "/confirm?token=x"):
            assert (await browser.http.get(page)).status_code == 200, page
        form = {"key": "k" * 20, "name": "Nora <b>", "email": "nora@example.org", "country": "SE"}
        weak = {**form, "new": "1234567890", "again": "1234567890"}
        answer = await browser.http.post("/sign-up", data=weak)
        assert answer.status_code == 422
        assert "Nora &lt;b&gt;" in answer.text
        assert "1234567890" not in answer.text
        answer = await browser.http.post("/sign-up", data={**form, "new": PASSWORD, "again": PASSWORD})
        assert (answer.status_code, answer.headers["location"]) == (303, "/")
        assert "Confirm your e-mail address" in (await browser.http.get("/")).text
        async with world.db.transaction() as session:
            mail = (await session.scalars(select(OutgoingMailRow))).one()
        token = mail.body.split("token=")[1].split()[0]
        assert (await browser.http.post("/confirm", data={"token": token})).status_code == 303
        assert "Confirm your e-mail address" not in (await browser.http.get("/")).text
        assert "token" not in (await browser.http.post("/forgot", data={"login": "nobody@example.org"})).text
        assert (
            await browser.http.post("/recover", data={"token": "x", "new": PASSWORD, "again": "y"})
        ).status_code == 422
