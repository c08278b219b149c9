"""What every payment rail must do. A rail's own test module makes a `RailWorld` and subclasses `RailContract`:

class TestMyRail(RailContract):
    @pytest.fixture
    async def world(self) -> AsyncIterator[RailWorld]: ...
"""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final, Literal

import pytest

from domain.errors import (
    BadInput,
    BadSignature,
    CursorForgotten,
    IdempotencyMismatch,
    InProgress,
    NotFound,
    OutcomeUnknown,
    RefusedForGood,
    Unavailable,
)
from ports.rail import Beneficiary, PaymentRail, Transfer, TransferOrder

Fault = Literal["retry later", "in progress", "unknown, done", "unknown, not done"]


class RailWorld(ABC):
    """A rail and the other side, which the test controls.

    `currency`: one that the rail sends.
    """

    rail: PaymentRail
    currency: str = "EUR"

    @abstractmethod
    def payable(self, number: int) -> Beneficiary:
        """Returns an account that is paid and from which nothing comes back."""

    @abstractmethod
    def returning(self) -> Beneficiary:
        """Returns an account that is not paid in the end: the money comes back."""

    @abstractmethod
    def refused(self) -> Beneficiary:
        """Returns an account for which `create_transfer` is refused for good."""

    @abstractmethod
    def malformed(self) -> Beneficiary | None:
        """Returns an account that cannot exist; None if the rail takes any text."""

    @abstractmethod
    def fault(self, fault: Fault) -> AbstractContextManager[None]:
        """The next changing calls end so."""

    @abstractmethod
    async def pass_time(self) -> None:
        """Lets enough time pass for each transfer to arrive or come back."""

    @abstractmethod
    def arrived(self) -> list[tuple[str, int]]:
        """Returns (key, amount) of each payment that the other side made, by its own record."""


class RailContract:
    """The promises of ports/rail.py and ports/money.py. `impossible`: faults that this rail cannot have, each with the
    reason."""

    impossible: Mapping[Fault, str] = MappingProxyType({})

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    async def test_the_same_key_sends_once(self, world: RailWorld) -> None:
        order = order_for(world, 1)
        made = await world.rail.create_transfer(order)
        assert (made.key, made.reference, made.amount_minor, made.currency, made.status) == (
            order.key, order.reference, order.amount_minor, order.currency, "pending",
        )  # fmt: skip
        again = await asyncio.gather(*(_patient(world, order) for _ in range(5)))
        assert {one.transfer_id for one in again} == {made.transfer_id}
        assert await world.rail.find_transfer(order.key) == await world.rail.fetch_transfer(made.transfer_id)
        await world.pass_time()
        assert (await world.rail.fetch_transfer(made.transfer_id)).status == "paid"
        assert (await world.rail.create_transfer(order)).transfer_id == made.transfer_id
        await world.pass_time()
        assert world.arrived() == [(order.key, order.amount_minor)]

    @pytest.mark.parametrize("changed", ["amount_minor", "beneficiary", "reference"])
    async def test_the_same_key_with_other_input_is_refused(self, world: RailWorld, changed: str) -> None:
        order = order_for(world, 1)
        await world.rail.create_transfer(order)
        others = {"amount_minor": order.amount_minor + 1, "beneficiary": world.payable(2), "reference": "pay_other"}
        with pytest.raises(IdempotencyMismatch):
            await world.rail.create_transfer(order.model_copy(update={changed: others[changed]}))
        await world.pass_time()
        assert world.arrived() == [(order.key, order.amount_minor)]

    async def test_what_is_refused_for_good_is_refused_again_with_the_same_words(self, world: RailWorld) -> None:
        order = order_for(world, 1).model_copy(update={"beneficiary": world.refused()})
        said = set()
        for _ in range(3):
            with pytest.raises(RefusedForGood) as refused:
                await world.rail.create_transfer(order)
            said.add(refused.value.message)
            assert refused.value.key == order.key
        assert len(said) == 1
        found = await world.rail.find_transfer(order.key)
        assert found is None or found.status == "refused"
        await world.pass_time()
        assert world.arrived() == []

    @pytest.mark.fault("retry later")
    async def test_nothing_happens_when_the_rail_says_retry_later(self, world: RailWorld) -> None:
        order = order_for(world, 1)
        with world.fault("retry later"):
            with pytest.raises(Unavailable) as refused:
                await world.rail.create_transfer(order)
            assert not isinstance(refused.value, InProgress | OutcomeUnknown)
            assert await _answer_or_unavailable(world.rail.find_transfer, order.key) is None
        assert await world.rail.find_transfer(order.key) is None
        await world.pass_time()
        assert world.arrived() == []
        await world.rail.create_transfer(order)
        await world.pass_time()
        assert world.arrived() == [(order.key, order.amount_minor)]

    @pytest.mark.fault("retry later")
    async def test_a_cancellation_that_is_told_retry_later_is_repeated(self, world: RailWorld) -> None:
        made = await world.rail.create_transfer(order_for(world, 1))
        with world.fault("retry later"):
            before = await _answer_or_unavailable(world.rail.cancel_transfer, made.transfer_id)
        assert before is None or before.status in ("pending", "cancelled", "paid")
        after = await world.rail.cancel_transfer(made.transfer_id)
        assert await world.rail.find_transfer(made.key) == after

    @pytest.mark.fault("in progress")
    async def test_a_call_while_the_first_one_runs_is_in_progress(self, world: RailWorld) -> None:
        order = order_for(world, 1)
        with world.fault("in progress"), pytest.raises(InProgress):
            await world.rail.create_transfer(order)
        await _patient(world, order)
        await world.pass_time()
        assert world.arrived() == [(order.key, order.amount_minor)]

    @pytest.mark.parametrize(
        "fault", [pytest.param(each, marks=pytest.mark.fault(each)) for each in ("unknown, done", "unknown, not done")]
    )
    async def test_after_an_unknown_outcome_the_key_tells(self, world: RailWorld, fault: Fault) -> None:
        order = order_for(world, 1)
        with world.fault(fault), pytest.raises(OutcomeUnknown):
            await world.rail.create_transfer(order)
        found = await world.rail.find_transfer(order.key)
        assert (found is not None) == (fault == "unknown, done")
        made = await world.rail.create_transfer(order)
        assert found is None or found.transfer_id == made.transfer_id
        await world.pass_time()
        assert world.arrived() == [(order.key, order.amount_minor)]

    async def test_a_transfer_that_comes_back_says_why(self, world: RailWorld) -> None:
        order = order_for(world, 1).model_copy(update={"beneficiary": world.returning()})
        made = await world.rail.create_transfer(order)
        await world.pass_time()
        gone = await world.rail.fetch_transfer(made.transfer_id)
        assert gone.status in ("returned", "refused", "undelivered")
        assert gone.failure

    async def test_a_cancelled_transfer_does_not_arrive(self, world: RailWorld) -> None:
        made = await world.rail.create_transfer(order_for(world, 1))
        cancelled = await world.rail.cancel_transfer(made.transfer_id)
        assert await world.rail.cancel_transfer(made.transfer_id) == cancelled
        assert await world.rail.find_transfer(made.key) == cancelled
        await world.pass_time()
        assert (world.arrived() == []) == (cancelled.status == "cancelled")

    async def test_a_transfer_that_has_arrived_can_no_longer_be_cancelled(self, world: RailWorld) -> None:
        made = await world.rail.create_transfer(order_for(world, 1))
        await world.pass_time()
        paid = await world.rail.fetch_transfer(made.transfer_id)
        assert await world.rail.cancel_transfer(made.transfer_id) == paid

    async def test_changes_are_told_as_hints_in_order(self, world: RailWorld) -> None:
        made = await world.rail.create_transfer(order_for(world, 1))
        await world.pass_time()
        events = await world.rail.events(None)
        assert [event.problem for event in events] == [None] * len(events)
        assert made.transfer_id in [event.object_id for event in events if event.kind.startswith("transfer.")]
        assert len({event.event_id for event in events}) == len(events)
        assert await world.rail.events(events[0].event_id) == events[1:]
        assert await world.rail.events(events[-1].event_id) == []
        with pytest.raises(CursorForgotten):
            await world.rail.events("no-such-event")

    async def test_what_is_not_there_is_not_found(self, world: RailWorld) -> None:
        assert await world.rail.find_transfer("trf-nothing") is None
        with pytest.raises(NotFound):
            await world.rail.fetch_transfer("nothing")
        with pytest.raises(NotFound):
            await world.rail.cancel_transfer("nothing")

    async def test_an_account_that_cannot_exist_is_refused_before_anything_is_sent(self, world: RailWorld) -> None:
        world.rail.check_beneficiary(world.payable(1), world.currency)
        malformed = world.malformed()
        if malformed is None:
            return
        with pytest.raises(BadInput) as refused:
            world.rail.check_beneficiary(malformed, world.currency)
        assert refused.value.field == "beneficiary"

    async def test_an_unsigned_webhook_is_refused(self, world: RailWorld) -> None:
        with pytest.raises(BadSignature):
            world.rail.parse_webhook(b"{}", {}, datetime.now(UTC))

    async def test_it_says_how_it_is(self, world: RailWorld) -> None:
        assert await world.rail.healthy()


KEY: Final = "trf-01k0contract000000000000"


def order_for(world: RailWorld, number: int) -> TransferOrder:
    """Returns the order that the tests send; number 1 in all that have a fault."""
    return TransferOrder(
        key=f"{KEY}{number:02d}",
        reference=f"pay_{number}",
        amount_minor=1234_56 + number,
        currency=world.currency,
        beneficiary=world.payable(number),
    )


async def _patient(world: RailWorld, order: TransferOrder) -> Transfer:
    """Sends, and repeats while the rail says that the first call is not finished."""
    while True:
        try:
            return await world.rail.create_transfer(order)
        except InProgress:
            await asyncio.sleep(0.02)


async def _answer_or_unavailable(call: Callable[[str], Awaitable[Transfer | None]], value: str) -> Transfer | None:
    try:
        return await call(value)
    except Unavailable:
        return None
