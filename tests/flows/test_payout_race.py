"""Two operators decide the same payout at the same moment, over the API and in the console, on a real workflow."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select

from api.app import create_app
from domain.approvals import Actor
from front.access import Access
from front.auth import COOKIE
from front.deps import ApiDeps
from store.identity import SignedIn, open_session
from store.models import Decision
from tests.adapters import providers
from tests.payout_stage import Stage, a_stage
from tests.payout_world import MEDIUM

_FIELD = re.compile(r'<input type="hidden" name="(csrf|key|item|seen|digest)" value="([^"]*)"')
Way = Callable[[httpx.AsyncClient, SignedIn, str, str, asyncio.Barrier], Awaitable[httpx.Response]]
REASON = "Statement and identity checked."


@pytest.fixture
async def stage(database_url: str, temporal_address: str) -> AsyncIterator[Stage]:
    async with a_stage(database_url, temporal_address) as found:
        yield found


@asynccontextmanager
async def the_firm_online(stage: Stage) -> AsyncIterator[httpx.AsyncClient]:
    deps = ApiDeps(
        db=stage.world.db,
        temporal=lambda: asyncio.sleep(0, stage.client),
        payments=providers(stage.world.provider),
        public_url="http://firm.test",
        cookie_secure=False,
        access=Access(step_up=False),  # who is first is what counts here
    )
    transport = httpx.ASGITransport(app=create_app(deps))
    async with httpx.AsyncClient(transport=transport, base_url="http://firm.test") as http:
        yield http


async def signed_in(stage: Stage, actor: Actor) -> SignedIn:
    async with stage.world.db.transaction() as session:
        return await open_session(session, actor)


async def by_api(
    http: httpx.AsyncClient, person: SignedIn, payout_id: str, verb: str, start: asyncio.Barrier
) -> httpx.Response:
    headers = {"Authorization": f"Bearer {person.token}", "Idempotency-Key": uuid4().hex}
    seen = (await http.get(f"/v1/payouts/{payout_id}", headers=headers)).json()["seen"]
    await start.wait()
    body = {"reason": REASON, "seen": seen}
    return await http.post(f"/v1/payouts/{payout_id}/{verb}", json=body, headers=headers)


async def by_console(
    http: httpx.AsyncClient, person: SignedIn, payout_id: str, verb: str, start: asyncio.Barrier
) -> httpx.Response:
    headers = {"Cookie": f"{COOKIE}={person.token}"}
    page = (await http.get(f"/payouts/{payout_id}", headers=headers)).text
    form = dict(_FIELD.findall(page[page.index('name="item"') - 600 :]))
    await start.wait()
    sent = {**form, "decision": verb, "reason": REASON}
    return await http.post(f"/payouts/{payout_id}/decision", data=sent, headers=headers)


@pytest.mark.parametrize("verbs", [("approve", "approve"), ("approve", "reject"), ("reject", "reject")])
@pytest.mark.parametrize("way", [by_api, by_console])
async def test_one_wins_and_the_other_reads_the_name_of_the_winner(
    stage: Stage, way: Way, verbs: tuple[str, str]
) -> None:
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "awaiting_approval")
    people = [await stage.world.add_user(name, "finance") for name in ("fay", "gil")]
    start = asyncio.Barrier(2)
    async with the_firm_online(stage) as http:
        first, second = [await signed_in(stage, person) for person in people]
        answers = await asyncio.gather(
            way(http, first, payout_id, verbs[0], start), way(http, second, payout_id, verbs[1], start)
        )
    codes = [answer.status_code for answer in answers]
    assert sorted(code == 409 for code in codes) == [False, True], [answer.text for answer in answers]
    lost = codes.index(409)
    assert ("Fay", "Gil")[1 - lost] in answers[lost].text
    async with stage.world.db.transaction() as session:
        made = (await session.scalars(select(Decision.user_id))).all()
    assert made == [people[1 - lost].user_id]
    assert len(stage.world.provider.transfers) <= 1


async def test_who_comes_after_the_end_reads_who_ended_it(stage: Stage) -> None:
    trader = await stage.world.add_trader("tina")
    payout_id = await stage.world.request(trader, MEDIUM)
    await stage.becomes(payout_id, "awaiting_approval")
    fay, gil = [await stage.world.add_user(name, "finance") for name in ("fay", "gil")]
    async with the_firm_online(stage) as http:
        alone = asyncio.Barrier(1)
        await by_api(http, await signed_in(stage, fay), payout_id, "reject", alone)
        await stage.ends(payout_id, "rejected")
        late = await by_api(http, await signed_in(stage, gil), payout_id, "reject", alone)
        assert (late.status_code, late.json()["type"]) == (409, "already-decided")
        assert "reject by Fay" in late.json()["detail"]
        told = await by_api(http, await signed_in(stage, trader), payout_id, "cancel", alone)
        assert (told.status_code, "Fay" in told.text, "the firm" in told.text) == (409, False, True)
