"""The answer of an identity checker verifies a trader, or leaves it to a person."""

from collections.abc import AsyncIterator

import pytest
from sqlalchemy import func, select

from adapters.identity.manual import ManualChecker
from domain.identity import outcome
from firm import identity_checks
from ports.identity import IdentitySession
from store.models import AuditEntry, Trader
from tests.payout_world import World, a_firm


@pytest.fixture
async def firm(database_url: str) -> AsyncIterator[World]:
    async with a_firm(database_url) as world:
        yield world


async def asked(firm: World, checker: str = "stripe") -> str:
    async with firm.db.transaction() as session:
        (await session.get_one(Trader, "trd_tina")).identity = "unverified"
        return (await identity_checks.ask(session, "trd_tina", checker)).id


async def answered(firm: World, check_id: str, status: str, name: str = "") -> tuple[str, str]:
    """(the status of the check, the identity of the trader)"""
    body = {"session_id": "vs_1", "key": check_id, "reference": "trd_tina", "url": "", "status": status}
    found = IdentitySession.model_validate({**body, "full_name": name})
    async with firm.db.transaction() as session:
        state = await identity_checks.answered(session, check_id, found)
        return state, (await session.get_one(Trader, "trd_tina")).identity


async def test_a_verified_name_that_agrees_verifies_the_trader_once(firm: World) -> None:
    await firm.add_trader("tina")
    check = await asked(firm)
    async with firm.db.transaction() as session:
        assert (await identity_checks.ask(session, "trd_tina", "stripe")).id == check, "the open check is continued"
    assert await answered(firm, check, "pending") == ("pending", "unverified")
    assert await answered(firm, check, "verified", "TINA") == ("verified", "verified")
    assert await answered(firm, check, "verified", "TINA") == ("verified", "verified")
    async with firm.db.transaction() as session:
        made = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "trader.identity_verified")
        assert await session.scalar(made) == 1


@pytest.mark.parametrize("name", ["Olga Petrova", ""])
async def test_another_or_an_unknown_name_goes_to_a_person(firm: World, name: str) -> None:
    await firm.add_trader("tina")
    assert await answered(firm, await asked(firm), "verified", name) == ("name_differs", "unverified")


async def test_a_failed_check_refuses_nobody(firm: World) -> None:
    await firm.add_trader("tina")
    check = await asked(firm)
    assert await answered(firm, check, "failed") == ("failed", "unverified")
    assert await asked(firm) != check, "the trader may try again"


async def test_the_manual_checker_waits_for_a_person() -> None:
    checker = ManualChecker()
    made = await checker.start(key="idc_1", reference="trd_tina", return_url="https://firm.example")
    assert (await checker.fetch(made.session_id)).reference == "trd_tina"
    assert outcome(made.status, "Tina", made.full_name) == "wait"


def test_names_of_one_person_may_lack_a_middle_name_and_not_the_first() -> None:
    assert outcome("verified", "Tina Braun", "TINA MARIA BRAUN") == "verify"
    assert outcome("verified", "Tina Braun", "Peter Braun") == "ask_person"
