"""Every fault at every single call of the wire that an operation makes: a repeat makes it whole, and once."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Final, get_args

import pytest

from adapters.dxtrade.platform import Dxtrade
from domain.errors import InProgress, OutcomeUnknown, PropOSError, RefusedForGood, Unavailable
from sandbox.dxtrade.faults import CallFault
from tests.contract.dxtrade_thread import DxtradeThread, dxtrade_thread
from tests.contract.platform_contract import new_key

_HELD: Final = 0.3  # seconds until the impatient adapter gives up; any call that is slower is only one more fault
_HARMLESS: Final = frozenset({"token_expired", "unknown_field"})
# A session ends at any call but the one that opens it.
_MATCHES: Final[dict[CallFault, str]] = {"token_expired": "^(?![A-Z]+ [^ ]*/login)"}


@dataclass
class World:
    venue: DxtradeThread
    patient: Dxtrade
    impatient: Dxtrade

    def account(self) -> int:
        """Two positions and a working order."""
        login = self.venue.open_account()
        for number in range(2):
            self.venue.order(login, f"trader-{number}")
        self.venue.order(login, "trader-limit", type="LIMIT", limitPrice=1.05)
        return login

    def state(self, login: int) -> tuple[object, ...]:
        """What the venue has of an account."""
        account = self.venue.account(login)
        orders = [(order.client_id, order.status) for order in account.orders.values()]
        return account.status, dict(account.metadata), sorted(account.positions), orders, account.balance


Act = Callable[[Dxtrade, int, str], Awaitable[object]]
Done = Callable[[World, int, str], int]


def _opened(world: World, login: int, key: str) -> int:
    return sum(each.metadata.get("proposKey") == key for each in world.venue.fake.venue.accounts.values())


def _moved(world: World, login: int, key: str) -> int:
    account = world.venue.account(login)
    return sum(each["comment"].endswith(f":{key}") for each in account.transfers)


def _settled(world: World, login: int, key: str) -> int:
    return world.venue.account(login).metadata.get("proposSettled", "").count(f"{key}@")


def _disabled(world: World, login: int, key: str) -> int:
    return world.venue.account(login).statuses.count("NO_TRADING")


def _locked(world: World, login: int, key: str) -> int:
    account = world.venue.account(login)
    whole = not account.positions and all(order.status != "WORKING" for order in account.orders.values())
    return account.statuses.count("NO_TRADING") if whole else 0


def _closed(world: World, login: int, key: str) -> int:
    account = world.venue.account(login)
    return sum(len(order.executions) for order in account.orders.values() if order.effect == "CLOSE") // 2


async def _close(platform: Dxtrade, login: int, key: str) -> None:
    await platform.close_positions(login, key=key, position_ids=_POSITIONS[login])


_POSITIONS: dict[int, list[str]] = {}
OPERATIONS: Final[dict[str, tuple[Act, Done]]] = {
    "open": (lambda p, login, key: p.create_account(key=key, group="g", currency="USD", leverage=100), _opened),
    "deposit": (
        lambda p, login, key: p.balance_operation(login, key=key, operation="deposit", amount_minor=500_00),
        _moved,
    ),
    "hold": (
        lambda p, login, key: p.balance_operation(login, key=key, operation="payout_hold", amount_minor=-50_00),
        _moved,
    ),
    "settle": (
        lambda p, login, key: p.balance_operation(login, key=key, operation="payout_settled", amount_minor=0),
        _settled,
    ),
    "disable": (lambda p, login, key: p.set_trading(login, key=key, enabled=False), _disabled),
    "lock": (lambda p, login, key: p.lock(login, key=key), _locked),
    "close": (_close, _closed),
}


@pytest.fixture(scope="module")
def venue() -> Iterator[DxtradeThread]:
    with dxtrade_thread() as running:
        running.quote("EURUSD", "1.10000", "1.10010")
        yield running


@pytest.fixture
async def world(venue: DxtradeThread) -> AsyncIterator[World]:
    found = World(venue, Dxtrade("live", venue.settings()), Dxtrade("live", venue.settings(timeout=_HELD)))
    yield found
    await found.patient.aclose()
    await found.impatient.aclose()


@pytest.mark.parametrize("kind", get_args(CallFault))
@pytest.mark.parametrize("operation", OPERATIONS)
async def test_a_fault_at_each_call(world: World, operation: str, kind: CallFault) -> None:
    act, done = OPERATIONS[operation]
    calls = 0
    while True:
        login, key = world.account(), new_key()
        _POSITIONS[login] = list(world.venue.account(login).positions)
        error: PropOSError | None = None
        before = world.state(login)
        with world.venue.failing(kind, _MATCHES.get(kind, ""), times=1, skip=calls) as switch:
            try:
                await act(world.impatient if kind.startswith("held") else world.patient, login, key)
            except PropOSError as raised:
                error = raised
            happened = switch.times == 0
        if not happened:
            assert error is None or kind.startswith("held")
            break
        calls += 1
        if error is None:
            assert done(world, login, key) == 1
        else:
            _check(error, kind, done(world, login, key), world.state(login) == before)
        for _ in range(2):
            await act(world.patient, login, key)
        assert done(world, login, key) == 1, f"{kind} at call {calls} of {operation}"
    assert calls > 1


def _check(error: PropOSError, kind: CallFault, effects: int, unchanged: bool) -> None:
    """What was raised is true: "nothing happened" where nothing did."""
    assert kind not in _HARMLESS, error
    assert isinstance(error, Unavailable | RefusedForGood), repr(error)
    if not isinstance(error, OutcomeUnknown | InProgress):
        assert effects == 0, repr(error)
    if isinstance(error, Unavailable) and not isinstance(error, OutcomeUnknown | InProgress):
        assert unchanged, repr(error)
