"""Facts about who stands behind a trader come onto the record where they are told, as digests, and reading them is
logged."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import httpx
import pytest
from sqlalchemy import select, update

from activities.trading_memory import TradingMemory
from domain.approvals import Actor
from domain.errors import NotFound
from firm import beneficiaries, identity_checks
from ports.identity import IdentitySession
from store import identity_facts, keeping, reasons
from store.keeping import Policy
from store.models import AuditEntry, IdentityFact, Trader
from surveillance.book import IDENTITY_KINDS
from tests.console_firm import PASSWORD
from tests.console_world import ConsoleWorld, console_world
from tests.payout_world import World, a_firm
from tests.recorded_trades import happen, trades


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


@pytest.fixture
async def console(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def facts(firm: World | ConsoleWorld) -> list[tuple[str, str, str, int]]:
    async with firm.db.transaction() as session:
        rows = (await session.scalars(select(IdentityFact).order_by(IdentityFact.kind, IdentityFact.trader_id))).all()
    return [(row.trader_id, row.kind, row.source, row.times) for row in rows]


async def test_a_sign_in_tells_address_and_device_and_shows_neither(console: ConsoleWorld) -> None:
    async with console.browser("mara@example.org") as browser:
        trader = (await browser.http.get("/v1/sessions/current")).json()["trader_id"]
        assert [row[1:] for row in await facts(console)] == [("ip", "console", 1)], "a new browser has no name yet"
        await browser.http.post("/sign-in", data={"login": "mara@example.org", "password": PASSWORD})
    assert [row for row in await facts(console) if row[0] == trader] == [
        (trader, "device", "console", 1),
        (trader, "ip", "console", 2),
    ]
    async with console.db.transaction() as session:
        stored = (await session.scalars(select(IdentityFact.digest))).all()
    assert all(len(digest) == 64 and "127.0.0.1" not in digest for digest in stored)


async def test_two_traders_with_one_value_have_one_digest_however_it_is_written(firm: World) -> None:
    for name in ("leo", "tina"):
        await firm.add_trader(name)
    async with firm.db.transaction() as session:
        for name, address in (("leo", "2001:db8:1:2:aaaa::1"), ("tina", "2001:DB8:1:2:bbbb::9")):
            await identity_facts.note(session, f"trd_{name}", "ip", address, source="api")
        await identity_facts.note(session, "trd_leo", "card", "FP 77", source="acquirer/stripe")
        await identity_facts.note(session, "trd_tina", "card", "", source="acquirer/stripe")
        await identity_facts.note(session, "trd_tina", "ip", "not an address", source="api")
    await happen(firm, trades("leo", 1), trades("tina", 1))
    async with TradingMemory(firm.db).up_to_date() as memory:
        told = memory.firm().identities
    assert told is not None
    assert sorted(IDENTITY_KINDS[kind] for kind in told.kind) == ["card", "ip", "ip"]
    assert len(set(told.value[told.kind == IDENTITY_KINDS.index("ip")].tolist())) == 1, "one home, one network"


async def test_beneficiary_address_and_document_are_told_by_those_who_know_them(firm: World) -> None:
    trader = await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        await beneficiaries.add(
            session, trader_id="trd_tina", account="DE02120300000000202051", rail="fake", actor=trader
        )
        await session.execute(update(Trader).values(identity="unverified"))
        check = await identity_checks.ask(session, "trd_tina", "passports")
        answer = IdentitySession(
            session_id="s1", key=check.id, reference="trd_tina", url="", status="verified", full_name="tina",
            address="1 Main Street, Berlin", document="DE/passport/C01",
        )  # fmt: skip
        await identity_checks.answered(session, check.id, answer)
    assert [row[1:3] for row in await facts(firm)] == [
        ("address", "identity/passports"),
        ("beneficiary", "rail/fake"),
        ("document", "identity/passports"),
    ]


async def test_reading_them_needs_a_right_and_a_reason_and_is_logged(console: ConsoleWorld) -> None:
    async with console.browser("mara@example.org") as browser:
        trader = (await browser.http.get("/v1/sessions/current")).json()["trader_id"]
    refused = await _read(console, "mara@example.org", trader, "I am curious")
    answer = await _read(console, "rosa@firm.example", trader, "case of copying")
    assert (refused.status_code, answer.status_code) == (403, 200)
    told = {(fact["kind"], fact["source"], fact["traders"], len(fact["mark"])) for fact in answer.json()}
    assert told == {("ip", "console", 1, 8), ("ip", "api", 1, 8)}
    async with console.db.transaction() as session:
        entry = (
            await session.scalars(select(AuditEntry).where(AuditEntry.action == "trader.identity_facts_read"))
        ).one()
        said = await reasons.opened(session, [entry.reason])
    assert (entry.subject_id, said[entry.reason]) == (trader, "case of copying")


async def _read(console: ConsoleWorld, login: str, trader: str, reason: str) -> httpx.Response:
    """Signs in at the API and asks for the facts."""
    async with console.browser(None) as browser:
        signed_in = await browser.http.post("/v1/sessions", json={"login": login, "password": PASSWORD})
        headers = {"Authorization": f"Bearer {signed_in.json()['token']}", "Idempotency-Key": uuid4().hex}
        return await browser.http.post(f"/v1/traders/{trader}/identity-facts", json={"reason": reason}, headers=headers)


async def test_a_trader_that_is_not_there_has_no_facts_and_nothing_is_logged(firm: World) -> None:
    actor = Actor(user_id="usr_ria", person_id="p", role="risk", trader_id=None)
    with pytest.raises(NotFound):
        async with firm.db.transaction() as session:
            await identity_facts.read(session, "trd_nobody", actor, "looked at it")


async def test_a_fact_that_nobody_told_again_for_long_is_removed(firm: World) -> None:
    await firm.add_trader("tina")
    async with firm.db.transaction() as session:
        for number in (1, 2):
            await identity_facts.note(session, "trd_tina", "ip", f"192.0.2.{number}", source="api")
        old = select(IdentityFact.digest).limit(1).scalar_subquery()
        gone = datetime.now(UTC) - timedelta(days=401)
        await session.execute(update(IdentityFact).where(IdentityFact.digest == old).values(last_at=gone))
        assert await keeping.remove_identity_facts(session, Policy()) == 1
        assert await keeping.remove_identity_facts(session, Policy(identity_facts=None)) == 0
