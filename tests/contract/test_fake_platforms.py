"""The hand-written platforms of the tests keep the contract of platforms for every call that they have."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from decimal import Decimal
from typing import cast

import pytest

from ports.platform import PositionState, TradingPlatform
from tests import challenge_world, payout_world
from tests.contract.faults import Fault, faulty, pytest_generate_tests
from tests.contract.platform_contract import PlatformContract, PlatformWorld, new_key

__all__ = ["pytest_generate_tests"]


@dataclass
class _Fake(PlatformWorld):
    platform: TradingPlatform

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[TradingPlatform]:
        yield faulty(self.platform, fault, frozenset({call}))


class ChallengeVenue(_Fake):
    def __init__(self) -> None:
        self.venue = challenge_world.Venue()
        super().__init__(cast(TradingPlatform, self.venue))

    async def account(self) -> int:
        login = await self.venue.create_account(key=new_key(), group="two-step/1", currency="USD", leverage=100)
        await self.venue.balance_operation(login, key=new_key(), operation="deposit", amount_minor=1000_00)
        self.venue.seats[login].positions = [_position(f"{login}-{number}") for number in (1, 2)]
        return login

    def count(self, call: str) -> int:
        if call == "create_account":
            return len(self.venue.seats)
        if call == "balance_operation":
            return sum(seat.balance_minor for seat in self.venue.seats.values()) // 500_00
        if call == "lock":
            return sum(len(seat.locks) for seat in self.venue.seats.values())
        scope = {"set_trading": "trading:", "close_positions": "close:"}[call]
        return sum(key.startswith(scope) for key in self.venue.keys)


class PayoutVenue(_Fake):
    def __init__(self) -> None:
        self.venue = payout_world.Venue()
        super().__init__(cast(TradingPlatform, self.venue))

    async def account(self) -> int:
        login = len(self.venue.balances) + 1
        self.venue.balances[login] = 1000_00
        return login

    def count(self, call: str) -> int:
        return sum(self.venue.balances.values()) // 500_00


def _position(position_id: str) -> PositionState:
    return PositionState(
        position_id=position_id,
        symbol="EURUSD",
        side="buy",
        lots=Decimal("0.01"),
        open_price=Decimal("1.1"),
        opened_at=challenge_world.START,
    )


class TestChallengeVenue(PlatformContract):
    calls = ("create_account", "balance_operation", "set_trading", "lock", "close_positions")

    @pytest.fixture
    async def world(self) -> PlatformWorld:
        return ChallengeVenue()


class TestPayoutVenue(PlatformContract):
    calls = ("balance_operation",)

    @pytest.fixture
    async def world(self) -> PlatformWorld:
        return PayoutVenue()
