"""The adapter of DXtrade keeps the contract of platforms, on a venue whose wire fails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import pytest

from adapters.dxtrade.platform import Dxtrade
from ports.platform import TradingPlatform
from sandbox.dxtrade.faults import CallFault
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.faults import HAPPENS, IMPATIENT_SECONDS, Fault, pytest_generate_tests
from tests.contract.platform_contract import OF_ALL, READS, PlatformContract, PlatformWorld, new_key

__all__ = ["pytest_generate_tests"]

_KINDS: Final[dict[Fault, CallFault]] = {
    "refused": "refused",
    "too many": "too_many",
    "busy": "busy",
    "cut before": "cut_before",
    "cut after": "cut_after",
    "failed after": "failed_after",
    "garbage": "half_body",
    "slow": "held_after",
}
# The call of the wire that a call of the port ends in. A lock begins with one write and ends with another.
_ENDS: Final = {
    "create_account": "^POST .*/register/client/[^ ]*/account",
    "balance_operation": "^PUT .*/(deposit|withdrawal|adjustment)/",
    "set_trading": "^PUT .*/register/account/",
    "lock": "^PUT .*NO_TRADING",
    "close_positions": "^POST .*/orders",
    "cancel_orders": "^DELETE .*/orders/",
    "set_close_only": "^PUT .*CLOSE_ONLY",
    "create_credentials": "^PUT .*/register/client/",
    "reset_credentials": "^PUT .*/register/client/",
}
_LOCK_BEGINS: Final = "^PUT .*CLOSE_ONLY"
# The questions that a question of the port asks.
_ASKS: Final = "^GET "


class DxtradeWorld(PlatformWorld):
    def __init__(self, venue: DxtradeThread) -> None:
        self._venue = venue
        self.platform = Dxtrade("live", venue.settings())
        self._impatient = Dxtrade("live", venue.settings(timeout=IMPATIENT_SECONDS))

    async def account(self) -> int:
        venue, platform = self._venue, self.platform
        login = await platform.create_account(key=new_key(), group="two-step/1", currency="USD", leverage=100)
        await platform.balance_operation(login, key=new_key(), operation="deposit", amount_minor=1000_00)
        await platform.set_trading(login, key=new_key(), enabled=True)
        venue.quote("EURUSD", "1.10000", "1.10000")
        for number in range(2):
            venue.order(login, f"trader-{number}")
        await platform.set_trading(login, key=new_key(), enabled=False)
        venue.set_balance(login, "1000.00")  # without the commission
        return login

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        match = _ASKS if call in READS else _ENDS[call]
        if call == "lock" and fault not in HAPPENS:
            match = _LOCK_BEGINS
        with self._venue.failing(_KINDS[fault], match):
            yield self._impatient if fault == "slow" else self.platform

    def count(self, call: str) -> int:
        accounts = self._venue.fake.venue.accounts.values()
        if call == "create_account":
            return len(accounts)
        if call == "balance_operation":
            return sum(len(account.requests) for account in accounts)
        if call == "close_positions":
            fills = sum(
                len(order.executions) for each in accounts for order in each.orders.values() if order.effect == "CLOSE"
            )
            return fills // 2
        if call == "cancel_orders":
            return sum(order.status == "CANCELED" for each in accounts for order in each.orders.values())
        if call in ("create_credentials", "reset_credentials"):
            return sum(client.get("changed", 0) for client in self._venue.fake.venue.clients.values())
        if call == "set_close_only":
            return sum(account.statuses.count("CLOSE_ONLY") for account in accounts)
        wanted = "FULL_TRADING" if call == "set_trading" else "NO_TRADING"
        return sum(account.statuses.count(wanted) for account in accounts)

    async def place_order(self, login: int) -> None:
        self._venue.account(login).status = "FULL_TRADING"
        self._venue.order(login, f"limit-{new_key()}", type="LIMIT", limitPrice=1.05)
        self._venue.account(login).status = "NO_TRADING"

    def orders(self, login: int) -> int:
        return sum(order.status == "WORKING" for order in self._venue.account(login).orders.values())

    def opens(self, login: int) -> bool:
        try:
            self._venue.order(login, f"try-{new_key()}")
        except AssertionError:
            return False
        return True

    def signs_in(self, login: int, password: str) -> bool:
        return bool(self._venue.fake.venue.clients[f"default/{login}"]["password"] == password)

    async def aclose(self) -> None:
        await self.platform.aclose()
        await self._impatient.aclose()


@pytest.fixture(scope="module")
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        yield running


class TestDxtrade(PlatformContract):
    calls, reads = tuple(_ENDS), OF_ALL
    impossible = MappingProxyType(
        {"in use": "the venue has no answer that says so: a repeat under the same id is done"}
    )

    @pytest.fixture
    async def world(self, venue: DxtradeThread) -> AsyncIterator[PlatformWorld]:
        world = DxtradeWorld(venue)
        yield world
        await world.aclose()
