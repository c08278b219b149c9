"""The adapter for Tradovate keeps the contract of platforms, against the venue's wire with faults."""

from collections.abc import AsyncIterator, Iterator
from types import MappingProxyType

import pytest

from sandbox.tradovate.fake import FakeTradovate
from sandbox.tradovate.faults import Faults
from tests.contract.faults import READING, pytest_generate_tests
from tests.contract.platform_contract import OF_ALL, PlatformContract, PlatformWorld
from tests.contract.tradovate_thread import tradovate_thread
from tests.contract.tradovate_world import NAMES, PATHS, TradovateWorld

__all__ = ["pytest_generate_tests"]


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeTradovate]:
    with tradovate_thread() as running:
        yield running


class TestTradovatePlatform(PlatformContract):
    calls = tuple(call for call in PATHS if not call.startswith("stream."))  # those go through the gateway
    reads = OF_ALL
    impossible = MappingProxyType(
        {
            "in use": "the venue knows no keys, so none is in use",
            "refused": "the venue knows no keys, so it refuses none for ever",
        }
    )

    @pytest.fixture
    async def world(self, fake: FakeTradovate) -> AsyncIterator[PlatformWorld]:
        world = TradovateWorld(fake)
        yield world
        fake.set_faults(Faults())
        await world.aclose()


def test_every_fault_that_the_suite_can_make_is_made() -> None:
    assert set(READING) == set(NAMES)
