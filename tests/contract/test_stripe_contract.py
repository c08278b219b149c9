"""The Stripe adapters keep the contracts of acquirers, statements and identity checks, through a network that fails."""

import json
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import pytest

from adapters.stripe.acquirer import StripeAcquirer
from adapters.stripe.client import EventSettings
from adapters.stripe.identity import StripeIdentity
from adapters.stripe.statements import StatementSettings, StripeStatements
from ports.acquirer import Acquirer, Checkout
from ports.identity import IdentityChecker
from ports.statements import StatementSource
from tests.contract import acquirer_contract, identity_contract, statement_contract
from tests.contract.acquirer_contract import AcquirerContract, AcquirerWorld
from tests.contract.fake_stripe import KEY, Shop, open_shop
from tests.contract.faults import (
    IMPATIENT_SECONDS,
    Answer,
    Asked,
    Fault,
    FaultProxy,
    Refusals,
    pytest_generate_tests,
)
from tests.contract.identity_contract import IdentityContract, IdentityWorld
from tests.contract.statement_contract import StatementContract, StatementWorld

__all__ = ["pytest_generate_tests"]


def _error(status: int, type: str, code: str, **headers: str) -> Answer:
    body = {"error": {"type": type, "code": code, "message": "No."}}
    return Answer(status, json.dumps(body).encode(), {"content-type": "application/json", **headers})


def _stored(asked: Asked) -> Answer:
    """A stored answer to this very key, as Stripe repeats it."""
    repeated = {"idempotent-replayed": "true", "idempotency-key": asked.headers["idempotency-key"]}
    return _error(400, "invalid_request_error", "parameter_invalid_integer", **repeated)


REFUSALS: Refusals = {
    "in use": lambda asked: _error(409, "idempotency_error", "idempotency_key_in_use"),
    "refused": _stored,
    "too many": lambda asked: _error(429, "invalid_request_error", "rate_limit"),
    "busy": lambda asked: _error(503, "api_error", "unavailable"),
}
BUSY: Mapping[Fault, str] = MappingProxyType({"busy": "a 5xx of Stripe does not say that nothing happened"})


@dataclass
class _Stripe:
    shop: Shop
    proxy: FaultProxy

    def settings(self, timeout: float) -> dict[str, Any]:
        return {"key": KEY, "url": f"{self.proxy.url}/stripe", "timeout": timeout}

    def events(self, timeout: float) -> EventSettings:
        return EventSettings.model_validate({**self.settings(timeout), "webhook_secrets": "whsec_contract"})

    def pay(self, checkout: Checkout) -> None:
        url = checkout.url.replace(self.proxy.url, self.shop.sandbox.url)
        assert self.shop.submit(url, outcome="card").status_code == 303


@pytest.fixture(scope="module")
def stripe(tmp_path_factory: pytest.TempPathFactory) -> Iterator[_Stripe]:
    with open_shop(tmp_path_factory.mktemp("stripe")) as shop:
        proxy = FaultProxy(shop.sandbox.url, REFUSALS)
        yield _Stripe(shop, proxy)
        proxy.close()


class StripeAcquirerWorld(AcquirerWorld):
    def __init__(self, stripe: _Stripe) -> None:
        self._stripe = stripe
        self.acquirer = StripeAcquirer("stripe", stripe.events(60))
        self.impatient = StripeAcquirer("stripe", stripe.events(IMPATIENT_SECONDS))

    async def pay(self, checkout: Checkout) -> None:
        self._stripe.pay(checkout)

    async def dispute(self, checkout: Checkout) -> str:
        return str(self._stripe.shop.desk("disputes", payment=checkout.checkout_id)["id"])

    @contextmanager
    def fault(self, fault: Fault, call: str) -> Iterator[Acquirer]:
        with self._stripe.proxy.failing(fault, "POST" if call in acquirer_contract.CALLS else "GET"):
            yield self.impatient if fault == "slow" else self.acquirer

    async def made(self, key: str) -> int:
        sessions = await self._stripe.shop.client().v1.checkout.sessions.list_async({"limit": 100})
        return sum(
            each.metadata is not None and each.metadata.to_dict().get("propos_key") == key for each in sessions.data
        )

    async def aclose(self) -> None:
        await self._stripe.shop.aclose()
        await self.acquirer.aclose()
        await self.impatient.aclose()


class TestStripeAcquirer(AcquirerContract):
    calls, reads = tuple(acquirer_contract.CALLS), tuple(acquirer_contract.READS)
    impossible = BUSY

    @pytest.fixture
    async def world(self, stripe: _Stripe) -> AsyncIterator[AcquirerWorld]:
        world = StripeAcquirerWorld(stripe)
        yield world
        await world.aclose()


class StripeStatementWorld(StatementWorld):
    def __init__(self, stripe: _Stripe) -> None:
        self._stripe = stripe
        self._acquirer = StripeAcquirer("stripe", stripe.events(60))
        self.source, self.impatient = (
            StripeStatements("stripe", StatementSettings.model_validate(stripe.settings(timeout)))
            for timeout in (60, IMPATIENT_SECONDS)
        )

    async def move(self, number: int) -> None:
        order = statement_contract.order(number)
        self._stripe.pay(await self._acquirer.create_checkout(order, key=acquirer_contract.new_key()))

    @contextmanager
    def fault(self, fault: Fault) -> Iterator[StatementSource]:
        with self._stripe.proxy.failing(fault, "GET"):
            yield self.impatient if fault == "slow" else self.source

    async def aclose(self) -> None:
        for each in (self._acquirer, self.source, self.impatient):
            await each.aclose()


class TestStripeStatements(StatementContract):
    reads = tuple(statement_contract.READS)

    @pytest.fixture
    async def world(self, stripe: _Stripe) -> AsyncIterator[StatementWorld]:
        world = StripeStatementWorld(stripe)
        yield world
        await world.aclose()


class StripeIdentityWorld(IdentityWorld):
    def __init__(self, stripe: _Stripe) -> None:
        self._stripe = stripe
        self.checker = StripeIdentity("stripe", stripe.events(60))
        self.impatient = StripeIdentity("stripe", stripe.events(IMPATIENT_SECONDS))

    @contextmanager
    def fault(self, fault: Fault, method: str) -> Iterator[IdentityChecker]:
        with self._stripe.proxy.failing(fault, method):
            yield self.impatient if fault == "slow" else self.checker

    async def aclose(self) -> None:
        await self.checker.aclose()
        await self.impatient.aclose()


class TestStripeIdentity(IdentityContract):
    calls, reads = tuple(identity_contract.CALLS), tuple(identity_contract.READS)
    impossible = BUSY

    @pytest.fixture
    async def world(self, stripe: _Stripe) -> AsyncIterator[IdentityWorld]:
        world = StripeIdentityWorld(stripe)
        yield world
        await world.aclose()
