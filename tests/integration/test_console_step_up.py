"""The console between a decision and its proof: nothing typed is lost, and the decision carries the proof."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import httpx
import pyotp
import pytest
from sqlalchemy import select

from store import reasons
from store.models import Decision
from tests.console_firm import PASSWORD
from tests.console_world import Browser, ConsoleWorld, console_world
from tests.mailed import token_of
from tests.proofs import proof_form

REASON = 'Checked "twice" & <agreed>, on Tuesday.'


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        made.decides_payouts()
        yield made


async def _decide(browser: Browser, payout: str) -> httpx.Response:
    """Send the form of the payout, without a proof."""
    path = f"/payouts/{payout}/decision"
    form = {**await browser.form(path), "csrf": await browser.csrf(), "key": uuid4().hex}
    return await browser.http.post(path, data={**form, "decision": "approve", "reason": REASON, "tab": "all"})


async def test_the_typed_text_survives_the_proof_and_the_decision_carries_it(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        asked = await _decide(browser, world.firm.payout)
        assert asked.status_code == 403
        assert "Confirm that it is you" in asked.text
        assert world.temporal.sent == []
        address, fields = proof_form(asked.text)
        assert fields["reason"] == [REASON]
        again = await browser.http.post(address, data={**fields, "proof_text": "wrong"})
        assert (again.status_code, "The password is wrong." in again.text) == (403, True)
        address, fields = proof_form(again.text)
        assert fields["reason"] == [REASON]
        done = await browser.http.post(address, data={**fields, "proof_text": PASSWORD})
        assert (done.status_code, done.headers.get("location", "").startswith("/queue")) == (303, True), done.text
    async with world.db.transaction() as session:
        made = (await session.scalars(select(Decision).where(Decision.subject_id == world.firm.payout))).one()
        said = await reasons.opened(session, [made.reason])
    assert (said[made.reason], made.evidence["step_up"]["method"]) == (REASON, "password")


async def test_the_evidence_of_a_dispute_is_a_file_after_a_proof(world: ConsoleWorld) -> None:
    async with world.browser("uma@firm.example") as browser:
        asked = await browser.get(f"/disputes/{world.firm.dispute}/pack")
        assert asked.status_code == 403 and "This gives out personal data" in asked.text
        address, fields = proof_form(asked.text)
        wrong = await browser.http.post(address, data={**fields, "proof_text": "wrong"})
        assert (wrong.status_code, "The password is wrong." in wrong.text) == (403, True)
        file = await browser.http.post(address, data={**fields, "proof_text": PASSWORD})
        assert (file.status_code, file.headers["content-type"]) == (200, "application/zip"), file.text
        page = (await browser.get("/audit")).text
        assert "chain verified up to entry" in page and "Verify all" in page
        assert (await browser.post("/audit/verify")).status_code == 303
        assert "The whole chain was last verified" in (await browser.get("/audit")).text


async def test_a_proof_for_one_form_decides_no_other(world: ConsoleWorld) -> None:
    async with world.browser("finn@firm.example") as browser:
        address, fields = proof_form((await _decide(browser, world.firm.payout)).text)
        changed = {**fields, "reason": ["Another reason."], "proof_text": PASSWORD}
        other = await browser.http.post(address, data=changed)
        assert (other.status_code, "proof_digest" in other.text) == (403, True)
        assert proof_form(other.text)[1]["proof_digest"] != fields["proof_digest"]
    assert world.temporal.sent == []


async def test_an_app_is_set_up_signs_in_and_gives_codes(world: ConsoleWorld) -> None:
    finn = "finn@firm.example"
    async with world.browser(finn) as browser:
        unproven = {"csrf": await browser.csrf(), "key": uuid4().hex}
        refused = await browser.http.post("/security/authenticator", data=unproven)
        assert (refused.status_code, "Email me the link" in refused.text) == (403, True)
        assert 'name="proof_method"' not in refused.text, "the password adds no factor"
        assert 'action="/security/authenticator"' not in (await browser.get("/security")).text
        assert (await browser.post("/security/link")).headers["location"] == "/security"
        token = await token_of(world.db, finn, "first_factor")
        shown = await browser.get(f"/security?token={token}")
        _, fields = proof_form(shown.text, "mail", "/security/authenticator")
        page = await browser.http.post("/security/authenticator", data=fields)
        assert "data:image/svg+xml" in page.text
        found = re.search(r"Key: <code>([A-Z2-7]+)</code>", page.text)
        assert found is not None
        app = pyotp.TOTP(found.group(1))
        codes = await browser.post("/security/authenticator/confirm", code=app.now())
        code = re.findall(r"<code>([a-z0-9-]{14})</code>", codes.text)
        assert len(code) == 10
        shown = await browser.get("/security")
        assert ("You have 10 recovery codes left." in shown.text, code[0] in shown.text) == (True, False)
    async with world.browser("finn@firm.example") as browser:
        assert (await browser.get("/queue")).headers["location"].startswith("/sign-in")
        due = await browser.get("/sign-in/second-factor?next=/queue")
        assert "Code of your authenticator app" in due.text
        sent = {"proof_method": "recovery_code", "proof_text": code[0], "next": "/queue"}
        inside = await browser.http.post("/sign-in/second-factor", data=sent)
        assert (inside.status_code, inside.headers["location"]) == (303, "/queue")
        assert (await browser.get("/queue")).status_code == 200
        asked = await _decide(browser, world.firm.payout)
        assert 'name="proof_method" value="password"' not in asked.text
