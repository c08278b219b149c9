"""The acquirer and the statements of the simulated provider keep their contracts, through a network that fails."""

from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from adapters.payments.sandbox import SandboxPayments
from ports.acquirer import Acquirer, Checkout
from ports.statements import StatementSource
from tests.contract import acquirer_contract, statement_contract
from tests.contract.acquirer_contract import AcquirerContract, AcquirerWorld
from tests.contract.faults import IMPATIENT_SECONDS, Fault, pytest_generate_tests
from tests.contract.sandbox_process import SECRET, TOKEN
from tests.contract.sandbox_thread import SandboxThread, sandbox_thread
from tests.contract.statement_contract import StatementContract, StatementWorld

__all__ = ["pytest_generate_tests"]


class _World:
    def __init__(self, sandbox: SandboxThread) -> None:
        self._proxy, self._provider = sandbox.proxy, sandbox.market.provider
        self._http = httpx.AsyncClient(
            base_url=sandbox.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=60, trust_env=False
        )
        self.adapter = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET, timeout=60)
        self.impatient = SandboxPayments(url=sandbox.url, token=TOKEN, webhook_secret=SECRET, timeout=IMPATIENT_SECONDS)

    async def pay(self, checkout: Checkout) -> None:
        assert (await self._http.post(f"/pay/{checkout.checkout_id}", data={"outcome": "paid"})).status_code == 303

    async def _post(self, path: str, **body: Any) -> None:
        (await self._http.post(path, json=body)).raise_for_status()

    async def aclose(self) -> None:
        await self._http.aclose()
        await self.adapter.aclose()
        await self.impatient.aclose()


class SandboxAcquirerWorld(_World, AcquirerWorld):
    def __init__(self, sandbox: SandboxThread) -> None:
        super().__init__(sandbox)
        self.acquirer = self.adapter

    async def dispute(self, checkout: Checkout) -> str:
        await self._post(f"/provider/checkouts/{checkout.checkout_id}/dispute", stage="evidence_due")
        (chargeback,) = (await self.adapter.fetch_checkout(checkout.checkout_id)).chargebacks
        return chargeback

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[Acquirer]:
        with self._proxy.failing(fault, "POST" if call in acquirer_contract.CALLS else "GET"):
            yield self.impatient if fault == "slow" else self.adapter

    async def made(self, key: str) -> int:
        return sum(each["key"] == key for each in self._provider._checkouts.values())


class SandboxStatementWorld(_World, StatementWorld):
    def __init__(self, sandbox: SandboxThread) -> None:
        super().__init__(sandbox)
        self.source = self.adapter

    async def move(self, number: int) -> None:
        it = await self.adapter.create_checkout(statement_contract.order(number), key=acquirer_contract.new_key())
        await self.pay(it)

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[StatementSource]:
        with self._proxy.failing(fault, "GET"):
            yield self.impatient if fault == "slow" else self.adapter


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxThread]:
    with sandbox_thread(tmp_path_factory.mktemp("sandbox")) as running:
        yield running


class TestSandboxAcquirer(AcquirerContract):
    calls, reads = tuple(acquirer_contract.CALLS), tuple(acquirer_contract.READS)

    @pytest.fixture
    async def world(self, sandbox: SandboxThread) -> AsyncIterator[AcquirerWorld]:
        world = SandboxAcquirerWorld(sandbox)
        yield world
        await world.aclose()


class TestSandboxStatements(StatementContract):
    reads = ("entries", "healthy")  # it tells no balances

    @pytest.fixture
    async def world(self, sandbox: SandboxThread) -> AsyncIterator[StatementWorld]:
        world = SandboxStatementWorld(sandbox)
        yield world
        await world.aclose()
