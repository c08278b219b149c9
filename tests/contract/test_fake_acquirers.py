"""The hand-written acquirers, statements and identity checks keep the contracts for every call that they have."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import cast

import pytest

from adapters.identity.manual import ManualChecker
from ports.acquirer import Acquirer, Checkout
from ports.statements import StatementSource
from tests import api_world, challenge_world, payout_world
from tests.contract import acquirer_contract, statement_contract
from tests.contract.acquirer_contract import AcquirerContract, AcquirerWorld
from tests.contract.faults import Fault, faulty, pytest_generate_tests
from tests.contract.identity_contract import IdentityContract, IdentityWorld
from tests.contract.statement_contract import StatementContract, StatementWorld

__all__ = ["pytest_generate_tests"]


class ChallengeAcquirerWorld(AcquirerWorld):
    def __init__(self) -> None:
        self.provider = challenge_world.Provider()
        self.acquirer = cast(Acquirer, self.provider)

    async def pay(self, checkout: Checkout) -> None:
        self.provider.becomes(checkout.checkout_id, "paid")

    async def dispute(self, checkout: Checkout) -> str:
        return self.provider.disputes(checkout.checkout_id)

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[Acquirer]:
        yield faulty(self.acquirer, fault, frozenset({call}))

    async def made(self, key: str) -> int:
        return sum(each.key == key for each in self.provider.checkouts.values())


class ApiAcquirerWorld(AcquirerWorld):
    def __init__(self) -> None:
        self.provider = api_world.FakePayments()
        self.acquirer = cast(Acquirer, self.provider)

    async def pay(self, checkout: Checkout) -> None:
        raise NotImplementedError

    async def dispute(self, checkout: Checkout) -> str:
        raise NotImplementedError

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[Acquirer]:
        yield faulty(self.acquirer, fault, frozenset({call}))

    async def made(self, key: str) -> int:
        return sum(each.key == key for each in self.provider.checkouts.values())


class TestChallengeProvider(AcquirerContract):
    calls = tuple(acquirer_contract.CALLS)

    @pytest.fixture
    async def world(self) -> AcquirerWorld:
        return ChallengeAcquirerWorld()


class TestApiPayments(AcquirerContract):
    calls = ("create_checkout",)

    @pytest.fixture
    async def world(self) -> AsyncIterator[AcquirerWorld]:
        world = ApiAcquirerWorld()
        yield world
        await world.acquirer.aclose()


class ChallengeStatementWorld(StatementWorld):
    def __init__(self) -> None:
        self._provider = challenge_world.Provider()
        self.source = cast(StatementSource, self._provider)

    async def move(self, number: int) -> None:
        key = acquirer_contract.new_key()
        made = await self._provider.create_checkout(statement_contract.order(number), key=key)
        self._provider.moves("charge", made.checkout_id, made.amount_minor)


class PayoutStatementWorld(StatementWorld):
    def __init__(self) -> None:
        self._provider = payout_world.Provider()
        self.source = cast(StatementSource, self._provider)

    async def move(self, number: int) -> None:
        self._provider.enter("charge", f"ch_{number}", f"chl_{number}", 499_00)


class TestChallengeStatements(StatementContract):
    @pytest.fixture
    async def world(self) -> StatementWorld:
        return ChallengeStatementWorld()


class TestPayoutStatements(StatementContract):
    @pytest.fixture
    async def world(self) -> StatementWorld:
        return PayoutStatementWorld()


class ManualWorld(IdentityWorld):
    def __init__(self) -> None:
        self.checker = ManualChecker()


class TestManualChecker(IdentityContract):
    """It asks nobody and stores nothing, so no call of it can fail."""

    @pytest.fixture
    async def world(self) -> IdentityWorld:
        return ManualWorld()
