"""What docs/adding-a-detector.md shows is true: its module is found, its tests pass, and its finding becomes a case
that people see with its evidence."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Final

import pytest
from sqlalchemy import select
from temporalio.testing import ActivityEnvironment

from activities.deps import Deps
from activities.surveillance import SurveillanceActivities
from contracts.messages import SurveillanceStart
from store import surveillance
from store.models import Account, Alert, Case, DealRow, SurveillanceCursor
from surveillance import registry
from surveillance.pattern import Pattern
from tests.architecture.source import ROOT
from tests.console_world import ConsoleWorld, console_world
from tests.pattern_modules import pattern_module

_BLOCKS: Final = re.findall(
    r"^```python\n(.*?)^```", (ROOT / "docs" / "adding-a-detector.md").read_text(), re.MULTILINE | re.DOTALL
)
_START: Final = datetime(2014, 5, 2, 7, tzinfo=UTC)


@pytest.fixture
def pattern(tmp_path: Path) -> Iterator[type[Pattern[Any]]]:
    """The document's module, in the patterns' folder as far as imports can tell."""
    with pattern_module(tmp_path, "size_jump", _BLOCKS[0]):
        yield registry.pattern_types()["size_jump"]


@pytest.fixture
async def world(database_url: str) -> AsyncIterator[ConsoleWorld]:
    async with console_world(database_url) as made:
        yield made


def test_a_new_module_is_found_without_an_edit_elsewhere(pattern: type[Pattern[Any]]) -> None:
    assert registry.default_patterns()["size_jump"].limits.default == pattern.thresholds()
    assert "size_jump" not in (ROOT / "surveillance" / "registry.py").read_text()


def test_the_documents_tests_pass(pattern: type[Pattern[Any]]) -> None:
    shown: dict[str, Any] = dict(vars(sys.modules[pattern.__module__]))
    exec(compile(_BLOCKS[1], "adding-a-detector.md", "exec"), shown)
    tests = [value for name, value in shown.items() if name.startswith("test_")]
    assert len(tests) == 3
    for test in tests:
        test()


@pytest.mark.usefixtures("pattern")
async def test_its_finding_becomes_a_case_that_console_and_api_show_with_its_evidence(world: ConsoleWorld) -> None:
    account_id = await _jump(world, 12)
    case_id = await _followed(world, f"size_jump/{account_id}/XAUUSD")
    async with world.browser("rosa@firm.example") as browser:
        page = (await browser.get(f"/cases/{case_id}")).text
        answer = (await browser.http.get(f"/v1/cases/{case_id}")).json()
    for words in (
        "Size jump · A-", "One of 12 trades in XAUUSD is 20 times as large as the usual one.", "Size over the median",
        "20 times", "at least 10 times", "Sizes", "Lots", "propose the action on the page of the case",
        ": no open payout",
    ):  # fmt: skip
        assert words in page, words
    async with world.db.transaction() as session:
        cursors = {row.reader: row.last_deal for row in await session.scalars(select(SurveillanceCursor))}
        assert cursors == {"stream": await surveillance.newest_deal(session)}, "one reading feeds all patterns"
    [account] = answer["accounts"]
    assert (account["account_id"], account["role"], account["blamed"]) == (account_id, "trader", True)
    figures, sizes = answer["evidence"]
    assert (figures["type"], sizes["type"], sizes["columns"]) == ("figures", "table", ["Trade", "Lots"])
    assert [row[1] for row in sizes["rows"]].count("20") == 1


async def _jump(world: ConsoleWorld, count: int) -> str:
    """Trades on the record of an account that has not traded yet, the fourth of them large; returns its id."""
    async with world.db.transaction() as session:
        fresh = select(Account).where(Account.id.not_in(select(DealRow.account_id))).order_by(Account.number).limit(1)
        account = (await session.scalars(fresh)).one()
        for n in range(count):
            at = _START + timedelta(minutes=10 * n)
            lots = Decimal(20 if n == 3 else 1)
            session.add(_deal(account.id, f"{n}-in", str(n), "buy", "in", at, lots))
            await session.flush()
            session.add(_deal(account.id, f"{n}-out", str(n), "sell", "out", at + timedelta(seconds=3), lots))
            await session.flush()
    return account.id


def _deal(account_id: str, deal_id: str, position: str, side: str, entry: str, at: datetime, lots: Decimal) -> DealRow:
    return DealRow(
        account_id=account_id,
        deal_id=f"jump-{deal_id}",
        seq=1,
        at=at,
        position_id=f"jump-{position}",
        symbol="XAUUSD",
        side=side,
        entry=entry,
        lots=lots,
        price=Decimal(1300),
        profit_minor=0,
        commission_minor=0,
        swap_minor=0,
        balance_minor=0,
        reason="client",
    )


async def _followed(world: ConsoleWorld, key: str) -> str:
    """Let surveillance read until it has opened the case; returns the case's id."""
    unused: Any = None  # surveillance reaches neither the platform nor the provider
    environment = ActivityEnvironment()
    activities = SurveillanceActivities(Deps(db=world.db, platforms=unused, payments=unused))
    reading = asyncio.create_task(environment.run(activities.follow_deals, SurveillanceStart()))
    case_id: str | None = None
    while case_id is None and not reading.done():
        await asyncio.sleep(0.02)
        async with world.db.transaction() as session:
            found = select(Case.id).join(Alert, Alert.id == Case.alert_id).where(Alert.key == key)
            case_id = await session.scalar(found)
    environment.worker_shutdown()
    await reading
    assert case_id is not None
    return case_id


def test_the_module_is_gone_again() -> None:
    assert "size_jump" not in registry.pattern_types()
