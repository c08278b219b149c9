"""`propos coupons` on a real PostgreSQL: added, listed and ended, each on the audit log."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import select

from store.models import AuditEntry
from tests.integration.command import Firm


class Coupons(Firm):
    def coupons(self, *arguments: str, code: int = 0) -> str:
        """What `propos coupons …` prints."""
        return self.run("coupons", *arguments, code=code)


@pytest.fixture
async def firm(database_url: str, tmp_path: Path) -> AsyncIterator[Coupons]:
    found = Coupons(database_url, tmp_path)
    yield found
    await found.db.close()


async def test_a_coupon_is_added_listed_and_ended(firm: Coupons) -> None:
    said = firm.coupons("add", "SPRING", "--amount", "25", "--currency", "USD", "--uses", "3", "--product", "two-step")
    assert "Added SPRING: 25.00 USD off, for two-step, 3 times in total, alone." in said
    assert "There is a coupon SPRING already" in firm.coupons("add", "SPRING", "--pct", "5", code=1)
    assert "either a percentage or an amount" in firm.coupons("add", "EMPTY", code=1)
    assert "SPRING" in firm.coupons("list") and "on" in firm.coupons("list")
    assert "has now ended" in firm.coupons("end", "SPRING")
    assert "has already ended" in firm.coupons("end", "SPRING")
    assert "There is no coupon OTHER" in firm.coupons("end", "OTHER", code=1)
    async with firm.db.transaction() as session:
        rows = await session.execute(
            select(AuditEntry.action, AuditEntry.actor)
            .where(AuditEntry.subject_kind == "coupon")
            .order_by(AuditEntry.seq)
        )
        assert [tuple(row) for row in rows] == [("coupon.added", "command-line"), ("coupon.ended", "command-line")]
