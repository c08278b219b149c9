"""What every identity checker must do. A checker's own test module makes an `IdentityWorld` and subclasses
`IdentityContract`, as platform_contract.py shows."""

from abc import ABC
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager
from typing import Any, Final
from uuid import uuid4

import pytest

from domain.errors import NotFound, Unavailable
from ports.identity import IdentityChecker, IdentitySession
from tests.contract.faults import HAPPENS, RAISES, Fault, Suite, check_class


class IdentityWorld(ABC):
    """A checker and the other side, which the test controls."""

    checker: IdentityChecker

    def fault(self, fault: Fault, method: str) -> AbstractContextManager[IdentityChecker]:
        """Yields the checker; its next calls end so: those that change something (POST), or the others (GET). A
        checker that asks nobody does not need it."""
        raise NotImplementedError


async def _start(checker: IdentityChecker, key: str) -> IdentitySession:
    return await checker.start(key=key, reference="trd_1", return_url="https://firm.example/back")


CALLS: Final = {"start": _start}
READS: Final[dict[str, Callable[[IdentityChecker, str], Awaitable[Any]]]] = {
    "find": lambda checker, session_id: checker.find("key-nothing"),
    "fetch": lambda checker, session_id: checker.fetch(session_id),
    "events": lambda checker, session_id: checker.events(None),
    "healthy": lambda checker, session_id: checker.healthy(),
}


class IdentityContract(Suite):
    """The promises of ports/identity.py and ports/money.py."""

    @pytest.fixture
    async def world(self) -> Any:
        raise NotImplementedError

    async def test_each_outcome_of_each_call_and_the_effect_once(
        self, world: IdentityWorld, call: str, fault: Fault
    ) -> None:
        key = f"key-{uuid4().hex[:20]}"
        with world.fault(fault, "POST") as checker, pytest.raises(RAISES[fault]) as raised:
            await CALLS[call](checker, key)
        check_class(raised.value, RAISES[fault])
        found = await world.checker.find(key)
        assert (found is not None) == (fault in HAPPENS)
        if fault == "refused":
            return
        made = [await CALLS[call](world.checker, key) for _ in range(2)]
        again = await world.checker.find(key)
        assert again is not None
        assert {each.session_id for each in made} == {again.session_id}
        assert found is None or found.session_id == again.session_id

    async def test_a_question_without_an_answer_is_unavailable(
        self, world: IdentityWorld, read: str, fault: Fault
    ) -> None:
        made = await _start(world.checker, f"key-{uuid4().hex[:20]}")
        with world.fault(fault, "GET") as checker, pytest.raises(Unavailable) as raised:
            await READS[read](checker, made.session_id)
        check_class(raised.value, Unavailable)
        await READS[read](world.checker, made.session_id)

    async def test_a_session_is_about_its_trader_and_pending(self, world: IdentityWorld) -> None:
        made = await _start(world.checker, f"key-{uuid4().hex[:20]}")
        fetched = await world.checker.fetch(made.session_id)
        assert (fetched.session_id, fetched.reference, fetched.status) == (made.session_id, "trd_1", "pending")
        assert await world.checker.find("key-nothing") is None
        with pytest.raises(NotFound):
            await world.checker.fetch("nothing")
        assert await world.checker.healthy()
