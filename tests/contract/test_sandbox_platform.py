"""The simulated platform keeps the contract of platforms, through a network that fails."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Final

import pytest

from adapters.platforms.sandbox import SandboxPlatform
from domain.errors import Conflict
from ports.platform import AccountChanged, BalanceOperation, Deal, TradingPlatform
from sandbox.venue import PendingEvent, Venue
from tests.contract.faults import IMPATIENT_SECONDS, Fault, pytest_generate_tests
from tests.contract.platform_contract import CALLS, READS, PlatformContract, PlatformWorld, new_key
from tests.contract.sandbox_process import TOKEN
from tests.contract.sandbox_thread import SandboxThread, sandbox_thread

__all__ = ["pytest_generate_tests"]
_EVENTS: Final[dict[str, Callable[[PendingEvent], bool]]] = {
    "balance_operation": lambda each: isinstance(each.event, BalanceOperation),
    "set_trading": lambda each: isinstance(each.event, AccountChanged) and each.event.change == "enabled",
    "close_positions": lambda each: isinstance(each.event, Deal) and each.event.reason == "dealer",
}

# calls that no event tells: what their rows of known keys begin with
_KEYS: Final = {
    "set_close_only": "close-only:",
    "set_stopped": "stop:",
    "create_credentials": "password:",
    "reset_credentials": "password:",
}


class SandboxWorld(PlatformWorld):
    def __init__(self, sandbox: SandboxThread) -> None:
        self._proxy = sandbox.proxy
        self._venue: Venue = sandbox.market.venue
        self._journal = sandbox.market.journal
        self.platform = SandboxPlatform(url=sandbox.url, token=TOKEN, timeout=60)
        self._impatient = SandboxPlatform(url=sandbox.url, token=TOKEN, timeout=IMPATIENT_SECONDS)

    async def account(self) -> int:
        venue = self._venue
        venue.access.set_stopped(new_key(), None, False)
        login = venue.create_account(new_key(), "two-step/1", "USD", 100)
        venue.balance_operation(login, new_key(), "deposit", 1000_00)
        venue.set_trading(login, new_key(), enabled=True)
        venue.quotes["EURUSD"] = (Decimal("1.10000"), Decimal("1.10000"))
        venue.quoted_at["EURUSD"] = venue.now_us
        for number in range(2):
            venue.order(login, "EURUSD", "buy", Decimal("0.01"), key=f"{login}/{number}")
        venue.set_trading(login, new_key(), enabled=False)
        venue.account(login).balance_minor = 1000_00  # without the commission
        return login

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        with self._proxy.failing(fault, "GET" if call in READS else "POST"):
            yield self._impatient if fault == "slow" else self.platform

    def count(self, call: str) -> int:
        if call == "create_account":
            return len(self._venue.accounts)
        if call in _EVENTS:
            events = sum(map(_EVENTS[call], self._venue.pending))
            return events // 2 if call == "close_positions" else events
        if call in _KEYS:
            return sum(given != [False] for _, (given, _) in self._journal.all("key", _KEYS[call]))
        return self._venue.locks

    def opens(self, login: int) -> bool:
        try:
            self._venue.order(login, "EURUSD", "buy", Decimal("0.01"))
        except Conflict:
            return False
        return True

    def signs_in(self, login: int, password: str) -> bool:
        return self._venue.access.is_password(login, password)

    async def aclose(self) -> None:
        await self.platform.aclose()
        await self._impatient.aclose()


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxThread]:
    with sandbox_thread(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


class TestSandboxPlatform(PlatformContract):
    calls, reads = tuple(call for call in CALLS if call != "cancel_orders"), tuple(READS)  # it has no pending orders

    @pytest.fixture
    async def world(self, sandbox: SandboxThread) -> AsyncIterator[PlatformWorld]:
        world = SandboxWorld(sandbox)
        yield world
        await world.aclose()
