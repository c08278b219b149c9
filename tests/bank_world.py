"""The bank rail and its statement source on a folder, with the simulated bank on a clock of the test."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from adapters.bank.config import BankSettings
from adapters.bank.link import BankLink
from adapters.bank.rail import BankRail
from adapters.bank.statements import BankStatements
from adapters.bank.store import Connect, connect
from ports.rail import Beneficiary, TransferOrder
from sandbox.bank.bank import SandboxBank
from sandbox.bank.ibans import BIC, firm_iban, iban_of
from sandbox.instants import to_us
from sandbox.journal import Journal

MONDAY: Final = datetime(2026, 3, 2, 9, tzinfo=UTC)  # 10 o'clock at the bank
CURRENCIES: Final = ("EUR", "JPY", "KWD")


def bank_settings(folder: Path, **changes: str) -> BankSettings:
    given = {
        "folder": str(folder),
        "accounts": ", ".join(f"{currency}:{firm_iban(currency)}:{BIC}" for currency in CURRENCIES),
        "holder": "Prop Firm GmbH",
        "clock": "bank",
        "collect_minutes": "0",
        "settlements_from": "STRIPE",
        "first_statement": "1",
    }
    return BankSettings.model_validate(given | changes)


def payee(text: str, name: str = "Ada Lovelace") -> Beneficiary:
    return Beneficiary(account=iban_of(text), name=name)


def order(number: int, *, currency: str = "EUR", name: str = "Ada Lovelace", amount_minor: int = 0) -> TransferOrder:
    return TransferOrder(
        key=f"trf-{number:026d}",
        reference=f"pay_{number:026d}",
        amount_minor=amount_minor or 1000_00 + number,
        currency=currency,
        beneficiary=payee(str(number), name),
    )


class BankWorld:
    """`advance` moves the bank's clock, in steps of an hour, and lets the firm exchange files at each."""

    def __init__(self, folder: Path, connect: Connect = connect, **changes: str) -> None:
        self.folder, self.settings = folder / "bank", bank_settings(folder / "bank", **changes)
        self._connect = connect
        self._journal = Journal(folder / "sandbox")
        self.now = MONDAY
        self.given_out: list[str] = []  # our files, each time that the bank finds one
        self.bank = self._started()
        self.link = BankLink(self.settings, connect)
        self.rail, self.statements = BankRail("bank", self.link), BankStatements("bank", BankLink(self.settings))
        self.tick()

    def _started(self) -> SandboxBank:
        bank = SandboxBank(self.folder, CURRENCIES)
        bank.restore({kind: list(self._journal.all(kind)) for kind in bank.kinds}, to_us(self.now))
        return bank

    def crash(self, after_journal: bool) -> None:
        """The next hour of the bank, killed before its journal is written or right after it."""
        self.bank.advance(to_us(self.now + timedelta(hours=1)))
        if after_journal:
            self._journal.write(self.bank.drain())
            self.now += timedelta(hours=1)
        self.bank = self._started()

    def tick(self, hours: int = 0) -> None:
        self.now += timedelta(hours=hours)
        self.given_out += self.names("out")
        self.bank.advance(to_us(self.now))
        self._journal.write(self.bank.drain())
        self.bank.committed()

    async def restart_firm(self) -> None:
        """A new process of the firm. The one that died leaves its files as they are."""
        await self.rail.aclose()
        self.link = BankLink(self.settings, self._connect)
        self.rail = BankRail("bank", self.link)

    async def advance(self, days: int) -> None:
        for _ in range(days * 24):
            await self.rail.events(None)
            self.tick(1)
        await self.rail.events(None)

    async def problems(self) -> list[tuple[str, str]]:
        return [(event.kind, event.problem) for event in await self.rail.events(None) if event.problem]

    async def moved(self) -> list[tuple[str, str, int]]:
        """(kind, reference, amount) of every entry, fees apart."""
        found = await self.statements.entries(None)
        return [(each.kind, each.reference, each.amount_minor) for each in found if each.kind != "fee"]

    def booked(self) -> list[tuple[str, int]]:
        """(key, amount) of each payment that the bank made, by its own journal."""
        return [(payment["key"], payment["amount_minor"]) for _, payment in self._journal.all("bank_booked")]

    def names(self, part: str) -> list[str]:
        return sorted(path.name for path in (self.folder / part).glob("[!.]*"))

    async def close(self) -> None:
        await self.rail.aclose()
        await self.statements.aclose()
        self._journal.close()


class FlakyConnection(sqlite3.Connection):
    """SQLite on a disk that fails at the commit: before it is written, or after."""

    at_commit: str = ""

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT" and FlakyConnection.at_commit:
            super().execute("COMMIT" if FlakyConnection.at_commit == "after" else "ROLLBACK")
            raise sqlite3.OperationalError("disk I/O error")
        return super().execute(sql, parameters)


def flaky(path: Path) -> sqlite3.Connection:
    """Waits for nobody and fails at the commit when told so."""
    return sqlite3.connect(path, timeout=0.05, isolation_level=None, check_same_thread=False, factory=FlakyConnection)


class Died(BaseException):
    """The process was killed. Nothing of the firm handles it."""


class DyingConnection(sqlite3.Connection):
    """A process that is killed at a commit: before it is written, or after. `left`: commits until then."""

    left: int = 0
    after: bool = False

    def execute(self, sql: str, parameters: Any = (), /) -> sqlite3.Cursor:
        if sql == "COMMIT" and DyingConnection.left:
            DyingConnection.left -= 1
            if DyingConnection.left == 0:
                if DyingConnection.after:
                    super().execute(sql)
                raise Died
        return super().execute(sql, parameters)


def dying(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=30, isolation_level=None, check_same_thread=False, factory=DyingConnection)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Another process holds the record."""
    other = sqlite3.connect(folder / "rail.sqlite3", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()
