"""The adapter for MT5 keeps the contract of platforms, against a fake access server that fails at each call."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Final

import pytest

from adapters.mt5.platform import Mt5Platform
from ports.platform import TradingPlatform
from sandbox.mt5 import values
from sandbox.mt5.faults import Fault as Failure
from sandbox.mt5.state import User
from tests.contract.fake_mt5 import RunningFake, running_fake
from tests.contract.faults import IMPATIENT_SECONDS, Fault, pytest_generate_tests
from tests.contract.platform_contract import OF_ALL, PlatformContract, PlatformWorld

__all__ = ["pytest_generate_tests"]
# the call of the wire that has the effect, or asks the question
_PATHS: Final = {
    "create_account": "/api/user/add",
    "balance_operation": "/api/trade/balance",
    "set_trading": "/api/user/update",
    "lock": "/api/dealer/send_request",
    "close_positions": "/api/dealer/send_request",
    "cancel_orders": "/api/dealer/send_request",
    "create_credentials": "/api/user/change_password",
    "reset_credentials": "/api/user/change_password",
    "find_account": "/api/user/get",
    "find_balance_operation": "/api/deal/get_page",
    "snapshot": "/api/position/get_page",
    "symbols": "/api/symbol/get",
    "deals": "/api/deal/get_page",
    "healthy": "/api/time/server",
}
_KINDS: Final[Mapping[Fault, str]] = {
    "too many": "too_many",
    "busy": "busy",
    "cut before": "cut_before",
    "cut after": "cut_after",
    "failed after": "failed_after",
    "garbage": "garbage",
    "slow": "slow",
}


class Mt5World(PlatformWorld):
    def __init__(self, fake: RunningFake) -> None:
        self._fake = fake
        self.platform = Mt5Platform("mt5", fake.settings())
        self._impatient = Mt5Platform("mt5", fake.settings(timeout=str(IMPATIENT_SECONDS)))

    async def account(self) -> int:
        return self._fake.account()

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        with self._fake.faults(Failure(_KINDS[fault], _PATHS[call], times=None)):
            yield self._impatient if fault == "slow" else self.platform

    def count(self, call: str) -> int:
        state = self._fake.fake.state
        if call == "create_account":
            return sum("PassMain" not in user.record and user.record["Comment"] != "PropOS test" for user in self.users)
        if call == "balance_operation":
            return sum(deal.action == values.BALANCE and deal.comment != "" for deal in state.deals.values())
        if call == "set_trading":
            return sum(not after & values.TRADE_DISABLED for _, _, after in state.rights_written)
        if call == "cancel_orders":
            return sum(order.state == values.ORDER_CANCELLED for order in state.history.values())
        if call in ("create_credentials", "reset_credentials"):
            return sum(len(user.passwords) for user in self.users)
        closed = sum(deal.reason == values.BY_DEALER and deal.entry == values.OUT for deal in state.deals.values())
        assert closed % 2 == 0, "each account has two positions"
        return closed // 2

    async def place_order(self, login: int) -> None:
        self._fake.control("pending", login=login, symbol="EURUSD", type=2, lots="0.01", price="1.05")

    def orders(self, login: int) -> int:
        return sum(order.login == login for order in self._fake.fake.state.orders.values())

    def signs_in(self, login: int, password: str) -> bool:
        return self._fake.fake.state.users[login].passwords[-1:] == [password]

    @property
    def users(self) -> list[User]:
        return list(self._fake.fake.state.users.values())

    async def aclose(self) -> None:
        await self.platform.aclose()
        await self._impatient.aclose()


@pytest.fixture(scope="module")
def fake() -> Iterator[RunningFake]:
    with running_fake() as running:
        yield running


class TestMt5Platform(PlatformContract):
    # the live calls go through the gateway, which has a suite of its own
    calls = (
        *("create_account", "balance_operation", "set_trading", "lock", "close_positions", "cancel_orders"),
        *("create_credentials", "reset_credentials"),
    )
    reads = OF_ALL
    impossible = MappingProxyType(
        {
            "in use": "MT5 knows no keys: nobody can say that an earlier call under one is not finished",
            "refused": "MT5 knows no keys: it refuses a call, and the next one under the same key may go well",
        }
    )

    @pytest.fixture
    async def world(self, fake: RunningFake) -> AsyncIterator[PlatformWorld]:
        world = Mt5World(fake)
        yield world
        await world.aclose()
