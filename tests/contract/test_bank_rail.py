"""The bank rail keeps the contract of rails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType

import pytest

from ports.rail import Beneficiary
from tests.bank_world import BankWorld, FlakyConnection, flaky, locked, payee
from tests.contract.rail_contract import Fault, RailContract, RailWorld


class BankRailWorld(RailWorld):
    def __init__(self, folder: Path) -> None:
        self.bank = BankWorld(folder, flaky)
        self.rail = self.bank.rail

    def payable(self, number: int) -> Beneficiary:
        return payee(f"stays {number}")

    def returning(self) -> Beneficiary:
        return payee("a", "Mister closed-account")

    def refused(self) -> Beneficiary:
        return Beneficiary(account="DE88370400440532013000", name="Ada Lovelace")

    def malformed(self) -> Beneficiary | None:
        return self.refused()

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[None]:
        if fault == "retry later":
            with locked(self.bank.folder):
                yield
            return
        FlakyConnection.at_commit = "after" if fault == "unknown, done" else "before"
        try:
            yield
        finally:
            FlakyConnection.at_commit = ""

    async def pass_time(self) -> None:
        await self.bank.advance(6)

    def arrived(self) -> list[tuple[str, int]]:
        return self.bank.booked()


class TestBankRail(RailContract):
    impossible = MappingProxyType(
        {"in progress": "an order is made in one transaction, and a second call waits for it"}
    )

    @pytest.fixture
    async def world(self, tmp_path: Path) -> AsyncIterator[RailWorld]:
        world = BankRailWorld(tmp_path)
        yield world
        await world.bank.close()
