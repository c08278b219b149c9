"""The page of an account reads only what there is of it, and shows the same as if it had read everything."""

from collections.abc import AsyncIterator
from dataclasses import fields
from typing import Any, get_args

import pytest
from sqlalchemy import select

from console.present import account as present
from console.views.account import AccountPage
from domain.approvals import Actor
from store.models import Account, User
from store.read import account_has
from store.read.account_has import Part
from store.scope import FIRM
from tests.console_world import ConsoleWorld, console_world


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


async def test_a_page_that_reads_what_there_is_shows_everything(
    world: ConsoleWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = set[Part]()
    async with world.db.transaction(FIRM) as session:
        numbers = (await session.scalars(select(Account.number))).all()
        user = (await session.scalars(select(User).where(User.role == "admin").limit(1))).one()
        actor = Actor(user_id=user.id, role=user.role, person_id=user.person_id)
        for number in numbers:
            account_id = (await session.scalars(select(Account.id).where(Account.number == number))).one()
            found |= await account_has.parts(session, account_id)
        some = [_lists(await present.page(session, FIRM, actor, f"A-{number}", None)) for number in numbers]
        monkeypatch.setattr(account_has, "parts", _everything)
        whole = [_lists(await present.page(session, FIRM, actor, f"A-{number}", None)) for number in numbers]
    assert some == whole
    assert found >= {"payouts", "disputes", "case_actions", "warnings"}


def _lists(page: AccountPage) -> dict[str, Any]:
    """Its parts, each list as a tuple."""
    parts = {field.name: getattr(page, field.name) for field in fields(page)}
    return {name: tuple(part) if isinstance(part, list) else part for name, part in parts.items()}


async def _everything(*_: object) -> frozenset[Part]:
    return frozenset(get_args(Part))
