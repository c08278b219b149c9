"""What every acquirer must do, however a call goes wrong. An acquirer's own test module makes an `AcquirerWorld` and
subclasses `AcquirerContract`, as platform_contract.py shows."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Final
from uuid import uuid4

import pytest

from domain.errors import Conflict, IdempotencyMismatch, NotFound, RefusedForGood, Unavailable
from ports.acquirer import Acquirer, Checkout, CheckoutOrder, Evidence
from tests.contract.faults import HAPPENS, RAISES, Fault, Suite, check_class

RETURN_URL: Final = "https://firm.example/back"
EVIDENCE: Final = Evidence(
    product_description="An evaluation",
    service_date="2026-01-02",
    access_activity_log="Signed in",
    uncategorized_text="The buyer traded.",
)


class AcquirerWorld(ABC):
    """An acquirer and the other side, which the test controls."""

    acquirer: Acquirer

    @abstractmethod
    async def pay(self, checkout: Checkout) -> None:
        """The buyer pays."""

    @abstractmethod
    async def dispute(self, checkout: Checkout) -> str:
        """The buyer's bank asks for a paid fee back. Returns the id of the chargeback."""

    @abstractmethod
    def fault(self, fault: Fault, call: str) -> AbstractContextManager[Acquirer]:
        """Yields the acquirer; its next calls of this name end so."""

    @abstractmethod
    async def made(self, key: str) -> int:
        """Returns how many checkouts there are under this key, by the other side's own record."""


@dataclass(frozen=True)
class Subject:
    """What a call is about: a checkout (open for `expire_checkout`, else paid) and a chargeback of it, and a key."""

    checkout_id: str
    chargeback_id: str
    key: str
    order: CheckoutOrder


Step = Callable[[Acquirer, Subject], Awaitable[Any]]


@dataclass(frozen=True)
class Call:
    """`make` calls with the key; `found` says whether its effect is there, by the port's own look-up."""

    make: Step
    found: Callable[[Acquirer, Subject], Awaitable[bool]]


async def _has_checkout(acquirer: Acquirer, it: Subject) -> bool:
    return await acquirer.find_checkout(it.key) is not None


async def _is_expired(acquirer: Acquirer, it: Subject) -> bool:
    return (await acquirer.fetch_checkout(it.checkout_id)).status == "expired"


async def _is_refunded(acquirer: Acquirer, it: Subject) -> bool:
    found = await acquirer.find_refund(it.checkout_id, it.key)
    every = await acquirer.refunds(it.checkout_id)
    assert len(every) == (found is not None), "once"
    return found is not None


async def _is_answered(acquirer: Acquirer, it: Subject) -> bool:
    return (await acquirer.fetch_chargeback(it.chargeback_id)).status not in ("evidence_due", "inquiry")


CALLS: Final = {
    "create_checkout": Call(lambda acquirer, it: acquirer.create_checkout(it.order, key=it.key), _has_checkout),
    "expire_checkout": Call(lambda acquirer, it: acquirer.expire_checkout(it.checkout_id, key=it.key), _is_expired),
    "refund": Call(lambda acquirer, it: acquirer.refund(it.checkout_id, key=it.key, amount_minor=100_00), _is_refunded),
    "submit_evidence": Call(
        lambda acquirer, it: acquirer.submit_evidence(it.chargeback_id, EVIDENCE, key=it.key), _is_answered
    ),
    "accept_chargeback": Call(
        lambda acquirer, it: acquirer.accept_chargeback(it.chargeback_id, key=it.key), _is_answered
    ),
}
READS: Final[dict[str, Step]] = {
    "fetch_checkout": lambda acquirer, it: acquirer.fetch_checkout(it.checkout_id),
    "find_checkout": lambda acquirer, it: acquirer.find_checkout(it.key),
    "refunds": lambda acquirer, it: acquirer.refunds(it.checkout_id),
    "find_refund": lambda acquirer, it: acquirer.find_refund(it.checkout_id, it.key),
    "fetch_chargeback": lambda acquirer, it: acquirer.fetch_chargeback(it.chargeback_id),
    "events": lambda acquirer, it: acquirer.events(None),
    "healthy": lambda acquirer, it: acquirer.healthy(),
}


class AcquirerContract(Suite):
    """The promises of ports/acquirer.py and ports/money.py."""

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    async def test_each_outcome_of_each_call_and_the_effect_once(
        self, world: AcquirerWorld, call: str, fault: Fault
    ) -> None:
        step, it = CALLS[call], await subject(world, call)
        with world.fault(fault, call) as acquirer, pytest.raises(RAISES[fault]) as raised:
            await step.make(acquirer, it)
        check_class(raised.value, RAISES[fault])
        assert await step.found(world.acquirer, it) == (fault in HAPPENS)
        if fault == "refused":
            assert isinstance(raised.value, RefusedForGood)
            assert raised.value.key == it.key
            return
        for _ in range(2):
            await step.make(world.acquirer, it)
        assert await step.found(world.acquirer, it)
        if call == "create_checkout":
            assert await world.made(it.key) == 1

    async def test_a_question_without_an_answer_is_unavailable(
        self, world: AcquirerWorld, read: str, fault: Fault
    ) -> None:
        it = await subject(world, read)
        with world.fault(fault, read) as acquirer, pytest.raises(Unavailable) as raised:
            await READS[read](acquirer, it)
        check_class(raised.value, Unavailable)
        await READS[read](world.acquirer, it)

    async def test_a_key_is_of_one_order(self, world: AcquirerWorld) -> None:
        it = await subject(world, "create_checkout")
        made = await world.acquirer.create_checkout(it.order, key=it.key)
        assert (made.status, made.amount_minor, made.currency, made.reference) == (
            "open", it.order.amount_minor, it.order.currency, it.order.reference,
        )  # fmt: skip
        with pytest.raises(IdempotencyMismatch):
            await world.acquirer.create_checkout(it.order.model_copy(update={"amount_minor": 1_00}), key=it.key)
        assert await world.acquirer.find_checkout(it.key) == made
        assert await world.acquirer.find_checkout(new_key()) is None

    async def test_the_same_key_at_the_same_time_has_one_effect(self, world: AcquirerWorld, call: str) -> None:
        it = await subject(world, call)
        await asyncio.gather(*(_patient(world.acquirer, CALLS[call].make, it) for _ in range(4)))
        assert await CALLS[call].found(world.acquirer, it)
        if call == "create_checkout":
            assert await world.made(it.key) == 1

    @pytest.mark.needs("refund")
    async def test_no_more_goes_back_than_was_paid(self, world: AcquirerWorld) -> None:
        it = await subject(world, "refund")
        await world.acquirer.refund(it.checkout_id, key=it.key, amount_minor=300_00)
        with pytest.raises(Conflict):
            await world.acquirer.refund(it.checkout_id, key=new_key(), amount_minor=200_00)
        rest = await world.acquirer.refund(it.checkout_id, key=new_key())
        assert rest.amount_minor == 199_00
        assert (await world.acquirer.fetch_checkout(it.checkout_id)).refunded_minor == 499_00

    @pytest.mark.needs("expire_checkout")
    async def test_what_is_not_there_is_not_found(self, world: AcquirerWorld) -> None:
        with pytest.raises(NotFound):
            await world.acquirer.fetch_checkout("cs_test_nothing")
        with pytest.raises(NotFound):
            await world.acquirer.fetch_chargeback("du_nothing")


async def subject(world: AcquirerWorld, call: str) -> Subject:
    order = CheckoutOrder(
        reference=f"chl_{uuid4().hex[:12]}",
        amount_minor=499_00,
        currency="USD",
        description="Two-step 100k",
        return_url=RETURN_URL,
    )
    if call in ("create_checkout", "find_checkout", "events", "healthy"):
        return Subject("", "", new_key(), order)
    checkout = await world.acquirer.create_checkout(order, key=new_key())
    if call == "expire_checkout":
        return Subject(checkout.checkout_id, "", new_key(), order)
    await world.pay(checkout)
    disputed = call in ("submit_evidence", "accept_chargeback", "fetch_chargeback")
    return Subject(checkout.checkout_id, await world.dispute(checkout) if disputed else "", new_key(), order)


def new_key() -> str:
    return f"key-{uuid4().hex[:20]}"


async def _patient(acquirer: Acquirer, make: Step, it: Subject) -> None:
    """Repeats while the other side says that the first call is not finished."""
    while True:
        try:
            await make(acquirer, it)
        except Unavailable:
            await asyncio.sleep(0.02)
        else:
            return
