"""What every statement source must do. A source's own test module makes a `StatementWorld` and subclasses
`StatementContract`, as platform_contract.py shows."""

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final

import pytest

from domain.errors import CursorForgotten, Unavailable
from ports.acquirer import CheckoutOrder
from ports.statements import StatementEntry, StatementSource
from tests.contract.faults import Fault, Suite, check_class


class StatementWorld(ABC):
    """A source and the other side, which the test controls."""

    source: StatementSource

    @abstractmethod
    async def move(self, number: int) -> None:
        """Lets the fee of 499.00 of challenge `chl_{number}` come in."""

    def fault(self, fault: Fault) -> AbstractContextManager[StatementSource]:
        """Yields the source; its next calls end so. A fake does not need it."""
        raise NotImplementedError


READS: Final[dict[str, Callable[[StatementSource], Awaitable[Any]]]] = {
    "entries": lambda source: source.entries(None),
    "balances": lambda source: source.balances(),
    "healthy": lambda source: source.healthy(),
}


class StatementContract(Suite):
    """The promises of ports/statements.py."""

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    async def test_a_question_without_an_answer_is_unavailable(
        self, world: StatementWorld, read: str, fault: Fault
    ) -> None:
        with world.fault(fault) as source, pytest.raises(Unavailable) as raised:
            await READS[read](source)
        check_class(raised.value, Unavailable)
        await READS[read](world.source)

    async def test_entries_come_in_order_and_again_from_any_of_them(self, world: StatementWorld) -> None:
        for number in (1, 2, 3):
            await world.move(number)
        every = await _all(world.source)
        assert [entry.problem for entry in every] == [None] * len(every)
        charges = [entry for entry in every if entry.kind == "charge"]
        assert [(entry.reference, entry.amount_minor, entry.currency) for entry in charges[-3:]] == [
            (f"chl_{number}", 499_00, "USD") for number in (1, 2, 3)
        ]
        assert len({entry.entry_id for entry in every}) == len(every)
        assert [entry.at for entry in every] == sorted(entry.at for entry in every)
        assert (await world.source.entries(every[-3].entry_id))[:2] == every[-2:]
        assert await world.source.entries(every[-1].entry_id) == []

    async def test_a_cursor_that_is_not_known_is_forgotten(self, world: StatementWorld) -> None:
        await world.move(1)
        with pytest.raises(CursorForgotten):
            await world.source.entries("txn_nothing")

    async def test_a_limit_leaves_the_rest_for_the_next_question(self, world: StatementWorld) -> None:
        for number in (1, 2, 3):
            await world.move(number)
        every = await _all(world.source)
        first = [number for number, entry in enumerate(every) if entry.kind == "charge"][-3]
        read, start = list[StatementEntry](), every[first - 1].entry_id if first else None
        while page := await world.source.entries(read[-1].entry_id if read else start, limit=2):
            read += page
        assert read == every[first:]


async def _all(source: StatementSource) -> list[StatementEntry]:
    read: list[StatementEntry] = []
    while page := await source.entries(read[-1].entry_id if read else None):
        read += page
    return read


def order(number: int) -> CheckoutOrder:
    return CheckoutOrder(
        reference=f"chl_{number}",
        amount_minor=499_00,
        currency="USD",
        description="Two-step 100k",
        return_url="https://firm.example/back",
    )
